"""The arbiter starts the device before the deadline, and sends away what the device is late for."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from mastra_ros.scheduling.arbiter.actions import DeadlineMissed, Dispatch
from mastra_ros.scheduling.arbiter.hedging import Expectation, hedge_at_ns
from mastra_ros.types import Decision, Route

MS = 1_000_000
LOCAL, CLOUD = Route.LOCAL, Route.CLOUD


@pytest.mark.parametrize(
    ("local_ms", "away_ms", "at_ms"),
    [
        (30, 200, 120),  # expected late: as late as is in time
        (30, 60, 120),  # overdue by then: the same
        (30, 140, 140),  # expected after that: when it should have come
        (200, 100, 100),  # too slow to be in time: when the cloud should have answered
        (200, 500, 1),  # both late: at once
        (math.nan, 60, None),
        (30, math.nan, None),
        (1, 150, None),
    ],
)
def test_the_moment_of_a_hedge(local_ms: float, away_ms: float, at_ms: float | None) -> None:
    at = hedge_at_ns(Expectation(local_ms, away_ms), 0, 150 * MS)
    assert at == (None if at_ms is None else at_ms * MS)


def hedging(make: Any, local_ms: float = 30, away_ms: float = 60, **values: Any) -> Any:
    bench = make(**values)
    bench.arbiter.expect(Expectation(local_ms, away_ms))
    return bench


def test_a_cloud_that_is_overdue_lets_the_device_answer_within_the_deadline(make: Any) -> None:
    bench = hedging(make)
    bench.frame(1, CLOUD, 0)
    bench.frame(2, CLOUD, 10)
    bench.cloud(2, 40)
    assert bench.due_ms == 120
    events = bench.tick(120)
    assert events == [Dispatch(bench.key(1), LOCAL, "hedged: the cloud may be late")]
    (final,) = bench.published(bench.local(1, 145))
    assert final.final
    assert (final.origin, final.reason) == (LOCAL, "hedged")
    assert bench.counters.hedged == 1
    assert bench.counters.fallbacks == 0


def test_of_a_silent_gateway_the_newest_frame_is_hedged_first(make: Any) -> None:
    bench = hedging(make)
    for number, at_ms in ((1, 0), (2, 33), (3, 66)):
        bench.frame(number, CLOUD, at_ms)
    assert bench.due_ms == 90, "half as long again as an answer is expected to take"
    assert [event.key for event in bench.tick(90)] == [bench.key(3)]
    bench.frame(4, CLOUD, 95)
    assert bench.tick(100) == [], "one at a time"
    bench.frame(5, CLOUD, 110)
    bench.local(3, 112)
    assert [event.key for event in bench.tick(112)] == [bench.key(5)]


def test_a_frame_that_fell_back_while_hedged_is_missed_once(make: Any) -> None:
    bench = hedging(make)
    for number, at_ms in ((1, 0), (2, 66)):
        bench.frame(number, CLOUD, at_ms)
    bench.tick(90)  # the newer one is hedged
    bench.tick(150)
    bench.local(2, 160)
    bench.local(1, 190)
    missed = bench.counters.missed
    assert bench.due_ms is None
    assert bench.tick(300) == []
    assert bench.counters.missed == missed == 1


def test_a_device_that_has_not_inferred_yet_is_asked_too_when_the_gateway_is_silent(
    make: Any,
) -> None:
    bench = hedging(make, local_ms=math.nan)
    bench.frame(1, CLOUD, 0)
    assert [event.key for event in bench.tick(90)] == [bench.key(1)]


def test_a_gateway_that_answers_is_not_doubted_and_heartbeats_are_no_answers(make: Any) -> None:
    bench = hedging(make)
    for number, at_ms in ((1, 0), (2, 10), (3, 20)):
        bench.frame(number, CLOUD, at_ms)
    bench.cloud(2, 50)
    bench.arbiter.heard(80 * MS)
    assert bench.tick(90) == []
    assert bench.due_ms == 120
    assert [event.key for event in bench.tick(120)] == [bench.key(1)]
    assert [event.key for event in bench.tick(140)] == [bench.key(3)]


def test_a_hedged_frame_has_one_final_result_and_the_other_answer_is_late(make: Any) -> None:
    bench = hedging(make)
    bench.frame(1, CLOUD, 0)
    bench.tick(120)
    assert [r.origin for r in bench.published(bench.cloud(1, 130))] == [CLOUD]
    events = bench.local(1, 145)
    assert bench.published(events) == []
    assert [r.origin for r in bench.late(events)] == [LOCAL]


def test_a_dead_gateway_is_noticed_although_hedging_saved_the_frame(make: Any) -> None:
    bench = hedging(make)
    bench.frame(1, CLOUD, 0)
    bench.tick(120)
    bench.local(1, 145)
    assert bench.due_ms == 150
    assert bench.tick(150) == [DeadlineMissed(bench.key(1), 0, silent=True)]
    assert bench.due_ms is None
    (saved, missed) = bench.arbiter.take_outcomes()
    assert saved.in_time
    assert saved.counts
    assert not missed.answered
    assert not missed.counts


def test_an_answer_after_the_hedge_but_in_time_is_no_miss(make: Any) -> None:
    bench = hedging(make)
    bench.frame(1, CLOUD, 0)
    bench.tick(120)
    bench.local(1, 140)
    assert len(bench.late(bench.cloud(1, 148))) == 1
    assert bench.tick(150) == []
    (_, side) = bench.arbiter.take_outcomes()
    assert side.took_ms == 148


def test_without_room_or_without_the_parameter_nothing_is_hedged(make: Any) -> None:
    bench = hedging(make, hedge=False)
    bench.frame(1, CLOUD, 0)
    assert bench.due_ms == 150
    full = hedging(make, local_in_flight=1)
    full.frame(1, LOCAL, 0)
    full.frame(2, CLOUD, 1)
    assert full.tick(121) == []
    assert full.counters.hedged == 0


def test_a_hedge_that_fails_leaves_the_cloud_its_time(make: Any) -> None:
    bench = hedging(make)
    bench.frame(1, CLOUD, 0)
    bench.tick(120)
    assert bench.local(1, 130, error="broken") == []
    assert [r.origin for r in bench.published(bench.cloud(1, 140))] == [CLOUD]
    again = hedging(make)
    again.frame(1, CLOUD, 0)
    again.tick(120)
    again.local(1, 130, error="broken")
    (final,) = again.published(again.tick(150))
    assert final.error == "broken"


def test_a_hedge_under_way_at_the_deadline_is_the_fallback(make: Any) -> None:
    bench = hedging(make)
    bench.frame(1, CLOUD, 0)
    bench.tick(120)
    events = bench.tick(150)
    assert [type(e) for e in events] == [DeadlineMissed]
    (final,) = bench.published(bench.local(1, 160))
    assert final.reason == "deadline"


def spilling(make: Any, **values: Any) -> Any:
    bench = hedging(make, 80, 100, **values)
    decision = replace(Decision(LOCAL, "because"), spill=CLOUD)

    def frame(n: int, now_ms: float, up: bool = True) -> list[Any]:
        now = round(now_ms * MS)
        return bench.arbiter.frame(bench.key(n), now, decision, up, now)

    bench.enter = frame
    return bench


def test_what_the_device_would_answer_late_goes_away(make: Any) -> None:
    bench = spilling(make)
    assert bench.sent(bench.enter(1, 0)) == [(1, LOCAL)]
    assert bench.sent(bench.enter(2, 20)) == [(2, LOCAL)]  # ready at 160, due at 170
    assert bench.sent(bench.enter(3, 30)) == [(3, CLOUD)]  # no room
    assert bench.counters.spilled == 1
    slow = spilling(make, local_in_flight=4)
    slow.enter(1, 0)
    assert slow.sent(slow.enter(2, 5)) == [(2, CLOUD)]  # ready at 160, due at 155


def test_without_a_link_it_waits_as_ever(make: Any) -> None:
    bench = spilling(make, local_in_flight=1)
    bench.enter(1, 0, up=False)
    assert bench.enter(2, 20, up=False) == []
