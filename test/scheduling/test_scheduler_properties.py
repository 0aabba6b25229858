"""For every sequence of events around a scheduler: one final result a frame, no busy waiting."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mastra_ros.config import SchedulingConfig
from mastra_ros.scheduling.arbiter.actions import Action, Dispatch, Publish
from mastra_ros.scheduling.fake import FakePolicy
from mastra_ros.scheduling.scheduler import Scheduler
from mastra_ros.types import Detections, FrameKey, LinkSample, LoadSample, Result, Route

MS = 1_000_000
ROUTES = st.sampled_from(list(Route))

steps = st.one_of(
    st.tuples(st.just("frame"), ROUTES),
    st.tuples(st.just("link"), st.booleans(), st.sampled_from([math.nan, 20.0, 20.0, 900.0])),
    st.tuples(st.just("link"), st.just(True), st.just(20.0)),
    st.tuples(st.just("answer"), st.integers(0, 5), st.sampled_from(["", "", "broken"])),
    st.tuples(st.just("answer"), st.just(0), st.just("")),
    st.tuples(st.just("wait"), st.integers(0, 400)),
    st.tuples(st.just("clock back"), st.integers(0, 5000)),
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(script=st.lists(steps, max_size=80))
def test_each_frame_is_answered_once_and_each_tick_does_what_is_due(
    script: list[tuple[Any, ...]],
) -> None:
    config = SchedulingConfig(dwell_ms=200.0, recovery_heartbeats=1, link_silence_ms=500.0)
    policy = FakePolicy()
    scheduler = Scheduler(config, policy)
    now = 1000 * MS
    open_work: list[Dispatch] = []
    finals: Counter[FrameKey] = Counter()
    frames = 0

    def take(actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Dispatch) and not action.archive:
                open_work.append(action)
                assert action.route is Route.LOCAL or scheduler.link(now).usable
            elif isinstance(action, Publish) and action.result.final:
                finals[action.result.key] += 1
                assert finals[action.result.key] == 1
        changes = scheduler.switches
        assert all(a.to_route is b.from_route for a, b in itertools.pairwise(changes))
        assert all(a.from_route is not a.to_route for a in changes)

    def wait(until: int) -> int:
        while (due := scheduler.next_deadline_ns()) is not None and due <= until:
            take(scheduler.tick(max(due, now)))
            after = scheduler.next_deadline_ns()
            assert after is None or after > due
        return until

    for name, *values in script:
        if name == "frame":
            frames += 1
            policy.route = values[0]
            take(scheduler.on_frame(FrameKey("main", frames), now, now))
        elif name == "link":
            up, rtt_ms = values
            sample = LinkSample(now, up, rtt_ms, last_heard_ns=now if up else 0)
            scheduler.on_load(LoadSample(now, 0.5, 0.5))
            take(scheduler.on_link(sample, now))
        elif name == "answer" and open_work:
            work = open_work.pop(values[0] % len(open_work))
            result = Result(work.key, work.route, Detections.empty(), error=values[1])
            if work.route is Route.LOCAL:
                take(scheduler.on_local_result(result, now))
            else:
                take(scheduler.on_cloud_result(result, now))
        elif name == "wait":
            now = wait(now + values[0] * MS)
        elif name == "clock back":
            now -= values[0] * MS
            take(scheduler.tick(now))
    wait(now + 10_000 * MS)
    counters = scheduler.counters
    assert scheduler.in_progress == 0
    assert counters.frames == frames == sum(finals.values()) + counters.superseded
    assert scheduler.next_deadline_ns() is None
