"""Which devices are heard: by their heartbeats, while they are connected, and when that was last.

Used from the event loop; what it knows ends with the process.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

MISSED = 3
"""After so many heartbeats that did not come a device counts as not heard."""
HEARTBEAT_S = 1.0
"""Where a device does not say how often it sends them."""
DEVICES_MAX, STREAMS_MAX = 10_000, 64
"""Remembered, and of one device; those that were heard last."""


@dataclass(frozen=True)
class Heard:
    """Of one stream, or of a device."""

    heard: bool = False
    last_seen_s: float | None = None  # since 1970; None: not since the gateway started


class Hearing:
    """When each stream was heard last. Times are in s since 1970."""

    def __init__(self) -> None:
        self._devices: OrderedDict[str, OrderedDict[str, tuple[float, float]]] = OrderedDict()

    def saw(self, device: str, stream: str, at_s: float, heartbeat_s: float) -> None:
        """A stream was heard; it sends heartbeats so often."""
        streams = self._devices.setdefault(device, OrderedDict())
        streams[stream] = (at_s, heartbeat_s or HEARTBEAT_S)
        streams.move_to_end(stream)
        self._devices.move_to_end(device)
        if len(streams) > STREAMS_MAX:
            streams.popitem(last=False)
        if len(self._devices) > DEVICES_MAX:
            self._devices.popitem(last=False)

    def of(self, device: str, stream: str, now_s: float) -> Heard:
        """Whether a stream is heard now."""
        streams = self._devices.get(device)
        last = None if streams is None else streams.get(stream)
        if last is None:
            return Heard()
        return Heard(now_s - last[0] <= MISSED * last[1], last[0])

    def streams(self, device: str) -> list[str]:
        """The streams of a device that were heard last."""
        return sorted(self._devices.get(device, ()))

    def of_device(self, device: str, now_s: float) -> Heard:
        """Whether any stream of a device is heard now, and when the last one was."""
        known = [self.of(device, stream, now_s) for stream in self.streams(device)]
        seen = [one.last_seen_s for one in known if one.last_seen_s is not None]
        return Heard(any(one.heard for one in known), max(seen, default=None))
