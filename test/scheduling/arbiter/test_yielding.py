"""The device works on frames that it can answer in time, as long as there are any."""

from __future__ import annotations

from typing import Any

import pytest

from mastra_ros.scheduling.arbiter.hedging import Expectation
from mastra_ros.types import Decision, Route

MS = 1_000_000
LOCAL, CLOUD = Route.LOCAL, Route.CLOUD


def streaming(
    make: Any, local_ms: float, *, deviation_ms: float = 0.0, every_ms: int = 100, **values: Any
) -> Any:
    """An arbiter that has seen frames each `every_ms` until 1000 ms, all answered.

    The device takes `local_ms` for the next ones, give or take `deviation_ms`.
    """
    bench = make(**{"local_in_flight": 1, "deadline_ms": 150.0, **values})
    upper_ms = local_ms + deviation_ms
    bench.arbiter.expect(Expectation(upper_ms, 1e3, local_deviation_ms=deviation_ms))
    for n in range(10):
        at = 1000 - (10 - n) * every_ms
        bench.frame(n, LOCAL, at)
        bench.local(n, at + 1)
    return bench


def decide(bench: Any, n: int, now_ms: float, decision: Decision, up: bool = True) -> Any:
    at = round(now_ms * MS)
    return bench.arbiter.frame(bench.key(n), at, decision, up, at)


def test_a_frame_that_would_be_late_leaves_the_device_to_the_next(make: Any) -> None:
    bench = streaming(make, 120)
    assert bench.sent(bench.frame(20, LOCAL, 1000)) == [(20, LOCAL)]
    assert bench.sent(bench.frame(21, LOCAL, 1100)) == []
    assert bench.sent(bench.local(20, 1140)) == []  # 21 would be done at 1260, and is due at 1250
    assert bench.sent(bench.frame(22, LOCAL, 1200)) == [(22, LOCAL)]
    assert bench.counters.superseded == 1


def test_it_does_not_wait_for_a_frame_that_does_not_come(make: Any) -> None:
    bench = streaming(make, 120)
    bench.frame(20, LOCAL, 1000)
    bench.frame(21, LOCAL, 1100)
    bench.local(20, 1140)
    assert bench.due_ms == 1250
    assert bench.sent(bench.tick(1220)) == []
    assert bench.sent(bench.tick(1250)) == [(21, LOCAL)]


def test_where_every_frame_is_late_none_yields(make: Any) -> None:
    slow = streaming(make, 200)
    assert slow.sent(slow.frame(20, LOCAL, 1000)) == [(20, LOCAL)]
    slow.frame(21, LOCAL, 1100)
    assert slow.sent(slow.local(20, 1190)) == [(21, LOCAL)]
    old = streaming(make, 50)  # a camera whose frames are old on arrival
    assert old.sent(old.frame(20, LOCAL, 1000, captured_ms=880)) == [(20, LOCAL)]


def test_where_every_frame_is_a_toss_up_the_fresh_one_has_the_better_chance(make: Any) -> None:
    bench = streaming(make, 145, deviation_ms=12, every_ms=80)
    assert bench.sent(bench.frame(20, LOCAL, 1000)) == [(20, LOCAL)]
    bench.frame(21, LOCAL, 1080)
    assert bench.sent(bench.local(20, 1140)) == []  # 21 would be late for certain
    assert bench.sent(bench.frame(22, LOCAL, 1160)) == [(22, LOCAL)]


def test_a_long_idle_wait_is_not_worth_a_slightly_better_chance(make: Any) -> None:
    bench = streaming(make, 130, deviation_ms=12, every_ms=100)
    bench.frame(20, LOCAL, 1000)
    bench.frame(21, LOCAL, 1100)
    assert bench.sent(bench.local(20, 1105)) == [(21, LOCAL)]  # 95 ms until the next


def test_a_frame_spills_where_its_chance_is_better_than_here(make: Any) -> None:
    for worth, route in ((0.5, LOCAL), (0.9, CLOUD)):
        bench = streaming(make, 145, deviation_ms=12)  # a chance of about 0.64
        wish = Decision(LOCAL, "because", CLOUD, spill_worth=worth)
        assert bench.sent(decide(bench, 20, 1000, wish)) == [(20, route)]


