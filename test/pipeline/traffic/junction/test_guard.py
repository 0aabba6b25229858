"""Whatever plans say or do not say, the junction shows what is safe."""

from __future__ import annotations

import dataclasses
import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mastra_ros.errors import RecordError
from mastra_ros.pipeline.traffic.junction.guard import Shown, SignalGuard
from mastra_ros.pipeline.traffic.junction.plan import SignalPlan, plan_of
from test.pipeline.traffic.crossroads import crossroads

S = 10**9


def plan(phase: str, at_s: float, *, valid_s: float = 15.0, **more: object) -> SignalPlan:
    values = {"green_s": 5.0, "yellow_s": 3.0, "reason": "test", "junction": "crossroads", **more}
    return SignalPlan(
        phase=phase,
        stamp_ns=int(at_s * S),
        valid_ms=valid_s * 1e3,
        **values,  # type: ignore[arg-type]
    )


def watch(guard: SignalGuard, from_s: int, to_s: int) -> list[Shown]:
    return [guard.step(second * S) for second in range(from_s, to_s)]


def test_without_a_plan_the_static_one_goes_round() -> None:
    shown = watch(SignalGuard(crossroads(), 0), 0, 140)
    order = [one for one, _ in itertools.groupby(one.phase for one in shown)]
    assert order[:6] == ["ns", "ns-left", "ew", "ns", "ns-left", "ew"]
    assert sum(one.green for one in shown if one.phase == "ew") >= 2 * 15
    assert {one.by for one in shown} == {"static"}
    assert shown[0].reason == "no plan has come"


def test_a_plan_is_followed_through_yellow_and_all_red() -> None:
    guard = SignalGuard(crossroads(all_red_s=2.0), 0)
    watch(guard, 0, 8)
    assert guard.offer(plan("ew", 8), 8 * S) == ""
    shown = watch(guard, 8, 15)
    # north and south: straight yields to nobody, left gives way
    colours = [one.colours for one in shown]
    assert colours[:3] == ["yyyyrrrr"] * 3
    assert colours[3:5] == ["rrrrrrrr"] * 2
    assert colours[5:] == ["rrrrGgGg"] * 2
    assert [one.by for one in shown] == ["plan"] * 7


def test_a_protected_left_that_must_give_way_next_sees_yellow_first() -> None:
    guard = SignalGuard(crossroads(all_red_s=0.0), 0)
    guard.offer(plan("ns-left", 0, valid_s=40.0), 0)
    watch(guard, 0, 20)
    guard.offer(plan("ns", 20), 20 * S)
    colours = [one.colours for one in watch(guard, 20, 25)]
    assert colours[:3] == ["ryryrrrr"] * 3
    assert colours[3:] == ["GgGgrrrr"] * 2


def test_a_green_lasts_at_least_its_minimum() -> None:
    guard = SignalGuard(crossroads(), 0)
    guard.offer(plan("ew", 0), 0)
    assert [one.green for one in watch(guard, 0, 6)] == [True] * 5 + [False]


def test_after_its_green_the_phase_that_follows_comes_by_itself() -> None:
    guard = SignalGuard(crossroads(all_red_s=0.0), 0)
    guard.offer(plan("ns", 0, green_s=7.0, then="ew"), 0)
    shown = watch(guard, 0, 14)
    assert [one.phase for one in shown] == ["ns"] * 7 + ["ew"] * 7
    assert shown[-1].by == "plan"


def test_a_plan_that_has_become_stale_means_the_static_one_at_once() -> None:
    guard = SignalGuard(crossroads(), 0)
    guard.offer(plan("ns", 0, valid_s=30.0), 0)
    shown = watch(guard, 0, 35)
    assert [one.by for one in shown] == ["plan"] * 30 + ["static"] * 5
    # its 20 s of green are over, so it goes on in the very second
    assert (shown[30].phase, shown[30].green) == ("ns-left", False)
    assert shown[30].reason == "the plan rests on what was 30.0 s ago"


