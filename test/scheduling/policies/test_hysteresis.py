"""Dwell, forced fallback and cautious return."""

from __future__ import annotations

from mastra_ros.config import SchedulingConfig
from mastra_ros.scheduling.estimates.link import LinkEstimate
from mastra_ros.scheduling.fake import FakePolicy
from mastra_ros.scheduling.policies.hysteresis import Hysteresis
from mastra_ros.types import Decision, LinkSample, LoadSample, Route

MS = 1_000_000
LOCAL, CLOUD = Route.LOCAL, Route.CLOUD
CONFIG = SchedulingConfig(dwell_ms=1000, recovery_heartbeats=3, hold_max_ms=4000)
LOAD = LoadSample(0, 0.5, 0.5)


def link(good: int = 100, up: bool = True) -> LinkEstimate:
    return LinkEstimate(LinkSample(0, up, 20.0, last_heard_ns=1), 0.0, 0.0, good)


def keeper(route: Route = CLOUD) -> tuple[Hysteresis, FakePolicy]:
    policy = FakePolicy(route)
    hysteresis = Hysteresis(policy, CONFIG)
    hysteresis.decide(LOAD, link(up=False), 0)
    return hysteresis, policy


def test_it_begins_local_until_the_link_has_proved_itself() -> None:
    hysteresis, _ = keeper()
    assert hysteresis.route is LOCAL
    assert hysteresis.wanted is CLOUD
    assert hysteresis.decide(LOAD, link(good=2), 1 * MS).route is LOCAL
    decision = hysteresis.decide(LOAD, link(good=3), 2 * MS)
    assert decision.route is CLOUD
    assert decision.reason == "link recovered"


def test_voluntary_switches_keep_the_dwell() -> None:
    hysteresis, policy = keeper(LOCAL)
    hysteresis.decide(LOAD, link(), 0)
    policy.route = CLOUD
    assert hysteresis.decide(LOAD, link(), 10 * MS).route is CLOUD
    policy.route = LOCAL
    assert hysteresis.decide(LOAD, link(), 1009 * MS).route is CLOUD
    assert hysteresis.decide(LOAD, link(), 1010 * MS).route is LOCAL


def test_a_wish_that_passes_within_the_dwell_changes_nothing() -> None:
    hysteresis, policy = keeper(LOCAL)
    policy.route = CLOUD
    hysteresis.decide(LOAD, link(), 10 * MS)
    policy.route = LOCAL
    hysteresis.decide(LOAD, link(), 500 * MS)
    policy.route = CLOUD
    assert hysteresis.decide(LOAD, link(), 2000 * MS).route is CLOUD


def test_a_lost_link_forces_local_at_once() -> None:
    hysteresis, _ = keeper()
    hysteresis.decide(LOAD, link(), 10 * MS)
    decision = hysteresis.decide(LOAD, link(up=False), 11 * MS)
    assert decision.route is LOCAL
    assert decision.reason == "link lost"


def test_return_waits_for_good_samples_and_for_dwell() -> None:
    hysteresis, _ = keeper()
    hysteresis.decide(LOAD, link(), 10 * MS)
    hysteresis.bar("deadline missed", 100 * MS, hold=True)
    assert hysteresis.route is LOCAL
    assert hysteresis.decide(LOAD, link(good=50), 1099 * MS).reason == "deadline missed"
    assert hysteresis.decide(LOAD, link(good=2), 1100 * MS).reason == "link recovering"
    assert hysteresis.decide(LOAD, link(good=3), 1200 * MS).route is CLOUD


def test_the_hold_doubles_until_the_route_was_away_for_as_long() -> None:
    hysteresis, _ = keeper()

    def held_ms(start_ms: int, away_ms: int = 150) -> int:
        hysteresis.decide(LOAD, link(), start_ms * MS)
        assert hysteresis.route is CLOUD
        start_ms += away_ms
        hysteresis.bar("deadline missed", start_ms * MS, hold=True)
        now = start_ms
        while hysteresis.decide(LOAD, link(), now * MS).route is LOCAL:
            now += 100
        return now - start_ms

    holds, at = [], 10_000
    for away_ms in (150, 150, 150, 3900, 4000, 500):
        holds.append(held_ms(at, away_ms))
        at += away_ms + holds[-1]
    assert holds == [1000, 2000, 4000, 4000, 1000, 2000]


def holds_ms(away_ms: list[int], *, late: bool) -> list[int]:
    """The holds that trouble imposes, each after so long away."""
    hysteresis, _ = keeper()
    now, holds = 10_000, []
    for away in away_ms:
        assert hysteresis.decide(LOAD, link(), now * MS).route is CLOUD
        now += away
        hysteresis.bar("deadline missed", now * MS, hold=True, late=late)
        start = now
        while hysteresis.decide(LOAD, link(), now * MS).route is LOCAL:
            now += 100
        holds.append(now - start)
    return holds


def test_an_answer_or_two_in_time_do_not_shorten_the_hold_of_a_late_gateway() -> None:
    assert holds_ms([150] * 4, late=True) == [1000, 2000, 4000, 4000]
    assert holds_ms([1200] * 4, late=True) == [1000, 2000, 4000, 4000]
    assert holds_ms([1200] * 4, late=False) == [1000, 1000, 1000, 1000]


def test_sustained_success_does_and_rare_trouble_never_ends_in_the_longest_hold() -> None:
    assert holds_ms([150, 150, 150, 10_000], late=True)[-1] == 1000
    assert holds_ms([150, 150, 150, 5_000], late=True)[-1] == 2000
    assert holds_ms([9_000] * 6, late=True)[-1] <= 1200


def test_a_late_gateway_does_not_slow_down_the_return_after_an_outage() -> None:
    hysteresis, _ = keeper()
    now = 10_000
    for _ in range(3):
        while hysteresis.decide(LOAD, link(), now * MS).route is LOCAL:
            now += 100
        now += 150
        hysteresis.bar("deadline missed", now * MS, hold=True, late=True)
    while hysteresis.decide(LOAD, link(), now * MS).route is LOCAL:
        now += 100
    now += 1500
    hysteresis.bar("deadline missed", now * MS, hold=True, late=False)
    assert hysteresis.decide(LOAD, link(), (now + 900) * MS).route is LOCAL
    assert hysteresis.decide(LOAD, link(), (now + 1000) * MS).route is CLOUD


def test_a_bar_lets_frames_spill_while_there_is_a_link() -> None:
    hysteresis, policy = keeper()
    policy.spill = CLOUD
    hysteresis.decide(LOAD, link(), 10 * MS)
    hysteresis.bar("deadline missed", 20 * MS, hold=True, late=True)
    assert hysteresis.decide(LOAD, link(), 30 * MS) == Decision(LOCAL, "deadline missed", CLOUD)
    assert hysteresis.decide(LOAD, link(up=False), 40 * MS).spill is None


def test_while_barred_a_wish_for_local_is_the_reason() -> None:
    hysteresis, policy = keeper()
    policy.route, policy.reason = LOCAL, "idle"
    assert hysteresis.decide(LOAD, link(up=False), 5 * MS).reason == "idle"


def test_a_new_policy_need_not_wait_for_dwell() -> None:
    hysteresis, _ = keeper()
    hysteresis.decide(LOAD, link(), 10 * MS)
    hysteresis.configure(CONFIG, FakePolicy(LOCAL))
    assert hysteresis.decide(LOAD, link(), 11 * MS).route is LOCAL
