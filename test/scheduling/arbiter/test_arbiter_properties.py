"""For every sequence of events: exactly one final result a frame, in time, in bounded memory."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mastra_ros.config import SchedulingConfig
from mastra_ros.scheduling.arbiter.actions import Dispatch, Event, Publish, PublishLate
from mastra_ros.scheduling.arbiter.arbiter import Arbiter
from mastra_ros.scheduling.arbiter.hedging import Expectation
from mastra_ros.types import Decision, Detections, FrameKey, Result, Route

MS = 1_000_000
BUDGET_MS = {"local_timeout_ms": 300.0, "deadline_ms": 100.0, "escalate_deadline_ms": 150.0}

configs = st.builds(
    SchedulingConfig,
    local_in_flight=st.integers(1, 3),
    cloud_in_flight=st.integers(1, 5),
    escalate_in_flight=st.integers(1, 3),
    escalate_below=st.sampled_from([0.0, 0.5]),
    archive_interval_ms=st.sampled_from([0.0, 80.0]),
    escalate_measure=st.sampled_from(["threshold", "entropy", "margin"]),
    escalate_share_max=st.sampled_from([0.0, 0.3, 1.0]),
    hedge=st.sampled_from([True, True, False]),
    **{name: st.just(value) for name, value in BUDGET_MS.items()},  # type: ignore[arg-type]
)
which = st.integers(0, 9)
scores = st.sampled_from([None, 0.2, 0.9])
errors = st.sampled_from(["", "", "", "broken"])
steps = st.one_of(
    st.tuples(st.just("frame"), st.sampled_from(list(Route)), st.booleans(), st.integers(-50, 400)),
    st.tuples(st.just("frame"), st.sampled_from(list(Route)), st.just(True), st.just(5)),
    st.tuples(st.just("again"), which),
    st.tuples(st.just("local"), which, scores, errors),
    st.tuples(st.just("local"), st.just(0), scores, st.just("")),
    st.tuples(st.just("away"), which, scores, errors),
    st.tuples(st.just("heard")),
    st.tuples(st.just("lost")),
    st.tuples(st.just("wait"), st.integers(0, 250)),
    st.tuples(st.just("clock back"), st.integers(1, 10_000)),
    st.tuples(st.just("configure"), configs),
    st.tuples(
        st.just("expect"),
        st.sampled_from([math.nan, 20.0, 90.0, 200.0]),
        st.sampled_from([math.nan, 30.0, 60.0, 500.0]),
    ),
    st.tuples(st.just("expect"), st.just(20.0), st.just(30.0)),
)


class World:
    """Drives an arbiter as a node would, and checks what it says."""

    def __init__(self, config: SchedulingConfig) -> None:
        self.arbiter = Arbiter(config)
        self.now = 10_000 * MS  # the caller's clock
        self.steady = 0  # time that really passed
        self.keys: list[FrameKey] = []
        self.routes: dict[FrameKey, list[Route]] = {}
        self.admitted: dict[FrameKey, int] = {}
        self.finals: Counter[FrameKey] = Counter()
        self.archives: Counter[FrameKey] = Counter()
        self.late: Counter[tuple[FrameKey, Route]] = Counter()
        self.bound = [0, 0, 0]
        self.widen(config)

    def widen(self, config: SchedulingConfig) -> None:
        limits = (config.local_in_flight, config.cloud_in_flight, config.escalate_in_flight)
        self.bound = [max(a, b) for a, b in zip(self.bound, limits, strict=True)]

    def take(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Dispatch):
                assert event.key in self.keys
                if event.archive:
                    self.archives[event.key] += 1
                    assert self.archives[event.key] == 1
                    continue
                assert self.finals[event.key] == 0, "work for a finished frame"
                self.admitted.setdefault(event.key, self.steady)
                routes = self.routes.setdefault(event.key, [])
                assert event.route not in routes, "the same route twice"
                assert (event.deadline_ns != 0) == (event.route is not Route.LOCAL)
                routes.append(event.route)
            elif isinstance(event, Publish):
                assert event.result.age_ms >= 0
                if event.result.final:
                    self.finish(event.result)
            elif isinstance(event, PublishLate):
                self.late[event.result.key, event.result.origin] += 1
                assert self.late[event.result.key, event.result.origin] == 1
        assert self.arbiter.in_progress <= sum(self.bound)

    def finish(self, result: Result) -> None:
        self.finals[result.key] += 1
        assert self.finals[result.key] == 1, "two final results"
        spent_ms = (self.steady - self.admitted[result.key]) / MS
        routes = self.routes[result.key]
        allowed_ms = BUDGET_MS["local_timeout_ms"]
        if routes[0] is not Route.LOCAL:
            allowed_ms += BUDGET_MS["deadline_ms"]
        if routes[0] is Route.LOCAL and len(routes) > 1:
            allowed_ms += BUDGET_MS["escalate_deadline_ms"]
        assert spent_ms <= allowed_ms, "later than deadline and local budget"

    def wait(self, ms: int) -> None:
        """Let time pass, with a tick whenever one is due."""
        end = self.steady + ms * MS
        for _ in range(10_000):
            due = self.arbiter.next_deadline_ns()
            step = end - self.steady if due is None else max(0, due - self.now)
            if self.steady + step > end or due is None:
                break
            self.now += step
            self.steady += step
            self.take(self.arbiter.tick(self.now))
            after = self.arbiter.next_deadline_ns()
            assert after is None or after > self.now, "a tick that leaves something due"
        self.now += end - self.steady
        self.steady = end

    def key(self, n: int) -> FrameKey:
        """One of the last frames, or one never announced."""
        return self.keys[-1 - n] if n < len(self.keys) else FrameKey("main", -n)

    def answer(self, n: int, origin: Route, score: float | None, error: str) -> None:
        detections = Detections.empty(("a",))
        if score is not None:
            box, label = np.zeros((1, 4), np.float32), np.zeros(1, np.int32)
            detections = Detections(box, np.array([score], np.float32), label, ("a",))
        result = Result(self.key(n), origin, detections, error=error)
        if origin is Route.LOCAL:
            self.take(self.arbiter.local_result(result, self.now))
        else:
            self.take(self.arbiter.cloud_result(result, self.now))


@settings(
    max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
@given(config=configs, script=st.lists(steps, max_size=60))
def test_each_admitted_frame_gets_exactly_one_final_result_in_time(
    config: SchedulingConfig, script: list[tuple[Any, ...]]
) -> None:
    world = World(config)
    arbiter = world.arbiter
    for name, *values in script:
        if name == "frame":
            route, link_up, age_ms = values
            world.keys.append(FrameKey("main", len(world.keys) + 1))
            world.take(
                arbiter.frame(
                    world.keys[-1],
                    world.now - age_ms * MS,
                    Decision(route, "drawn", Route.CLOUD if age_ms % 2 else None),
                    link_up,
                    world.now,
                    Route.CLOUD,
                )
            )
        elif name == "again" and world.key(values[0]) in world.admitted:
            again = world.key(values[0])
            world.take(arbiter.frame(again, world.now, Decision(Route.LOCAL, ""), True, world.now))
        elif name == "local":
            world.answer(values[0], Route.LOCAL, values[1], values[2])
        elif name == "away":
            world.answer(values[0], Route.CLOUD, values[1], values[2])
        elif name == "heard":
            arbiter.heard(world.now)
        elif name == "lost":
            world.take(arbiter.link_lost(world.now))
        elif name == "wait":
            world.wait(values[0])
        elif name == "clock back":
            # What passes between two calls around a step cannot be known, so here nothing does.
            world.take(arbiter.tick(world.now))
            world.now -= values[0] * MS
            world.take(arbiter.tick(world.now))
        elif name == "expect":
            arbiter.expect(Expectation(*values))
        elif name == "configure":
            arbiter.configure(values[0])
            world.widen(values[0])
    world.wait(5000)

    assert arbiter.next_deadline_ns() is None
    assert arbiter.in_progress == 0
    assert arbiter.local_queue == 0
    outcomes = arbiter.take_outcomes()
    counted = [outcome.key for outcome in outcomes if outcome.counts]
    assert len(counted) == len(set(counted)), "two outcomes that count"
    assert len(counted) == arbiter.counters.frames
    counters = arbiter.counters
    assert counters.frames == len(world.keys)
    assert counters.results == sum(world.finals.values()) == len(world.admitted)
    assert counters.frames == counters.results + counters.superseded
    assert sum(counters.by_origin.values()) == counters.results


def test_memory_stays_bounded_over_many_frames_and_unknown_answers() -> None:
    arbiter = Arbiter(SchedulingConfig())
    for n in range(5_000):
        frame = FrameKey("main", n)
        arbiter.frame(frame, n * MS, Decision(Route.LOCAL, ""), True, n * MS)
        arbiter.local_result(Result(frame, Route.LOCAL, Detections.empty()), n * MS)
        stray = FrameKey("old", n)
        arbiter.cloud_result(Result(stray, Route.CLOUD, Detections.empty()), n * MS)
    assert arbiter.counters.results == 5_000
    assert arbiter.counters.late == 5_000
    assert len(arbiter._answers) <= 2048
    assert len(arbiter.take_outcomes()) <= 1024
    assert not arbiter.take_outcomes()
    assert arbiter.in_progress == 0
