"""What the tests of the arbiter share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mastra_ros.config import SchedulingConfig
from mastra_ros.scheduling.arbiter.actions import Dispatch, Event, Publish, PublishLate
from mastra_ros.scheduling.arbiter.arbiter import Arbiter
from mastra_ros.types import Decision, Detections, FrameKey, Result, Route

MS = 1_000_000
LOCAL, CLOUD = Route.LOCAL, Route.CLOUD


def key(n: int) -> FrameKey:
    return FrameKey("main", 1_000_000_000_000 + n)


def result(n: int, origin: Route, score: float | None = None, error: str = "") -> Result:
    detections = Detections.empty(("open",))
    if score is not None:
        box = np.array([[1, 1, 5, 5]], np.float32)
        scores, classes = np.array([score], np.float32), np.zeros(1, np.int32)
        detections = Detections(box, scores, classes, ("open",))
    return Result(key(n), origin, detections, model="m", error=error)


class Bench:
    """An arbiter and a clock in ms."""

    key = staticmethod(key)
    result = staticmethod(result)

    def __init__(self, **values: Any) -> None:
        self.arbiter = Arbiter(SchedulingConfig(**values))
        self.counters = self.arbiter.counters

    def frame(
        self,
        n: int,
        route: Route,
        now_ms: float,
        *,
        captured_ms: float | None = None,
        up: bool = True,
        wanted: Route | None = None,
    ) -> list[Event]:
        captured = now_ms if captured_ms is None else captured_ms
        decision = Decision(route, "because")
        return self.arbiter.frame(
            key(n), round(captured * MS), decision, up, round(now_ms * MS), wanted
        )

    def local(self, n: int, now_ms: float, **values: Any) -> list[Event]:
        return self.arbiter.local_result(result(n, LOCAL, **values), round(now_ms * MS))

    def cloud(self, n: int, now_ms: float, **values: Any) -> list[Event]:
        return self.arbiter.cloud_result(result(n, CLOUD, **values), round(now_ms * MS))

    def tick(self, now_ms: float) -> list[Event]:
        return self.arbiter.tick(round(now_ms * MS))

    @property
    def due_ms(self) -> float | None:
        due = self.arbiter.next_deadline_ns()
        return None if due is None else due / MS

    @staticmethod
    def sent(events: list[Event]) -> list[tuple[int, Route]]:
        """Frames dispatched, without those for the spool."""
        return [
            (e.key.stamp_ns % 1000, e.route)
            for e in events
            if isinstance(e, Dispatch) and not e.archive
        ]

    @staticmethod
    def archived(events: list[Event]) -> list[tuple[int, bool]]:
        return [
            (e.key.stamp_ns % 1000, e.hard) for e in events if isinstance(e, Dispatch) and e.archive
        ]

    @staticmethod
    def published(events: list[Event]) -> list[Result]:
        return [e.result for e in events if isinstance(e, Publish)]

    @staticmethod
    def late(events: list[Event]) -> list[Result]:
        return [e.result for e in events if isinstance(e, PublishLate)]


@pytest.fixture
def make() -> type[Bench]:
    """Makes an arbiter with the parameters given."""
    return Bench
