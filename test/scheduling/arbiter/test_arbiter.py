"""The arbiter's rules, one by one: routes, deadlines and who goes first."""

from __future__ import annotations

from typing import Any

import pytest

from mastra_ros.config import SchedulingConfig
from mastra_ros.scheduling.arbiter.actions import DeadlineMissed, Dispatch, Event, Superseded
from mastra_ros.types import Decision, FrameKey, Result, Route

MS = 1_000_000
LOCAL, CLOUD, SPLIT = Route.LOCAL, Route.CLOUD, Route.SPLIT


def test_a_local_frame_gets_the_local_result_with_reason_and_age(make: Any) -> None:
    bench = make()
    assert bench.sent(bench.frame(1, LOCAL, 100, captured_ms=95)) == [(1, LOCAL)]
    (final,) = bench.published(bench.local(1, 120))
    assert final.final
    assert not final.late
    assert final.origin is LOCAL
    assert final.reason == "because"
    assert final.age_ms == pytest.approx(25)
    assert bench.due_ms is None


@pytest.mark.parametrize("route", [CLOUD, SPLIT])
def test_a_frame_sent_away_gets_the_answer(make: Any, route: Route) -> None:
    bench = make()
    events = bench.frame(1, route, 100)
    assert bench.sent(events) == [(1, route)]
    (final,) = bench.published(bench.arbiter.cloud_result(bench.result(1, route), 150 * MS))
    assert final.origin is route
    assert final.final
    assert bench.counters.by_origin == {route: 1}


@pytest.mark.parametrize(
    ("captured_ms", "due_ms"),
    [(1000, 1150), (980, 1130), (925, 1075), (0, 1075), (5000, 1150)],
)
def test_the_deadline_counts_from_capture_but_leaves_half_from_dispatch(
    make: Any, captured_ms: float, due_ms: float
) -> None:
    bench = make(deadline_ms=150.0)
    (dispatch,) = bench.frame(1, CLOUD, 1000, captured_ms=captured_ms)
    assert isinstance(dispatch, Dispatch)
    assert dispatch.deadline_ns == due_ms * MS
    assert bench.due_ms == due_ms


def test_a_missed_deadline_falls_back_to_local_with_its_reason(make: Any) -> None:
    bench = make()
    bench.frame(1, CLOUD, 0)
    assert bench.tick(149) == []
    events = bench.tick(150)
    assert events[0] == DeadlineMissed(bench.key(1), 0, silent=True)
    assert events[1:] == [Dispatch(bench.key(1), LOCAL, "deadline")]
    (final,) = bench.published(bench.local(1, 170))
    assert final.origin is LOCAL
    assert final.reason == "deadline"
    assert bench.counters.fallbacks == bench.counters.missed == 1


def test_a_silent_gateway_costs_the_deadline_once(make: Any) -> None:
    bench = make(local_in_flight=16)
    for n in range(5):
        bench.frame(n, CLOUD, 30 * n)
    assert bench.sent(bench.tick(150)) == [(n, LOCAL) for n in (4, 3, 2, 1, 0)]
    assert bench.counters.missed == 1
    assert bench.counters.fallbacks == 5


def test_a_slow_gateway_that_is_heard_keeps_the_frames_still_in_time(make: Any) -> None:
    bench = make()
    for n in range(4):
        bench.frame(n, CLOUD, 30 * n)
    assert bench.tick(100) == []
    bench.arbiter.heard(100 * MS)
    events = bench.tick(150)
    assert bench.sent(events) == [(0, LOCAL)]
    assert events[0] == DeadlineMissed(bench.key(0), 0, silent=False)
    assert len(bench.published(bench.cloud(1, 160))) == 1


def test_an_answer_is_a_sign_of_life(make: Any) -> None:
    bench = make()
    bench.frame(0, CLOUD, 0)
    bench.frame(1, CLOUD, 30)
    bench.cloud(1, 60)
    bench.frame(2, CLOUD, 70)
    assert bench.sent(bench.tick(150)) == [(0, LOCAL)]


def test_a_failed_answer_falls_back_at_once(make: Any) -> None:
    bench = make()
    bench.frame(1, CLOUD, 0)
    events = bench.cloud(1, 10, error="queue full")
    assert events == [Dispatch(bench.key(1), LOCAL, "cloud failed: queue full")]


