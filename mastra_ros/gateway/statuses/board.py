"""The statuses of the last minutes, of all devices, in memory; bounded in time, number and bytes.

Used from the event loop. Times are by the gateway's clock, in s since 1970: a status of the past
says how long ago it was, so that no device's clock matters.
"""

from __future__ import annotations

import bisect
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import msgpack

from ...errors import StatusError
from ...protocol.statuses import StatusNack, StatusReport
from ...statuses import STATUS_BYTES_MAX, unpack_status

KEPT_S = 600.0
ENTRIES_MAX = 700
STREAM_BYTES_MAX = 1_500_000
BYTES_MAX = 64_000_000
"""Of all devices; beyond it those that have told nothing for the longest time are forgotten."""
STREAMS_MAX = 16
"""Of one device; beyond it, likewise of this device."""
TOKENS_PER_S, TOKENS_MAX = 12.0, 60.0
"""Statuses of one stream that are listened to: one a second, and ten of the past."""
ENTRY_BYTES = 200
"""What an entry takes beside its body, about."""


@dataclass(frozen=True, order=True)
class Entry:
    """One status; `at_s` is when it was so."""

    at_s: float
    run: int
    number: int
    packed: bytes = field(compare=False)

    @property
    def status(self) -> dict[str, Any]:
        """What it says; it was checked when it came, which takes five times as long."""
        return dict(msgpack.unpackb(self.packed))


@dataclass
class _Stream:
    entries: list[Entry] = field(default_factory=list)  # by time
    known: set[tuple[int, int]] = field(default_factory=set)
    bytes: int = 0
    tokens: float = TOKENS_MAX
    looked_s: float = 0.0

    def allowed(self, now_s: float) -> bool:
        """Whether one more may be listened to now."""
        passed_s = max(0.0, now_s - self.looked_s)
        self.tokens = min(TOKENS_MAX, self.tokens + passed_s * TOKENS_PER_S)
        self.looked_s = now_s
        if self.tokens < 1.0:
            return False
        self.tokens -= 1.0
        return True

    def forget(self, now_s: float) -> int:
        """Let go of what is old or too much; how many bytes that were."""
        gone = bytes_gone = 0
        for entry in self.entries[:-1]:  # the newest stays, however old it is
            few = len(self.entries) - gone <= ENTRIES_MAX
            small = self.bytes - bytes_gone <= STREAM_BYTES_MAX
            if few and small and now_s - entry.at_s <= KEPT_S:
                break
            gone += 1
            bytes_gone += len(entry.packed) + ENTRY_BYTES
            self.known.discard((entry.run, entry.number))
        del self.entries[:gone]
        self.bytes -= bytes_gone
        return bytes_gone


class StatusBoard:
    """What each stream of each device has told."""

    def __init__(self, bytes_max: int = BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._streams: OrderedDict[tuple[str, str], _Stream] = OrderedDict()
        # Of each device, in the same order: a thousand of them are asked for one by one.
        self._of: dict[str, OrderedDict[str, _Stream]] = {}
        self._bytes = 0

    def take(
        self, device: str, stream: str, report: StatusReport, now_s: float
    ) -> StatusNack | None:
        """Keep a status that has just come; what the device is told where it is not kept."""
        kept = self._streams.setdefault((device, stream), _Stream(looked_s=now_s))
        self._streams.move_to_end((device, stream))
        own = self._of.setdefault(device, OrderedDict())
        own[stream] = kept
        own.move_to_end(stream)
        self._make_room(device)
        if not kept.allowed(now_s):
            text = f"expected at most {TOKENS_PER_S:g} statuses a second"
            return StatusNack(report.number, "overloaded", text)
        if len(report.body) > STATUS_BYTES_MAX:
            text = f"expected at most {STATUS_BYTES_MAX} bytes, got {len(report.body)}"
            return StatusNack(report.number, "too_large", text)
        try:
            unpack_status(report.body)
        except StatusError as error:
            return StatusNack(report.number, "corrupt", str(error)[:256])
        if report.ago_ms / 1e3 <= KEPT_S and (report.run, report.number) not in kept.known:
            at_s = now_s - report.ago_ms / 1e3
            bisect.insort(kept.entries, Entry(at_s, report.run, report.number, report.body))
            kept.known.add((report.run, report.number))
            kept.bytes += len(report.body) + ENTRY_BYTES
            self._bytes += len(report.body) + ENTRY_BYTES
        self._bytes -= kept.forget(now_s)
        self._make_room(device)
        return None

    def streams(self, device: str) -> list[str]:
        """The streams of a device that have told something."""
        return sorted(stream for stream, kept in self._of.get(device, {}).items() if kept.entries)

    def newest(self, device: str, stream: str) -> Entry | None:
        """What a stream has told last."""
        kept = self._streams.get((device, stream))
        return kept.entries[-1] if kept is not None and kept.entries else None

    def since(self, device: str, stream: str, since_s: float, now_s: float) -> list[Entry]:
        """What a stream has told of the last minutes, after `since_s`, oldest first."""
        kept = self._streams.get((device, stream))
        if kept is None:
            return []
        self._bytes -= kept.forget(now_s)
        return [entry for entry in kept.entries if entry.at_s > since_s]

    def _make_room(self, device: str) -> None:
        own = list(self._of.get(device, ()))
        for stream in own[: max(0, len(own) - STREAMS_MAX)]:
            self._forget(device, stream)
        while self._bytes > self._bytes_max and len(self._streams) > 1:
            self._forget(*next(iter(self._streams)))

    def _forget(self, device: str, stream: str) -> None:
        self._bytes -= self._streams.pop((device, stream)).bytes
        own = self._of[device]
        del own[stream]
        if not own:
            del self._of[device]
