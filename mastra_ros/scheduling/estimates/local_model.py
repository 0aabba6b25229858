"""The places at the local model, and when it would be done."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mastra_ros.scheduling.estimates.clock import to_ns
from mastra_ros.types import Detections, FrameKey, Result, Route


@dataclass(frozen=True)
class Place:
    """A frame that is with the local model; steady time in ns."""

    since_ns: int
    until_ns: int  # when it is given up


class LocalModel:
    """Which frames it has. It works on one after the other, in the order they were given."""

    def __init__(self) -> None:
        self._places: dict[FrameKey, Place] = {}  # oldest first

    def __len__(self) -> int:
        return len(self._places)

    def give(self, key: FrameKey, now: int, until_ns: int) -> None:
        """A frame takes a place; it frees it by `take` or at `until_ns`."""
        self._places[key] = Place(now, until_ns)

    def take(self, key: FrameKey) -> None:
        """A frame was answered."""
        self._places.pop(key, None)

    def give_up(self, now: int) -> None:
        """Free the places of frames that were not answered in time."""
        self._places = {k: place for k, place in self._places.items() if place.until_ns > now}

    def until_ns(self, key: FrameKey) -> int | None:
        """When the frame is given up; None where it has no place."""
        place = self._places.get(key)
        return None if place is None else place.until_ns

    def due(self) -> list[int]:
        """When each frame is given up."""
        return [place.until_ns for place in self._places.values()]

    def ready_ns(self, now: int, each_ms: float, before: int = 0) -> int | None:
        """When it would have answered a frame given to it after `before` more, at `each_ms` each.

        None while that is unknown (NaN).
        """
        if not math.isfinite(each_ms):
            return None
        each_ns, free_ns = to_ns(each_ms), 0
        for place in self._places.values():
            free_ns = max(now, max(place.since_ns, free_ns) + each_ns)
        return max(now, free_ns) + (1 + before) * each_ns


def no_answer(key: FrameKey, spent_ms: float) -> Result:
    """The result of a frame that the local model did not answer."""
    error = f"no answer of the local model within {spent_ms:.0f} ms"
    return Result(key, Route.LOCAL, Detections.empty(), error=error)
