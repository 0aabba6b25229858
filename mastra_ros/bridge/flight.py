"""What is under way to the gateway: pure bookkeeping, the clock is an argument.

A live packet is *in flight* from the moment that it is accepted until its acknowledgement. At
twice its deadline it becomes *overdue*: it goes to the spool and no longer counts, though its
acknowledgement may yet come. A *backlog* packet comes from the spool and stays there meanwhile.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from ..types import FrameKey, Packet

SECOND = 1_000_000_000
UNANSWERED_NS = 10 * SECOND
"""After so long without acknowledgement a packet of the spool may be sent once more."""


@dataclass
class Entry:
    """One packet under way. Times are monotonic, in ns."""

    packet: Packet
    number: int  # counts the live packets, in order of sending
    accepted_ns: int
    deadline_ns: int  # for the answer; 0 there is none
    size: int = 0  # bytes given to the socket, 0 while it waits
    answered: bool = False  # a result has come, the acknowledgement not yet

    @property
    def overdue_ns(self) -> int:
        """When this packet stops counting as in flight."""
        return 2 * self.deadline_ns - self.accepted_ns


class Flight:
    """The packets under way, by state and key."""

    def __init__(self) -> None:
        self.live: dict[FrameKey, Entry] = {}
        self.overdue: dict[FrameKey, Entry] = {}
        self.backlog: dict[FrameKey, Entry] = {}
        self._number = 0

    def add_live(self, packet: Packet, now_ns: int, deadline_ms: float) -> Entry:
        """A live packet has been accepted; a deadline of 0 means `UNANSWERED_NS`."""
        self._number += 1
        deadline_ns = now_ns + (int(deadline_ms * 1e6) if deadline_ms > 0 else UNANSWERED_NS)
        entry = self.live[packet.key] = Entry(packet, self._number, now_ns, deadline_ns)
        return entry

    def add_backlog(self, packet: Packet, now_ns: int) -> Entry:
        """A packet of the spool is about to be sent."""
        entry = self.backlog[packet.key] = Entry(packet, 0, now_ns, 0)
        return entry

    def named(self, key: FrameKey) -> FrameKey:
        """The whole key of what is under way, for a key as a gateway of an older version says it.

        Such a gateway skips the id and names a frame by stream and stamp: it means the oldest
        packet of that name.
        """
        if key.id:
            return key
        for entries in (self.live, self.overdue, self.backlog):
            if key in entries:
                return key
        under_way = (*self.overdue, *self.backlog, *self.live)
        return next((whole for whole in under_way if whole.unnamed == key), key)

    def find(self, key: FrameKey) -> Entry | None:
        """The packet of this name, if it is under way."""
        return self.live.get(key) or self.overdue.get(key) or self.backlog.get(key)

    def remove(self, key: FrameKey) -> tuple[Entry | None, bool]:
        """Forget a packet; with it, whether the spool has it too."""
        entry = self.live.pop(key, None)
        spooled = self.overdue.pop(key, None) or self.backlog.pop(key, None)
        return entry or spooled, spooled is not None

    def any_unanswered(self) -> bool:
        """Whether the answer to a live packet is still to come."""
        return any(not entry.answered for entry in self.live.values())

    def in_spool(self) -> set[FrameKey]:
        """Keys that the spool must not hand out now."""
        return {*self.overdue, *self.backlog}

    def make_overdue(self, now_ns: int) -> list[Entry]:
        """Live packets that just became overdue; they must be spooled."""
        entries = [entry for entry in self.live.values() if now_ns >= entry.overdue_ns]
        for entry in entries:
            self.overdue[entry.packet.key] = self.live.pop(entry.packet.key)
        return entries

    def forget_unanswered(self, now_ns: int) -> None:
        """Let the spool hand out again what was sent long ago and never acknowledged."""
        for entries in (self.overdue, self.backlog):
            for key, entry in list(entries.items()):
                if entry.size and now_ns - entry.accepted_ns > UNANSWERED_NS:
                    del entries[key]

    def lose(self) -> Iterator[Entry]:
        """The link is gone: give back the live packets one by one, and forget all."""
        entries = list(self.live.values())
        self.live.clear()
        self.overdue.clear()
        self.backlog.clear()
        return iter(entries)


class Goodput:
    """Bits a second acknowledged while anything was under way, exponentially averaged."""

    def __init__(self, window_ns: int = SECOND // 4, weight: float = 0.3) -> None:
        self._window_ns = window_ns
        self._weight = weight
        self._busy_since_ns: int | None = None
        self._busy_ns = 0
        self._bytes = 0
        self.bps = math.nan

    def sent(self, now_ns: int) -> None:
        """Something is under way."""
        if self._busy_since_ns is None:
            self._busy_since_ns = now_ns

    def acknowledged(self, size: int, now_ns: int, idle: bool, held_ns: int = 0) -> None:
        """`size` bytes arrived, which the peer held so long; `idle`: nothing else is under way.

        What a slow gateway takes is not the link's: smaller frames would not be there sooner. The
        link keeps a tenth of the time, since others may be under way while one is held.
        """
        self._bytes += size
        if self._busy_since_ns is not None:
            passed_ns = now_ns - self._busy_since_ns
            self._busy_ns += max(passed_ns - max(0, held_ns), passed_ns // 10)
            self._busy_since_ns = None if idle else now_ns
        if self._busy_ns >= self._window_ns:
            bps = self._bytes * 8e9 / self._busy_ns
            known = not math.isnan(self.bps)
            self.bps = self.bps + self._weight * (bps - self.bps) if known else bps
            self._bytes = self._busy_ns = 0
