"""The arbiter's rules, one by one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from mastra_ros.config import SchedulingConfig
from mastra_ros.scheduling.actions import DeadlineMissed, Dispatch, Event, Publish, PublishLate
from mastra_ros.scheduling.arbiter import Arbiter
from mastra_ros.types import Decision, Detections, FrameKey, Result, Route

MS = 1_000_000
LOCAL, CLOUD, SPLIT = Route.LOCAL, Route.CLOUD, Route.SPLIT


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


def sent(events: list[Event]) -> list[tuple[int, Route]]:
    """Frames dispatched, without those for the spool."""
    return [
        (e.key.stamp_ns % 1000, e.route)
        for e in events
        if isinstance(e, Dispatch) and not e.archive
    ]


def archived(events: list[Event]) -> list[tuple[int, bool]]:
    return [
        (e.key.stamp_ns % 1000, e.hard) for e in events if isinstance(e, Dispatch) and e.archive
    ]


def published(events: list[Event]) -> list[Result]:
    return [e.result for e in events if isinstance(e, Publish)]


def late(events: list[Event]) -> list[Result]:
    return [e.result for e in events if isinstance(e, PublishLate)]


def test_a_local_frame_gets_the_local_result_with_reason_and_age() -> None:
    bench = Bench()
    assert sent(bench.frame(1, LOCAL, 100, captured_ms=95)) == [(1, LOCAL)]
    (final,) = published(bench.local(1, 120))
    assert final.final
    assert not final.late
    assert final.origin is LOCAL
    assert final.reason == "because"
    assert final.age_ms == pytest.approx(25)
    assert bench.due_ms is None


@pytest.mark.parametrize("route", [CLOUD, SPLIT])
def test_a_frame_sent_away_gets_the_answer(route: Route) -> None:
    bench = Bench()
    events = bench.frame(1, route, 100)
    assert sent(events) == [(1, route)]
    (final,) = published(bench.arbiter.cloud_result(result(1, route), 150 * MS))
    assert final.origin is route
    assert final.final
    assert bench.counters.by_origin == {route: 1}


@pytest.mark.parametrize(
    ("captured_ms", "due_ms"),
    [(1000, 1150), (980, 1130), (925, 1075), (0, 1075), (5000, 1150)],
)
def test_the_deadline_counts_from_capture_but_leaves_half_from_dispatch(
    captured_ms: float, due_ms: float
) -> None:
    bench = Bench(deadline_ms=150.0)
    (dispatch,) = bench.frame(1, CLOUD, 1000, captured_ms=captured_ms)
    assert isinstance(dispatch, Dispatch)
    assert dispatch.deadline_ns == due_ms * MS
    assert bench.due_ms == due_ms


def test_a_missed_deadline_falls_back_to_local_with_its_reason() -> None:
    bench = Bench()
    bench.frame(1, CLOUD, 0)
    assert bench.tick(149) == []
    events = bench.tick(150)
    assert events[0] == DeadlineMissed(key(1), 0, silent=True)
    assert events[1:] == [Dispatch(key(1), LOCAL, "deadline")]
    (final,) = published(bench.local(1, 170))
    assert final.origin is LOCAL
    assert final.reason == "deadline"
    assert bench.counters.fallbacks == bench.counters.missed == 1


def test_a_silent_gateway_costs_the_deadline_once() -> None:
    bench = Bench(local_in_flight=16)
    for n in range(5):
        bench.frame(n, CLOUD, 30 * n)
    assert sent(bench.tick(150)) == [(n, LOCAL) for n in (4, 3, 2, 1, 0)]
    assert bench.counters.missed == 1
    assert bench.counters.fallbacks == 5


def test_a_slow_gateway_that_is_heard_keeps_the_frames_still_in_time() -> None:
    bench = Bench()
    for n in range(4):
        bench.frame(n, CLOUD, 30 * n)
    assert bench.tick(100) == []
    bench.arbiter.heard(100 * MS)
    events = bench.tick(150)
    assert sent(events) == [(0, LOCAL)]
    assert events[0] == DeadlineMissed(key(0), 0, silent=False)
    assert len(published(bench.cloud(1, 160))) == 1


def test_an_answer_is_a_sign_of_life() -> None:
    bench = Bench()
    bench.frame(0, CLOUD, 0)
    bench.frame(1, CLOUD, 30)
    bench.cloud(1, 60)
    bench.frame(2, CLOUD, 70)
    assert sent(bench.tick(150)) == [(0, LOCAL)]


def test_a_failed_answer_falls_back_at_once() -> None:
    bench = Bench()
    bench.frame(1, CLOUD, 0)
    events = bench.cloud(1, 10, error="queue full")
    assert events == [Dispatch(key(1), LOCAL, "cloud failed: queue full")]


def test_a_lost_link_brings_all_frames_home_newest_first_as_the_device_has_room() -> None:
    bench = Bench(local_in_flight=2)
    for n in range(8):
        bench.frame(n, CLOUD, n)
    order = [n for n, _ in sent(bench.arbiter.link_lost(10 * MS))]
    finals = 0
    for step in range(8):
        assert len(order) - finals <= 2
        events = bench.local(order[finals], 30 + 20 * step)
        finals += len(published(events))
        order += [n for n, _ in sent(events)]
    assert order == [7, 6, 5, 4, 3, 2, 1, 0]
    assert finals == 8


def test_while_frames_come_home_the_newest_waits_and_replaces_others() -> None:
    bench = Bench(local_in_flight=1)
    for n in range(3):
        bench.frame(n, CLOUD, n)
    bench.arbiter.link_lost(10 * MS)
    for n in range(3, 6):
        assert sent(bench.frame(n, LOCAL, 10 + n, up=False)) == []
    assert bench.counters.superseded == 2
    taken = [n for at, n in enumerate((2, 1, 0)) for n, _ in sent(bench.local(n, 100 + at))]
    assert taken == [1, 0, 5]
    assert len(published(bench.local(5, 200))) == 1
    assert bench.counters.results == 4


def test_a_stream_of_fallbacks_starves_none() -> None:
    bench = Bench(local_in_flight=1, local_timeout_ms=1000.0)
    events: list[Event] = []
    finals: list[Result] = []
    busy: list[tuple[int, float]] = []
    for n in range(400):
        now = n * 10.0
        events = bench.frame(n, CLOUD, now)
        events += bench.cloud(n, now, error="refused") if (n, CLOUD) in sent(events) else []
        if busy and now - busy[0][1] >= 50:
            events += bench.local(busy.pop(0)[0], now)
        events += bench.tick(now)
        for m, route in sent(events):
            if route is CLOUD and m != n:
                events += bench.cloud(m, now, error="refused")
        busy += [(m, now) for m, route in sent(events) if route is LOCAL]
        finals += published(events)
    assert len(finals) > 70
    assert bench.counters.failed == 0


def test_beyond_the_bound_frames_wait_in_one_slot() -> None:
    bench = Bench(local_in_flight=2)
    assert sent(bench.frame(1, LOCAL, 0) + bench.frame(2, LOCAL, 1)) == [(1, LOCAL), (2, LOCAL)]
    assert bench.frame(3, LOCAL, 2) == []
    assert bench.frame(4, LOCAL, 3) == []
    assert bench.counters.superseded == 1
    assert bench.arbiter.in_progress == 2
    assert bench.arbiter.local_queue == 3
    assert sent(bench.local(1, 20)) == [(4, LOCAL)]


def test_frames_away_are_bounded_too() -> None:
    bench = Bench(cloud_in_flight=2)
    bench.frame(1, CLOUD, 0)
    bench.frame(2, CLOUD, 1)
    assert bench.frame(3, CLOUD, 2) == []
    assert sent(bench.cloud(1, 30)) == [(3, CLOUD)]


def test_a_frame_that_waited_goes_local_when_the_link_is_lost_meanwhile() -> None:
    bench = Bench(cloud_in_flight=1, local_in_flight=4)
    bench.frame(1, CLOUD, 0)
    bench.frame(2, CLOUD, 1)
    events = bench.arbiter.link_lost(10 * MS)
    assert sent(events) == [(1, LOCAL), (2, LOCAL)]
    assert archived(events) == [(2, False)]


def test_a_frame_that_waited_too_long_is_superseded() -> None:
    bench = Bench(cloud_in_flight=1, deadline_ms=5000.0, local_timeout_ms=1000.0)
    bench.frame(1, CLOUD, 0)
    bench.frame(2, CLOUD, 1)
    assert bench.due_ms == 1001
    bench.tick(1001)
    assert bench.counters.superseded == 1
    assert bench.arbiter.in_progress == 1


def test_a_local_model_that_does_not_answer_is_a_final_error_and_frees_its_place() -> None:
    bench = Bench(local_in_flight=1, local_timeout_ms=500.0)
    bench.frame(1, LOCAL, 0)
    bench.frame(2, LOCAL, 100)
    events = bench.tick(500)
    (final,) = published(events)
    assert "within 500 ms" in final.error
    assert final.final
    assert sent(events) == [(2, LOCAL)]
    assert bench.counters.failed == 1
    (after,) = late(bench.local(1, 600))
    assert after.late
    assert not after.final


def test_a_local_error_is_final() -> None:
    bench = Bench()
    bench.frame(1, LOCAL, 0)
    (final,) = published(bench.local(1, 10, error="bad tensor"))
    assert final.error == "bad tensor"


def test_the_first_answer_after_a_fallback_wins_and_the_second_is_late() -> None:
    bench = Bench()
    bench.frame(1, CLOUD, 0)
    bench.tick(150)
    (final,) = published(bench.cloud(1, 160))
    assert final.origin is CLOUD
    assert final.late
    events = bench.local(1, 170)
    assert published(events) == []
    (second,) = late(events)
    assert second.origin is LOCAL
    assert second.age_ms == pytest.approx(170)


def test_an_answer_spares_a_frame_that_still_waits_for_the_local_model() -> None:
    bench = Bench(local_in_flight=1)
    bench.frame(1, CLOUD, 0)
    bench.frame(2, CLOUD, 1)
    assert sent(bench.tick(160)) == [(2, LOCAL)]
    assert len(published(bench.cloud(1, 165))) == 1
    assert sent(bench.local(2, 180)) == []
    assert bench.arbiter.in_progress == 0


def test_late_answers_are_published_apart_once_for_each_origin() -> None:
    bench = Bench()
    bench.frame(1, CLOUD, 0)
    bench.tick(150)
    bench.local(1, 170)
    assert len(late(bench.cloud(1, 300))) == 1
    assert bench.cloud(1, 400) == []
    assert bench.local(1, 500) == []
    assert bench.counters.late == 1
    assert bench.counters.results == 1


def test_answers_for_unknown_frames_are_late_and_late_errors_are_no_news() -> None:
    bench = Bench()
    (answer,) = late(bench.cloud(77, 10))
    assert answer.late
    assert not answer.final
    assert math.isnan(answer.age_ms)
    assert bench.cloud(77, 11) == []
    assert bench.cloud(78, 12, error="gone") == []


def test_a_frame_announced_twice_counts_once() -> None:
    bench = Bench(local_in_flight=1)
    bench.frame(1, LOCAL, 0)
    bench.frame(2, LOCAL, 1)
    assert bench.frame(1, LOCAL, 2) == []
    assert bench.frame(2, LOCAL, 3) == []
    bench.local(1, 4)
    assert bench.frame(1, LOCAL, 5) == []
    assert bench.counters.frames == 2
    assert bench.counters.duplicates == 3


def test_an_unsure_local_result_is_provisional_and_refined() -> None:
    bench = Bench(escalate_below=0.5, escalate_deadline_ms=400.0)
    bench.frame(1, LOCAL, 0)
    events = bench.local(1, 20, score=0.4)
    (provisional,) = published(events)
    assert not provisional.final
    dispatch = events[-1]
    assert dispatch == Dispatch(
        key(1), CLOUD, "escalated: confidence 0.40", deadline_ns=420 * MS, hard=True
    )
    (final,) = published(bench.cloud(1, 100, score=0.9))
    assert final.final
    assert final.origin is CLOUD
    assert final.reason == "escalated"
    assert bench.counters.refined == bench.counters.escalated == 1


@pytest.mark.parametrize("how", ["deadline", "failure", "link lost"])
def test_without_a_refinement_the_local_result_becomes_final(how: str) -> None:
    bench = Bench()
    bench.frame(1, LOCAL, 0)
    bench.local(1, 20, score=0.4)
    if how == "deadline":
        events = bench.tick(420)
    elif how == "failure":
        events = bench.cloud(1, 50, error="refused")
    else:
        events = bench.arbiter.link_lost(50 * MS)
    (final,) = published(events)
    assert final.final
    assert final.origin is LOCAL
    assert final.reason.startswith("because (not refined")
    assert final.detections.scores[0] == pytest.approx(0.4)
    assert len(late(bench.cloud(1, 500))) == 1
    assert bench.local(1, 501, score=0.4) == []


def test_escalation_is_bounded_and_can_be_turned_off() -> None:
    bench = Bench(escalate_in_flight=1)
    bench.frame(1, LOCAL, 0)
    bench.frame(2, LOCAL, 1)
    assert sent(bench.local(1, 20, score=0.1)) == [(1, CLOUD)]
    (final,) = published(bench.local(2, 21, score=0.1))
    assert final.final
    off = Bench(escalate_below=0.0)
    off.frame(1, LOCAL, 0)
    assert published(off.local(1, 20, score=0.0))[0].final


def test_confident_results_and_frames_that_were_away_are_not_escalated() -> None:
    bench = Bench()
    bench.frame(1, LOCAL, 0)
    assert published(bench.local(1, 20, score=0.5))[0].final
    bench.frame(2, CLOUD, 30)
    bench.tick(180)
    assert published(bench.local(2, 200, score=0.1))[0].final


def test_during_an_outage_frames_are_archived_at_the_interval() -> None:
    bench = Bench(archive_interval_ms=500.0)
    spooled: list[tuple[int, bool]] = []
    for n in range(20):
        events = bench.frame(n, LOCAL, 100 * n, up=False, wanted=CLOUD)
        assert sent(events) == [(n, LOCAL)]
        spooled += archived(events)
        bench.local(n, 100 * n + 10)
    assert spooled == [(0, False), (5, False), (10, False), (15, False)]
    assert bench.counters.archived == 4


def test_unsure_frames_are_archived_as_hard_and_none_twice() -> None:
    bench = Bench(archive_interval_ms=500.0)
    bench.frame(1, LOCAL, 0, up=False, wanted=CLOUD)
    assert archived(bench.local(1, 10, score=0.2)) == []
    bench.frame(2, LOCAL, 100, up=False, wanted=CLOUD)
    events = bench.local(2, 110, score=0.2)
    assert archived(events) == [(2, True)]
    assert published(events)[0].final
    bench.frame(3, LOCAL, 200, up=False, wanted=CLOUD)
    assert archived(bench.local(3, 210, score=0.2)) == []


def test_nothing_is_archived_while_the_link_is_up_or_without_a_gateway() -> None:
    bench = Bench()
    assert archived(bench.frame(1, LOCAL, 0, wanted=CLOUD)) == []
    bench.local(1, 10)
    bench.arbiter.spooling = False
    assert archived(bench.frame(2, CLOUD, 20, up=False)) == []
    assert archived(bench.local(2, 30, score=0.1)) == []


def test_changed_parameters_count_from_the_next_frame() -> None:
    bench = Bench(deadline_ms=150.0)
    bench.frame(1, CLOUD, 0)
    bench.arbiter.configure(SchedulingConfig(deadline_ms=50.0))
    bench.frame(2, CLOUD, 10)
    assert bench.due_ms == 60
    assert bench.tick(59) == []
    bench.arbiter.heard(59 * MS)
    assert sent(bench.tick(60)) == [(2, LOCAL)]
    assert bench.due_ms == 150


def test_a_step_backwards_neither_hurries_nor_delays_deadlines() -> None:
    bench = Bench()
    bench.frame(1, CLOUD, 1_000_000)
    assert bench.tick(1_000_100) == []
    assert bench.tick(500) == []
    assert bench.due_ms == 550
    assert sent(bench.tick(550)) == [(1, LOCAL)]
    (final,) = published(bench.local(1, 560))
    assert final.age_ms == pytest.approx(160)
