"""The spool: packets that the link could not take yet. Its interface, its policy, its fake.

Sent first: whole pictures (key frames, features), then deltas, oldest first within each.
Given up first, when there is no room: deltas, then whole pictures, hard examples last, oldest
first within each; a packet never displaces one that is worth more than itself.
A frame, known by stream, stamp and id, is kept once; a whole picture takes the place of a delta of
the same frame.
"""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ..protocol import FrameMessage, encode
from ..types import FrameKey, Packet, PacketKind

PLAUSIBLE_S = 1_577_836_800.0
"""2020-01-01: a wall clock before this has not been set yet, and ages by it mean nothing."""


@dataclass(frozen=True)
class SpoolStats:
    """What is in a spool and what became of the rest, since it was opened."""

    records: int = 0
    bytes: int = 0
    stored_total: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)  # by reason
    error: str = ""  # the last thing that went wrong

    @property
    def dropped_total(self) -> int:
        """Records given up, for whatever reason."""
        return sum(self.dropped.values())


class Spool(Protocol):
    """Keeps packets until they are acknowledged. One thread at a time; all may raise SpoolError."""

    def put(self, packets: Sequence[Packet]) -> list[bool]:
        """Keep packets, in one commit; for each whether it is kept (or was already)."""

    def next_batch(self, limit: int, exclude: Collection[FrameKey] = ()) -> list[Packet]:
        """At most `limit` packets in sending order, marked late, without those excluded."""

    def acknowledge(self, keys: Collection[FrameKey]) -> int:
        """Forget packets that arrived, in one commit; how many were there."""

    def drop(self, key: FrameKey, reason: str) -> None:
        """Give up a packet and count it under `reason`."""

    def stats(self) -> SpoolStats:
        """Counts; cheap."""

    def close(self) -> None:
        """Let go of the file. Closing twice does nothing."""


def rank_of(packet: Packet) -> int:
    """Worth when room is short: 0 deltas, 1 whole pictures and features, 2 hard examples."""
    if packet.hard:
        return 2
    return 0 if packet.kind is PacketKind.DELTA else 1


def sending_class(packet: Packet) -> int:
    """0 is sent before 1. A hard delta is a delta here: it needs its reference as any other."""
    return 1 if packet.kind is PacketKind.DELTA else 0


def record_of(packet: Packet) -> bytes:
    """The bytes of one record: the very message that will carry it, without a deadline."""
    late = dataclasses.replace(packet, late=True)
    return encode(FrameMessage.from_packet(late), bytes_max=2**31)


@dataclass
class _Record:
    packet: Packet
    size: int
    put_s: float


class MemorySpool:
    """A spool that ends with the process: the fake, for tests and devices without a disk."""

    def __init__(
        self,
        bytes_max: int = 2**29,
        age_max_s: float = 604_800.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bytes_max = bytes_max
        self._age_max_s = age_max_s
        self._clock = clock
        self._records: dict[FrameKey, _Record] = {}
        self._dropped: Counter[str] = Counter()
        self._stored = 0

    def put(self, packets: Sequence[Packet]) -> list[bool]:
        """See Spool."""
        self._forget_old()
        return [self._put(packet) for packet in packets]

    def _put(self, packet: Packet) -> bool:
        size = len(record_of(packet))
        mine = rank_of(packet)
        before = self._records.get(packet.key)
        if before is not None:
            grown = self._bytes() - before.size + size
            if sending_class(packet) < sending_class(before.packet) and grown <= self._bytes_max:
                hard = packet.hard or before.packet.hard
                late = dataclasses.replace(packet, late=True, hard=hard)
                self._records[packet.key] = _Record(late, size, before.put_s)
            return True
        evictable = sorted(
            (record for record in self._records.values() if rank_of(record.packet) <= mine),
            key=lambda record: (rank_of(record.packet), record.packet.key.stamp_ns),
        )
        missing = self._bytes() + size - self._bytes_max
        if missing > sum(record.size for record in evictable):
            self._dropped["bytes"] += 1
            return False
        for record in evictable:
            if missing <= 0:
                break
            missing -= record.size
            self.drop(record.packet.key, "bytes")
        late = dataclasses.replace(packet, late=True)
        self._records[packet.key] = _Record(late, size, self._clock())
        self._stored += 1
        return True

    def next_batch(self, limit: int, exclude: Collection[FrameKey] = ()) -> list[Packet]:
        """See Spool."""
        self._forget_old()
        packets = [r.packet for key, r in self._records.items() if key not in exclude]
        packets.sort(key=lambda packet: (sending_class(packet), packet.key.stamp_ns))
        return packets[:limit]

    def acknowledge(self, keys: Collection[FrameKey]) -> int:
        """See Spool."""
        return sum(self._records.pop(key, None) is not None for key in keys)

    def drop(self, key: FrameKey, reason: str) -> None:
        """See Spool."""
        if self._records.pop(key, None) is not None:
            self._dropped[reason] += 1

    def stats(self) -> SpoolStats:
        """See Spool."""
        return SpoolStats(len(self._records), self._bytes(), self._stored, dict(self._dropped))

    def close(self) -> None:
        """See Spool."""

    def _bytes(self) -> int:
        return sum(record.size for record in self._records.values())

    def _forget_old(self) -> None:
        now_s = self._clock()
        for key, record in list(self._records.items()):
            if now_s - record.put_s > self._age_max_s:
                self.drop(key, "age")
