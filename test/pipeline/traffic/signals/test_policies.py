"""Each policy on views made by hand: which phase it wants, and why."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mastra_ros.errors import RecordError
from mastra_ros.pipeline.traffic.events import LanePresence, Presence, Turning
from mastra_ros.pipeline.traffic.junction.records import SignalState
from mastra_ros.pipeline.traffic.signals.cyclic import FixedTime, Webster, webster_greens
from mastra_ros.pipeline.traffic.signals.fullest import Fullest
from mastra_ros.pipeline.traffic.signals.named import POLICIES, make_policy
from mastra_ros.pipeline.traffic.signals.pressure import MaxPressure
from mastra_ros.pipeline.traffic.signals.timing import Timing
from mastra_ros.pipeline.traffic.signals.view import LaneNow, View
from test.pipeline.traffic.crossroads import SIDES, crossroads

S = 10**9
ONLY_STRAIGHT = {f"{side}-straight": 1.0 for side in SIDES} | {
    f"{side}-left": 0.0 for side in SIDES
}


def view(phase: str = "ns", green_s: float = 10.0, **lanes: float | LaneNow) -> View:
    """Lanes by name, `to_e_straight` for `to-e-straight`; a number of vehicles all stand."""
    now = {
        name.replace("_", "-"): one if isinstance(one, LaneNow) else LaneNow(one, one)
        for name, one in lanes.items()
    }
    return View(crossroads(), 100 * S, now, phase, green_s, shares=ONLY_STRAIGHT)


def test_the_phase_with_most_vehicles_goes() -> None:
    assert Fullest().decide(view(n=2, s=1, e=4)).phase == "ew"
    assert Fullest().decide(view(n=3, s=2, e=4)).phase == "ns"


def test_permissive_green_counts_half() -> None:
    left = dict(ONLY_STRAIGHT, **{"n-left": 1.0, "n-straight": 0.0})
    seen = View(crossroads(), 0, {"n": LaneNow(4, 4), "e": LaneNow(3, 3)}, "ew", 9.0, shares=left)
    loads = [Fullest().load(seen, phase) for phase in seen.junction.phases]
    assert loads == [2.0, 4.0, 3.0]
    assert Fullest().decide(seen).phase == "ns-left"


def test_nobody_is_let_into_an_exit_that_is_too_full() -> None:
    full = LaneNow(14, 14, fill=0.9)
    assert Fullest().decide(view(n=6, e=2)).phase == "ns"
    assert Fullest().decide(view(n=6, e=2, to_n_straight=full)).phase == "ew"
    almost = LaneNow(14, 14, fill=0.85)
    assert Fullest().decide(view(n=6, e=2, to_n_straight=almost)).phase == "ns"


def test_nobody_waits_beyond_the_limit_unless_the_exit_is_blocked() -> None:
    waiting = View(
        crossroads(), 0, {"n": LaneNow(9, 9), "e": LaneNow(1, 1)}, "ns", 60.0,
        waited_s={"e": 121.0, "w": 30.0}, shares=ONLY_STRAIGHT,
    )  # fmt: skip
    choice = Fullest().decide(waiting)
    assert (choice.phase, choice.reason) == ("ew", "somebody has waited 120 s")
    blocked = {**waiting.lanes, "to-e-straight": LaneNow(14, 14, 1.0)}
    again = View(
        *(crossroads(), 0, blocked, "ns", 60.0), waited_s={"e": 121.0}, shares=ONLY_STRAIGHT
    )
    assert Fullest().decide(again).phase == "ns"


def test_who_still_moves_may_count_less_and_a_change_may_cost() -> None:
    moving = LaneNow(5, 0)
    assert Fullest().decide(view(n=moving, e=3)).phase == "ns"
    assert Fullest(moving=0.5).decide(view(n=moving, e=3)).phase == "ew"
    assert Fullest(moving=0.5, stay=1.0).decide(view(n=moving, e=3)).phase == "ns"


def test_on_an_empty_road_the_phase_stays() -> None:
    choice = Fullest().decide(view("ew"))
    assert (choice.phase, choice.reason) == ("ew", "nobody is seen")


def test_max_pressure_takes_off_what_stands_behind_the_junction() -> None:
    assert MaxPressure().decide(view(n=6, e=4)).phase == "ns"
    assert MaxPressure().decide(view(n=6, e=4, to_n_straight=5)).phase == "ew"


def test_fixed_time_goes_round_as_the_static_plan_does() -> None:
    choice = FixedTime().decide(view("ns", green_s=5.0))
    assert (choice.phase, choice.green_s, choice.then) == ("ns", 15.0, "ns-left")
    skipping = FixedTime((("ns", 20.0), ("ew", 10.0)))
    assert skipping.decide(view("ns", 25.0)).then == "ew"
    assert skipping.decide(view("ns-left", 5.0)).phase == "ns"


def test_webster_divides_the_cycle_by_the_busiest_lanes() -> None:
    flows = {"n-straight": 600.0, "s-straight": 200.0, "e-straight": 300.0}
    greens = webster_greens(crossroads(all_red_s=1.0), flows)
    # Y = 1/3 + 0 + 1/6, L = 15 s: a cycle of 55 s, 40 s of it green
    assert greens == pytest.approx({"ns": 80 / 3, "ns-left": 5.0, "ew": 40 / 3})
    assert Webster().decide(view("ew", 3.0)).then == "ns"
    assert sum(webster_greens(crossroads(), {}).values()) == pytest.approx(15.0)


def test_policies_are_made_by_name_with_numbers_only() -> None:
    assert make_policy("fullest", {"stay": 2}) == Fullest(stay=2)
    for name, parameters in (
        ("nobody", {}),
        (["fullest"], {}),
        ("fullest", {"unknown": 1.0}),
        ("fullest", {"stay": float("nan")}),
        ("fullest", {"stay": "2"}),
        ("fullest", {"stay": True}),
        ("fixed", {"greens": 1.0}),
    ):
        with pytest.raises(RecordError):
            make_policy(name, parameters)  # type: ignore[arg-type]


@settings(deadline=None)
@given(
    st.sampled_from(tuple(POLICIES)),
    st.dictionaries(
        st.sampled_from((*SIDES, *(f"to-{side}-straight" for side in SIDES))),
        st.builds(LaneNow, st.integers(0, 40), st.integers(0, 40), st.floats(0, 1)),
    ),
    st.sampled_from(("ns", "ns-left", "ew")),
    st.dictionaries(st.sampled_from(SIDES), st.floats(0, 500)),
)
def test_every_policy_answers_every_view(
    name: str, lanes: dict[str, LaneNow], phase: str, waited_s: dict[str, float]
) -> None:
    seen = View(crossroads(), 0, lanes, phase, 7.0, waited_s)
    choice = make_policy(name).decide(seen)
    assert seen.junction.phase(choice.phase)
    assert 0 <= choice.green_s <= 600
    assert choice == make_policy(name).decide(seen)


def told(at_s: int, **lanes: int) -> Presence:
    seen = {**dict.fromkeys(SIDES, 0), **lanes}
    return Presence(
        at_s * S,
        1000.0,
        tuple(LanePresence(name, n, n, visible_m=100.0) for name, n in seen.items()),
    )


def test_a_decision_is_due_every_five_seconds_by_the_stamps() -> None:
    timing = Timing(crossroads(), Fullest())
    due = []
    for second in range(100, 121):
        timing.take(told(second, n=1))
        if timing.due():
            due.append(second)
            timing.decide()
    assert due == [100, 105, 110, 115, 120]


def test_a_plan_rests_on_the_newest_stamp() -> None:
    timing = Timing(crossroads(), Fullest())
    timing.take(told(100, e=3))
    plan = timing.decide()
    assert plan is not None
    assert (plan.phase, plan.stamp_ns, plan.valid_ms) == ("ew", 100 * S, 15000.0)


def test_where_an_approach_is_not_seen_there_is_no_plan() -> None:
    timing = Timing(crossroads(), Fullest())
    timing.take(told(100))
    timing.take(Presence(113 * S, 1000.0, (LanePresence("n", 1),)))
    assert timing.decide() is None
    assert timing.why_not == "not seen for 12 s: s, e, w"


def test_a_lane_waits_from_when_somebody_stands_at_its_red() -> None:
    timing = Timing(crossroads(), Fullest())
    timing.take(SignalState(90 * S, "crossroads", "ns", True, 80 * S))
    for second in range(100, 131):
        timing.take(told(second, n=2, **({"e": 1} if second >= 110 else {})))
    assert timing.view().waited_s == {"e": 20.0}
    timing.take(SignalState(131 * S, "crossroads", "ew", True, 131 * S))
    timing.take(told(132, n=2, e=1))
    assert timing.view().waited_s == {"n": 0.0}


def test_shares_and_flows_are_learnt_from_who_turns_where() -> None:
    timing = Timing(crossroads(), Fullest())
    for n in range(40):
        where = "to-n-left" if n % 4 == 0 else "to-n-straight"
        timing.take(Turning((100 + n) * S, n + 1, "n", where, "car"))
    timing.take(Turning(140 * S, 50, "nowhere", "to-n-left", "car"))
    timing.take(told(141))
    seen = timing.view()
    assert seen.shares["n-left"] == pytest.approx(0.25, abs=0.02)
    assert seen.shares["e-left"] == 0.5
    assert seen.flows == {"n-left": 40.0, "n-straight": 120.0}
    timing.take(told(100 + 900 + 20))
    assert sum(timing.view().flows.values()) == 4 * 19