def test_a_lost_link_brings_all_frames_home_newest_first_as_the_device_has_room(make: Any) -> None:
    bench = make(local_in_flight=2)
    for n in range(8):
        bench.frame(n, CLOUD, n)
    order = [n for n, _ in bench.sent(bench.arbiter.link_lost(10 * MS))]
    finals = 0
    for step in range(8):
        assert len(order) - finals <= 2
        events = bench.local(order[finals], 30 + 20 * step)
        finals += len(bench.published(events))
        order += [n for n, _ in bench.sent(events)]
    assert order == [7, 6, 5, 4, 3, 2, 1, 0]
    assert finals == 8


def test_while_frames_come_home_the_newest_waits_and_replaces_others(make: Any) -> None:
    bench = make(local_in_flight=1)
    for n in range(3):
        bench.frame(n, CLOUD, n)
    bench.arbiter.link_lost(10 * MS)
    for n in range(3, 6):
        assert bench.sent(bench.frame(n, LOCAL, 10 + n, up=False)) == []
    assert bench.counters.superseded == 2
    taken = [n for at, n in enumerate((2, 1, 0)) for n, _ in bench.sent(bench.local(n, 100 + at))]
    assert taken == [1, 0, 5]
    assert len(bench.published(bench.local(5, 200))) == 1
    assert bench.counters.results == 4


def test_a_stream_of_fallbacks_starves_none(make: Any) -> None:
    bench = make(local_in_flight=1, local_timeout_ms=1000.0)
    events: list[Event] = []
    finals: list[Result] = []
    busy: list[tuple[int, float]] = []
    for n in range(400):
        now = n * 10.0
        events = bench.frame(n, CLOUD, now)
        events += bench.cloud(n, now, error="refused") if (n, CLOUD) in bench.sent(events) else []
        if busy and now - busy[0][1] >= 50:
            events += bench.local(busy.pop(0)[0], now)
        events += bench.tick(now)
        for m, route in bench.sent(events):
            if route is CLOUD and m != n:
                events += bench.cloud(m, now, error="refused")
        busy += [(m, now) for m, route in bench.sent(events) if route is LOCAL]
        finals += bench.published(events)
    assert len(finals) > 70
    assert bench.counters.failed == 0


def test_beyond_the_bound_frames_wait_in_one_slot(make: Any) -> None:
    bench = make(local_in_flight=2)
    assert bench.sent(bench.frame(1, LOCAL, 0) + bench.frame(2, LOCAL, 1)) == [
        (1, LOCAL),
        (2, LOCAL),
    ]
    assert bench.frame(3, LOCAL, 2) == []
    (event,) = bench.frame(4, LOCAL, 3)
    assert isinstance(event, Superseded)
    assert event.key.stamp_ns % 1000 == 3
    assert bench.counters.superseded == 1
    assert bench.arbiter.in_progress == 2
    assert bench.arbiter.local_queue == 3
    assert bench.sent(bench.local(1, 20)) == [(4, LOCAL)]


def test_frames_away_are_bounded_too(make: Any) -> None:
    bench = make(cloud_in_flight=2)
    bench.frame(1, CLOUD, 0)
    bench.frame(2, CLOUD, 1)
    assert bench.frame(3, CLOUD, 2) == []
    assert bench.sent(bench.cloud(1, 30)) == [(3, CLOUD)]


def test_a_frame_that_waited_goes_local_when_the_link_is_lost_meanwhile(make: Any) -> None:
    bench = make(cloud_in_flight=1, local_in_flight=4)
    bench.frame(1, CLOUD, 0)
    bench.frame(2, CLOUD, 1)
    events = bench.arbiter.link_lost(10 * MS)
    assert bench.sent(events) == [(1, LOCAL), (2, LOCAL)]
    assert bench.archived(events) == [(2, False)]


def test_a_frame_that_waited_too_long_is_superseded(make: Any) -> None:
    bench = make(cloud_in_flight=1, deadline_ms=5000.0, local_timeout_ms=1000.0)
    bench.frame(1, CLOUD, 0)
    bench.frame(2, CLOUD, 1)
    assert bench.due_ms == 1001
    bench.tick(1001)
    assert bench.counters.superseded == 1
    assert bench.arbiter.in_progress == 1


def test_a_local_model_that_does_not_answer_is_a_final_error_and_frees_its_place(make: Any) -> None:
    bench = make(local_in_flight=1, local_timeout_ms=500.0)
    bench.frame(1, LOCAL, 0)
    bench.frame(2, LOCAL, 100)
    events = bench.tick(500)
    (final,) = bench.published(events)
    assert "within 500 ms" in final.error
    assert final.final
    assert bench.sent(events) == [(2, LOCAL)]
    assert bench.counters.failed == 1
    (after,) = bench.late(bench.local(1, 600))
    assert after.late
    assert not after.final