def test_one_that_fell_back_waits_while_the_next_frame_would_be_late_for_it(make: Any) -> None:
    bench = streaming(make, 130, local_timeout_ms=600.0, hedge=False)
    away = Decision(LOCAL, "because", CLOUD, spill_worth=2.0)
    assert bench.sent(decide(bench, 20, 1000, away)) == [(20, CLOUD)]
    bench.frame(21, LOCAL, 1090)
    bench.tick(1151)  # 20 falls back
    assert bench.sent(bench.local(21, 1170)) == []  # with 20 the device is busy until 1300
    assert bench.due_ms == pytest.approx(1240, abs=1)
    assert bench.sent(bench.frame(22, LOCAL, 1190)) == [(22, LOCAL)]
    assert bench.sent(bench.local(22, 1320)) == []
    assert bench.sent(bench.tick(1340)) == [(20, LOCAL)]  # no frame has come for long


def test_a_late_answer_spares_the_device_a_frame_that_waited(make: Any) -> None:
    bench = streaming(make, 130, hedge=False)
    away = Decision(LOCAL, "because", CLOUD, spill_worth=2.0)
    decide(bench, 20, 1000, away)
    bench.frame(21, LOCAL, 1090)
    bench.tick(1151)
    bench.local(21, 1170)
    (published,) = bench.cloud(20, 1180)
    assert published.result.final
    assert published.result.origin is CLOUD
    assert bench.arbiter.in_progress == 0


def test_no_frame_is_hedged_while_the_next_one_needs_the_device(make: Any) -> None:
    bench = streaming(make, 130)
    away = Decision(LOCAL, "because", CLOUD, spill_worth=2.0)
    assert bench.sent(decide(bench, 20, 1000, away)) == [(20, CLOUD)]
    assert bench.sent(bench.tick(1060)) == []  # the cloud is expected late, and so would this be
    assert bench.counters.hedged == 0
    assert bench.sent(bench.frame(21, LOCAL, 1100)) == [(21, LOCAL)]


def test_a_doubted_gateway_is_hedged_once_no_frame_comes(make: Any) -> None:
    bench = make(local_in_flight=1, deadline_ms=300.0)
    bench.arbiter.expect(Expectation(200, 60, usual_ms=60))
    for n in range(10):
        bench.frame(n, LOCAL, 100 * n)
        bench.local(n, 100 * n + 1)
    away = Decision(LOCAL, "because", CLOUD, spill_worth=2.0)
    assert bench.sent(decide(bench, 20, 1000, away)) == [(20, CLOUD)]
    sent, ticks = [], 0
    while bench.due_ms is not None and bench.due_ms < 1290:
        sent += bench.sent(bench.tick(bench.due_ms))
        ticks += 1
        assert ticks < 20  # each tick gets on
    assert sent == [(20, LOCAL)]


def test_a_frame_that_the_device_can_answer_in_time_waits_and_does_not_spill(make: Any) -> None:
    bench, wish = streaming(make, 60), Decision(LOCAL, "because", CLOUD)
    assert bench.sent(decide(bench, 20, 1000, wish, up=True)) == [(20, LOCAL)]
    assert bench.sent(decide(bench, 21, 1010, wish)) == []  # done at 1120, due at 1160
    assert bench.sent(bench.local(20, 1060)) == [(21, LOCAL)]


def test_a_frame_spills_that_the_next_would_replace_before_the_device_is_free(make: Any) -> None:
    bench = streaming(make, 160, deadline_ms=1000.0)
    wish = Decision(LOCAL, "because", CLOUD)
    assert bench.sent(decide(bench, 20, 1000, wish)) == [(20, LOCAL)]
    assert bench.sent(decide(bench, 21, 1010, wish)) == [(21, CLOUD)]
    assert bench.sent(decide(bench, 22, 1100, wish)) == []  # the device is free at 1160


def test_a_frame_without_a_chance_away_stays_if_the_device_is_in_time(make: Any) -> None:
    blocked = Decision(CLOUD, "because", recall=True)
    bench = streaming(make, 60)
    assert bench.sent(decide(bench, 20, 1000, blocked)) == [(20, LOCAL)]
    slow = streaming(make, 200)
    assert slow.sent(decide(slow, 20, 1000, blocked)) == [(20, CLOUD)]


def test_a_frame_in_time_goes_before_one_that_is_late_but_not_for_ever(make: Any) -> None:
    bench = streaming(make, 60, local_timeout_ms=600.0, hedge=False)
    bench.frame(20, LOCAL, 1000)
    assert bench.sent(decide(bench, 21, 1001, Decision(CLOUD, "because"))) == [(21, CLOUD)]
    bench.tick(1151)  # due: it falls back, while the device has another
    order = []
    for n, at in ((22, 1155), (23, 1255), (24, 1355), (25, 1455), (26, 1555)):
        bench.frame(n, LOCAL, at)
        before = n - 1 if n > 22 else 20
        order += bench.sent(bench.local(order[-1][0] if order else before, at + 5))
    assert order[0] == (22, LOCAL)
    assert (21, LOCAL) in order[1:]
