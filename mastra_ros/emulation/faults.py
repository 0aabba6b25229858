"""Faults of a link and when they happen, and the link at any moment.

A specification is a list, separated by commas, of `[up:|down:]kind[=value]@start[..end]`:

    down@5s..15s          nothing passes; connections that exist are lost, new ones get no answer
    stall@5s..8s          connections are accepted and kept, but no byte moves until the end
    delay=120ms@2s..8s    the round trip grows by 120 ms: half of it in each direction
    jitter=30ms@2s..8s    each piece waits 0 to 30 ms more, in each direction; none overtakes
    loss=2%@2s..8s        2 % of the TCP segments are lost and come late (see `loss.py`)
    rate=1mbit@3s..9s     each direction carries at most 1 Mbit/s
    trace=lte.up@0s       each direction carries what the Mahimahi trace of this file allows
    reset@7s              every connection is reset (RST) at that moment

`up:` (client to server) and `down:` confine a fault to one direction: `up:rate=256kbit@0s`; a
delay then counts there in full. Links as a whole go down or are reset. Times are `ms` or `s` since
the start of the clock, rates `kbit`, `mbit` or `gbit` a second. Without an end a fault lasts for
good. Where faults overlap, delays and jitters add, losses combine, the lowest rate and the trace
that started last count.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .trace import Trace

BOTH, UP, DOWN = "both", "up", "down"


@dataclass(frozen=True)
class Fault:
    """One fault from `start_s` to `end_s`.

    value: s (delay, jitter), bits a second (rate) or a share of 0 to 1 (loss).
    """

    kind: str
    start_s: float
    end_s: float = math.inf
    value: float = 0.0
    direction: str = BOTH
    trace: Trace | None = None

    def covers(self, t_s: float) -> bool:
        """Whether the fault is on at `t_s`."""
        return self.start_s <= t_s < self.end_s


@dataclass(frozen=True)
class DirectionShape:
    """What one direction does to bytes."""

    delay_s: float = 0.0
    rate_bps: float = math.inf
    jitter_s: float = 0.0
    loss: float = 0.0
    trace: Trace | None = None
    trace_start_s: float = 0.0  # when the trace began, on the clock of the faults
    stalled: bool = False


@dataclass(frozen=True)
class LinkShape:
    """The link at one moment: `up` is from the client to the server."""

    up: DirectionShape = DirectionShape()
    down: DirectionShape = DirectionShape()
    cut: bool = False

    @property
    def stalled(self) -> bool:
        """Whether no byte moves, either way."""
        return self.up.stalled and self.down.stalled

    @property
    def rtt_s(self) -> float:
        """The round trip that the shape makes, without waiting for rates."""
        return sum(way.delay_s + way.jitter_s / 2 for way in (self.up, self.down))

    @property
    def rttvar_s(self) -> float:
        """Its mean deviation: a quarter of a jitter, which is uniform."""
        return (self.up.jitter_s + self.down.jitter_s) / 4


def link_at(faults: Sequence[Fault], t_s: float) -> LinkShape:
    """The shape of the link `t_s` after the start of the clock."""
    on = [fault for fault in faults if fault.covers(t_s)]
    return LinkShape(_way(on, UP), _way(on, DOWN), cut=any(f.kind == "down" for f in on))


def _way(on: Sequence[Fault], direction: str) -> DirectionShape:
    mine = [fault for fault in on if fault.direction in (BOTH, direction)]

    def values(kind: str) -> list[float]:
        return [fault.value for fault in mine if fault.kind == kind]

    delay_s = sum(f.value / (2 if f.direction == BOTH else 1) for f in mine if f.kind == "delay")
    traces = [fault for fault in mine if fault.kind == "trace"]
    latest = max(traces, key=lambda fault: fault.start_s, default=None)
    return DirectionShape(
        delay_s=delay_s,
        rate_bps=min(values("rate"), default=math.inf),
        jitter_s=sum(values("jitter")),
        loss=1.0 - math.prod(1.0 - value for value in values("loss")),
        trace=latest.trace if latest else None,
        trace_start_s=latest.start_s if latest else 0.0,
        stalled=bool(values("stall")),
    )


def next_change_s(faults: Sequence[Fault], t_s: float) -> float:
    """When, after `t_s`, the link changes or resets next; infinity when it never does."""
    moments = [moment for fault in faults for moment in (fault.start_s, fault.end_s)]
    return min((moment for moment in moments if moment > t_s), default=math.inf)


def resets_between(faults: Sequence[Fault], after_s: float, until_s: float) -> bool:
    """Whether connections are reset at a moment in (after_s, until_s]."""
    return any(fault.kind == "reset" and after_s < fault.start_s <= until_s for fault in faults)