def test_validity_counts_from_what_was_seen_and_not_from_when_the_plan_came() -> None:
    guard = SignalGuard(crossroads(), 0)
    watch(guard, 0, 14)
    assert guard.offer(plan("ns", 0, valid_s=15.0), 14 * S) == ""
    assert [one.by for one in watch(guard, 14, 17)] == ["plan", "static", "static"]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\xff", "expected JSON"),
        (b"[]", "expected a map"),
        (b"{}", "missing"),
        (b"x" * 5000, "at most 4096 bytes"),
        (plan("ew", 0).to_bytes(), "rests on what was 100.0 s ago"),
        (plan("ew", 102).to_bytes(), "in the future"),
        (plan("nobody", 100).to_bytes(), "no phase"),
        (plan("ew", 100, then="nobody").to_bytes(), "no phase"),
        (plan("ew", 100, junction="another").to_bytes(), "not crossroads"),
        (b'{"green_s": 1e999}', "missing"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused_and_counted(data: bytes, says: str) -> None:
    guard = SignalGuard(crossroads(), 100 * S)
    assert says in guard.offer(data, 100 * S)
    assert guard.refused == 1
    assert guard.step(100 * S).by == "static"


@pytest.mark.parametrize(
    "changes",
    [
        {"green_s": -1},
        {"green_s": "5"},
        {"yellow_s": float("inf")},
        {"valid_ms": 10**9},
        {"valid_ms": True},
        {"valid_ms": 10**400},
        {"green_s": 10**400},
        {"yellow_s": -(10**400)},
        {"stamp_ns": 10**400},
        {"phase": ""},
        {"reason": "x" * 300},
        {"stamp_ns": 0.5},
    ],
)
def test_numbers_out_of_bounds_make_no_plan(changes: dict[str, object]) -> None:
    values = {**json.loads(plan("ns", 0).to_bytes()), **changes}
    with pytest.raises(RecordError):
        plan_of(json.dumps(values).encode())


def test_a_refused_plan_leaves_the_good_one_in_force() -> None:
    guard = SignalGuard(crossroads(), 0)
    guard.offer(plan("ns", 0), 0)
    assert guard.offer(b"nonsense", S)
    assert guard.step(S).by == "plan"
    guard.offer(plan("ew", 5), 5 * S)
    assert "older" in guard.offer(plan("ns", 4), 6 * S)


def test_plans_may_be_withdrawn_as_when_the_camera_has_moved() -> None:
    guard = SignalGuard(crossroads(), 0)
    guard.offer(plan("ns", 0), 0)
    guard.withdraw("the camera has moved")
    assert guard.step(S).reason == "the camera has moved"
    assert guard.step(S).by == "static"


def test_a_clock_that_jumps_back_shortens_nothing() -> None:
    guard = SignalGuard(crossroads(), 100 * S)
    watch(guard, 100, 110)
    guard.offer(plan("ew", 110), 110 * S)
    assert guard.step(110 * S).colours == "yyyyrrrr"
    assert guard.step(0).colours == "yyyyrrrr"
    assert guard.step(113 * S).colours == "rrrrrrrr"


PHASES = ("ns", "ns-left", "ew", "nobody")
OFFERS = st.tuples(
    st.integers(1, 20),  # seconds until it comes
    st.sampled_from(PHASES),
    st.sampled_from(("", *PHASES)),
    st.integers(-20, 2),  # age
    st.integers(0, 30),
    st.sampled_from((0.5, 5.0, 15.0, 60.0)),
)


@settings(deadline=None)
@given(offers=st.lists(OFFERS, max_size=15), all_red_s=st.sampled_from((0.0, 1.0, 2.0)))
def test_no_sequence_of_plans_breaks_the_rules(
    offers: list[tuple[int, str, str, int, int, float]], all_red_s: float
) -> None:
    junction = crossroads(all_red_s=all_red_s)
    guard = SignalGuard(junction, 0)
    names = [one.name for one in junction.movements]
    second = 0
    history: list[str] = []
    for wait_s, phase, then, age_s, green_s, valid_s in offers:
        history += [one.colours for one in watch(guard, second, second + wait_s)]
        second += wait_s
        at_s = max(0, second + age_s)
        told = plan(phase, at_s, then=then, green_s=float(green_s), valid_s=valid_s, yellow_s=0.0)
        guard.offer(told, second * S)
    for colours in history:
        green = {name for name, colour in zip(names, colours, strict=True) if colour in "gG"}
        free = {name for name, colour in zip(names, colours, strict=True) if colour == "G"}
        assert not any(one in free and other in free for one, other in junction.conflicts)
        assert not any(one in green and other in green for one, other in junction.never)
    for place in range(len(names)):
        runs = _runs([colours[place] for colours in history])
        for before, (colour, length) in itertools.pairwise(runs[:-1]):
            if colour == "y":
                assert length == 3
            if colour == "r":
                assert before[0] == "y"
                assert length >= all_red_s
            if colour in "gG" and before[0] == "r":
                assert length >= 5


def _runs(colours: list[str]) -> list[tuple[str, int]]:
    """Greens of both kinds are one."""
    runs: list[tuple[str, int]] = []
    for colour in colours:
        one = "g" if colour == "G" else colour
        if runs and runs[-1][0] == one:
            runs[-1] = (one, runs[-1][1] + 1)
        else:
            runs.append((one, 1))
    return runs


def test_a_plan_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan("ns", 0).phase = "ew"  # type: ignore[misc]


def test_all_red_lasts_while_somebody_stands_within_up_to_a_limit() -> None:
    junction = dataclasses.replace(crossroads(all_red_s=1.0), clear_max_s=6.0)
    for leaves_at_s, green_at_s in ((3, 4), (6, 6), (99, 10)):
        guard = SignalGuard(junction, 0)
        watch(guard, 0, 10)
        guard.offer(plan("ew", 10), 10 * S)
        shown = [
            guard.step(second * S, occupied=second - 10 < leaves_at_s) for second in range(10, 24)
        ]
        colours = [one.colours for one in shown]
        assert colours[:3] == ["yyyyrrrr"] * 3
        assert colours.index("rrrrGgGg") == green_at_s
        assert set(colours[3:green_at_s]) == {"rrrrrrrr"}


def test_somebody_within_holds_up_no_green() -> None:
    guard = SignalGuard(crossroads(), 0)
    shown = [guard.step(second * S, occupied=True) for second in range(30)]
    assert [one.green for one in shown[:21]] == [True] * 20 + [False]
