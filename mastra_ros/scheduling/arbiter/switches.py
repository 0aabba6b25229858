"""Records of the stream changing its route, and how long each change took to show.

A *switch* is a change of the route that new frames take.

It is *forced* when trouble with the gateway sends the stream to the device. Its cause is a moment
at which all was still well: when the gateway was last heard, or, if that is earlier, the dispatch
of the frame that missed its deadline, or of the first of those whose answers failed in a row. Its
latency runs from the cause until the first result computed on the device is published, final or
provisional, for a frame captured after the cause. The gateway failed at the cause or after
it, so this is an upper bound of what the failure cost.

Every other switch is *voluntary*: the latency runs from the decision until the first final result
of the new origin, for that frame or a later one.

A switch followed by another before such a result came has no latency (NaN).
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace
from typing import Any

from mastra_ros.scheduling.estimates.clock import NS_PER_MS
from mastra_ros.types import Result, Route

KEPT = 10_000
ROUNDING_NS = 1000
"""What an age in ms, as a float, may be off."""


@dataclass(frozen=True)
class Switch:
    """One change of route; times are steady time in ns."""

    at_ns: int
    from_route: Route
    to_route: Route
    reason: str
    cause_ns: int
    forced: bool
    latency_ms: float = math.nan

    def to_dict(self, start_ns: int) -> dict[str, Any]:
        """As in the report of a run; t_s counts from `start_ns`, an unknown latency is None."""
        known = math.isfinite(self.latency_ms)
        return {
            "t_s": round((self.at_ns - start_ns) / 1e9, 3),
            "from": self.from_route.value,
            "to": self.to_route.value,
            "reason": self.reason,
            "latency_ms": round(self.latency_ms, 1) if known else None,
        }


class SwitchLog:
    """Keeps the latest switches; the newest one is open until its latency is known."""

    def __init__(self) -> None:
        self._closed: deque[Switch] = deque(maxlen=KEPT)
        self._fresh: deque[Switch] = deque(maxlen=KEPT)
        self._open: Switch | None = None
        self._first_ns = 0  # capture of the frame that takes the new route first
        self.count = 0

    def add(self, switch: Switch, first_ns: int = 0) -> None:
        """A switch has happened; the frame captured at `first_ns` takes the new route first."""
        if self._open is not None:
            self._close(self._open)
        self.count += 1
        self._open, self._first_ns = switch, first_ns

    def published(self, result: Result, now_ns: int) -> None:
        """A result has been published; it may be the one that ends the open switch."""
        switch = self._open
        if switch is None or result.error or result.origin is not switch.to_route:
            return
        captured_ns = now_ns - result.age_ms * NS_PER_MS  # stamps may stand still or go back
        if switch.forced:
            ends = captured_ns >= switch.cause_ns
        else:
            ends = result.final and captured_ns >= self._first_ns - ROUNDING_NS
        if ends:
            self._close(replace(switch, latency_ms=(now_ns - switch.cause_ns) / NS_PER_MS))
            self._open = None

    def take(self) -> list[Switch]:
        """The switches closed since the last call."""
        taken = list(self._fresh)
        self._fresh.clear()
        return taken

    @property
    def all(self) -> list[Switch]:
        """All that are kept, oldest first, with the open one last."""
        return [*self._closed, *([self._open] if self._open is not None else [])]

    def _close(self, switch: Switch) -> None:
        self._closed.append(switch)
        self._fresh.append(switch)