def test_a_local_error_is_final(make: Any) -> None:
    bench = make()
    bench.frame(1, LOCAL, 0)
    (final,) = bench.published(bench.local(1, 10, error="bad tensor"))
    assert final.error == "bad tensor"


def test_the_first_answer_after_a_fallback_wins_and_the_second_is_late(make: Any) -> None:
    bench = make()
    bench.frame(1, CLOUD, 0)
    bench.tick(150)
    (final,) = bench.published(bench.cloud(1, 160))
    assert final.origin is CLOUD
    assert final.late
    events = bench.local(1, 170)
    assert bench.published(events) == []
    (second,) = bench.late(events)
    assert second.origin is LOCAL
    assert second.age_ms == pytest.approx(170)


def test_an_answer_spares_a_frame_that_still_waits_for_the_local_model(make: Any) -> None:
    bench = make(local_in_flight=1)
    bench.frame(1, CLOUD, 0)
    bench.frame(2, CLOUD, 1)
    assert bench.sent(bench.tick(160)) == [(2, LOCAL)]
    assert len(bench.published(bench.cloud(1, 165))) == 1
    assert bench.sent(bench.local(2, 180)) == []
    assert bench.arbiter.in_progress == 0


def test_changed_parameters_count_from_the_next_frame(make: Any) -> None:
    bench = make(deadline_ms=150.0)
    bench.frame(1, CLOUD, 0)
    bench.arbiter.configure(SchedulingConfig(deadline_ms=50.0))
    bench.frame(2, CLOUD, 10)
    assert bench.due_ms == 60
    assert bench.tick(59) == []
    bench.arbiter.heard(59 * MS)
    assert bench.sent(bench.tick(60)) == [(2, LOCAL)]
    assert bench.due_ms == 150


def test_a_step_backwards_neither_hurries_nor_delays_deadlines(make: Any) -> None:
    bench = make()
    bench.frame(1, CLOUD, 1_000_000)
    assert bench.tick(1_000_100) == []
    assert bench.tick(500) == []
    assert bench.due_ms == 550
    assert bench.sent(bench.tick(550)) == [(1, LOCAL)]
    (final,) = bench.published(bench.local(1, 560))
    assert final.age_ms == pytest.approx(160)


@pytest.mark.parametrize("state", ["waiting", "local", "away", "unknown"])
def test_a_frame_answered_elsewhere_gets_no_second_final_result(make: Any, state: str) -> None:
    bench = make(local_in_flight=1)
    bench.frame(1, LOCAL, 0)
    if state == "away":
        bench.frame(2, CLOUD, 1)
    elif state == "waiting":
        bench.frame(2, LOCAL, 1)
    number = {"waiting": 2, "away": 2, "local": 1, "unknown": 3}[state]
    key = bench.result(number, LOCAL).key
    bench.arbiter.answered(key, 10 * MS)
    assert bench.counters.elsewhere == (state != "unknown")
    assert bench.frame(number, LOCAL, 11) == [], "it is known, should it be announced after all"
    finals = bench.published(bench.local(number, 20)) + bench.published(bench.local(1, 21))
    finals += bench.published(bench.arbiter.cloud_result(bench.result(number, CLOUD), 22 * MS))
    finals += bench.published(bench.tick(60_000))
    assert key not in [final.key for final in finals]
    counters = bench.counters
    waiting_or_finished = counters.results + counters.superseded + counters.elsewhere
    assert counters.frames == waiting_or_finished


def test_a_frame_answered_elsewhere_makes_room_for_the_one_that_waits(make: Any) -> None:
    bench = make(local_in_flight=1)
    bench.frame(1, LOCAL, 0)
    bench.frame(2, LOCAL, 1)
    assert bench.sent(bench.arbiter.answered(bench.result(1, LOCAL).key, 10 * MS)) == [(2, LOCAL)]


def test_an_answer_without_an_id_is_that_of_the_frame_in_progress_with_its_stamp(
    make: Any,
) -> None:
    arbiter = make().arbiter
    key = FrameKey("main", 5, "a-1")
    arbiter.frame(key, 0, Decision(LOCAL, "because"), True, 0)
    assert arbiter.named(key.unnamed) == key
    assert arbiter.named(FrameKey("main", 6)) == FrameKey("main", 6)
    assert arbiter.named(FrameKey("main", 5, "b-1")) == FrameKey("main", 5, "b-1")
