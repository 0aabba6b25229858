"""What is published of answers: final results, and late ones apart."""

from __future__ import annotations

import math
from dataclasses import replace

from mastra_ros.scheduling.arbiter.actions import Event, Publish, PublishLate
from mastra_ros.scheduling.arbiter.frames import Counters, FinishedFrames, Pending
from mastra_ros.scheduling.estimates.clock import NS_PER_MS
from mastra_ros.types import FrameKey, Result, Route


class Answers:
    """Stamps results with reason and age, counts them, and knows which frames are finished."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._finished = FinishedFrames()

    def __contains__(self, key: FrameKey) -> bool:
        """Whether the frame got its final result not long ago."""
        return key in self._finished

    def __len__(self) -> int:
        return len(self._finished)

    def final(self, frame: Pending, result: Result, now: int, reason: str, late: bool) -> Publish:
        """The one final result of a frame."""
        self._finished.add(frame.key, frame.captured_ns, None if result.error else result.origin)
        if frame.local is not None:
            self._finished.answer(frame.key, frame.local.origin)
        counters = self._counters
        counters.results += 1
        counters.by_origin[result.origin] = counters.by_origin.get(result.origin, 0) + 1
        counters.failed += bool(result.error)
        final = stamped(result, frame.captured_ns, now, reason)
        return Publish(replace(final, final=True, late=late))

    def elsewhere(self, key: FrameKey, captured_ns: int) -> None:
        """Another node has given the final result of this frame."""
        if key not in self._finished:
            self._finished.add(key, captured_ns, Route.LOCAL)

    def provisional(self, frame: Pending, result: Result, now: int) -> Publish:
        """The result of the device for a frame that is escalated."""
        self._counters.provisional += 1
        self._counters.escalated += 1
        return Publish(replace(stamped(result, frame.captured_ns, now, frame.reason), final=False))

    def late(self, result: Result, now: int) -> list[Event]:
        """A second answer, or one for a frame that we do not know; errors are no news then."""
        if result.error:
            return []
        first, captured_ns = self._finished.answer(result.key, result.origin)
        if not first:
            return []
        self._counters.late += 1
        told = stamped(result, captured_ns, now, result.reason or "late")
        return [PublishLate(replace(told, final=False, late=True))]


def stamped(result: Result, captured_ns: int | None, now: int, reason: str) -> Result:
    """The result with its reason and age."""
    age_ms = math.nan if captured_ns is None else (now - captured_ns) / NS_PER_MS
    return replace(result, reason=reason, age_ms=age_ms)
