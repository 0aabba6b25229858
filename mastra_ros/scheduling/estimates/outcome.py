"""What became of a frame: the feedback that policies and forecasts learn from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from mastra_ros.types import FrameKey, Route


@dataclass(frozen=True)
class Outcome:
    """One route taken by one frame. Times are ms, `at_ns` is steady time.

    counts: false where the frame has its own outcome already, and this one tells only of a
    route's time: the answer to a refinement, or to a frame that was hedged.
    """

    key: FrameKey
    route: Route  # that the frame was given to first
    at_ns: int
    took_ms: float = math.nan  # from dispatch to this route's answer; NaN: none in time
    limit_ms: float = math.nan  # what it was given
    in_time: bool = False  # a result came within the deadline, from wherever
    age_ms: float = math.nan  # from capture to that result; NaN where none came
    inference_ms: float = math.nan  # in the model
    confidence: float = math.nan
    agreement: float = math.nan  # of cloud and local, 0 to 1; NaN where only one answered
    counts: bool = True

    @property
    def answered(self) -> bool:
        """Whether the route itself answered in time."""
        return math.isfinite(self.took_ms)


@runtime_checkable
class Observer(Protocol):
    """A policy that wants to know what became of frames."""

    def observe(self, outcome: Outcome) -> None:
        """Learn from one outcome."""
        ...
