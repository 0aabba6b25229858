"""The state machine of a roll-out: what is seen goes in, what follows comes out."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mastra_ros.errors import ConfigError
from mastra_ros.gateway.steering import Limits, Rollout, Seen, to_plain
from mastra_ros.gateway.steering.rollout import from_plain, steps_between

NEW, OLD = "b" * 64, "a" * 64
DEVICES = tuple(f"cam-{n}" for n in range(20))
GOOD = Seen(True, NEW, age_p99_ms=50.0, results=100, agreement=1.0)
BEFORE = Seen(True, OLD)


def rollout(**changes: Any) -> Rollout:
    plain = Rollout(1, "boards-2", "boards", "2", NEW, DEVICES, "olga", 0.0, soak_s=10.0)
    return replace(plain, **changes)


def obedient(one: Rollout) -> dict[str, Seen]:
    """Devices that have what they were given."""
    return {d: GOOD if one.wanted().get(d) == "new" else BEFORE for d in DEVICES}


def test_one_device_then_a_tenth_then_half_then_all() -> None:
    one, reached, now_s = rollout(), [], 0.0
    while one.active:
        one = one.step(obedient(one), now_s)
        reached.append(len(one.told))
        now_s += 1.0
        assert now_s < 200
    assert one.phase == "done"
    assert sorted(set(reached)) == [1, 2, 10, 20]
    assert now_s >= 4 * 10


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (replace(GOOD, agreement=0.4), "agreement 0.40"),
        (replace(GOOD, age_p99_ms=9e3), "age p99 9000 ms"),
        (replace(GOOD, failed=20), "errors in 20.0%"),
        (replace(BEFORE, refused="labels differ"), "labels differ"),
        (replace(BEFORE, refused="it did not start 2 times"), "did not start"),
    ],
)
def test_a_limit_that_is_passed_takes_it_back_from_every_device(bad: Seen, why: str) -> None:
    one, now_s = rollout(), 0.0
    while len(one.told) < 10:
        one = one.step(obedient(one), now_s)
        now_s += 1.0
    one = one.step({**obedient(one), "cam-3": bad}, now_s)
    assert (one.phase, set(one.wanted().values()), len(one.told)) == ("back", {"back"}, 10)
    assert one.reason.startswith("cam-3: ")
    assert why in one.reason
    still = dict.fromkeys(DEVICES, GOOD)
    assert one.step(still, now_s + 1).phase == "back"
    assert one.step(obedient(one), now_s + 2).phase == "rolled_back"


def test_one_that_is_paused_reaches_nobody_else_and_soaks_anew_when_it_goes_on() -> None:
    one = rollout().step(obedient(rollout()), 0.0)
    one = one.step(obedient(one), 1.0)
    held = one.pause(2.0)
    assert (held.paused, held.soaking_s, held.pause(3.0)) == (True, -1.0, held)
    for now_s in (20.0, 40.0, 1000.0):
        held = held.step(obedient(held), now_s)
    assert (held.phase, held.stage, set(held.told)) == ("running", 0, {"cam-0"})
    again = held.pause(1001.0, paused=False)
    again = again.step(obedient(again), 1002.0)
    assert again.step(obedient(again), 1011.0).stage == 0
    assert again.step(obedient(again), 1012.0).stage == 1
    assert [row[-1] for row in (*steps_between(one, held), *steps_between(held, again))] == [
        *("paused", "resumed")
    ]


def test_one_that_is_paused_goes_back_where_a_limit_is_passed_or_somebody_asks() -> None:
    one = rollout().step(obedient(rollout()), 0.0)
    held = one.step(obedient(one), 1.0).pause(2.0)
    for back in (held.step({"cam-0": replace(GOOD, agreement=0.1)}, 3.0), held.go_back("no", 3.0)):
        assert (back.phase, back.paused) == ("back", False)
        assert back.pause(4.0) == back
    plain = to_plain(held)
    assert from_plain(plain) == held
    del plain["paused"]  # as an older version kept it
    assert from_plain(plain) == replace(held, paused=False)


def test_a_device_that_is_heard_and_does_not_switch_ends_it() -> None:
    one = rollout(limits=Limits(switch_s=30.0)).step({"cam-0": BEFORE}, 0.0)
    assert one.step({"cam-0": BEFORE}, 30.0).phase == "running"
    assert one.step({}, 1000.0).phase == "running", "one that is away is waited for"
    assert one.step({"cam-0": BEFORE}, 31.0).phase == "back"


def test_who_had_it_and_was_not_heard_since_a_restart_is_waited_for() -> None:
    one = rollout(limits=Limits(switch_s=30.0)).step({"cam-0": BEFORE}, 0.0)
    one = one.step({"cam-0": GOOD}, 1.0).go_back("asked by olga", 10.0)
    assert one.step({}, 11.0).phase == "back", "a gateway that starts again knows of nobody"
    assert one.step({"cam-0": Seen(heard=True)}, 12.0).phase == "back", "it has not told its bundle"
    assert one.step({"cam-0": BEFORE}, 13.0).phase == "rolled_back"
    assert one.step({}, 40.0).phase == "rolled_back", "who stays away holds up nothing for ever"


def test_who_is_heard_and_has_not_told_its_bundle_has_not_left_it() -> None:
    one = rollout().step({"cam-0": BEFORE}, 0.0).step({"cam-0": GOOD}, 1.0)
    assert one.step({"cam-0": Seen(heard=True)}, 2000.0).phase == "running"
    assert one.step({"cam-0": BEFORE}, 2000.0).phase == "back"


def test_a_device_that_falls_silent_with_it_stops_the_soak() -> None:
    one = rollout().step({}, 0.0).step({"cam-0": GOOD}, 1.0)
    silent = replace(GOOD, heard=False)
    for now_s in range(2, 100):
        one = one.step({"cam-0": silent}, float(now_s))
    assert (one.phase, one.stage, one.soaking_s) == ("running", 0, -1.0)


def test_few_errors_are_not_judged_and_who_had_it_before_is_left_alone() -> None:
    one = rollout(devices=("cam-0", "cam-1"), stages=(1.0,))
    one = one.step({"cam-0": GOOD, "cam-1": BEFORE}, 0.0)
    assert list(one.told) == ["cam-1"]
    few = replace(GOOD, results=10, failed=9)
    assert one.step({"cam-0": GOOD, "cam-1": few}, 1.0).phase == "running"


SEEN = st.builds(
    Seen,
    st.booleans(),
    st.sampled_from([NEW, OLD, ""]),
    st.sampled_from(["", "", "", "no room"]),
    st.none() | st.floats(0, 5000),
    st.integers(0, 100),
    st.integers(0, 3),
    st.none() | st.floats(0.5, 1),
)
STEPS = st.lists(st.tuples(st.dictionaries(st.sampled_from(DEVICES), SEEN), st.floats(0, 40)))


@settings(deadline=None, max_examples=100, derandomize=True)
@given(STEPS, st.integers(0, 30))
def test_whatever_is_seen_it_only_goes_on_or_back_and_survives_a_restart(
    steps: list[tuple[dict[str, Seen], float]], asked_at: int
) -> None:
    order = {"running": 0, "done": 1, "back": 2, "rolled_back": 3}
    one, now_s = rollout(), 0.0
    for number, (seen, later_s) in enumerate(steps):
        now_s += later_s
        after = one.step(seen, now_s)
        if number == asked_at:
            after = after.go_back("asked", now_s)
        assert order[after.phase] >= order[one.phase]
        assert after.stage in (one.stage, one.stage + 1)
        assert set(one.told) <= set(after.told) <= set(after.reached)
        assert set(after.switched) <= set(after.told)
        if after.stage > one.stage:
            assert now_s - one.soaking_s >= one.soak_s
        if after.phase == "back":
            assert after.reason
        kept = from_plain(json.loads(json.dumps(to_plain(after))))
        assert kept == after
        rows = steps_between(one, after)
        assert (after.phase != one.phase) == any(row[2:5:2] and row[3] == one.phase for row in rows)
        one = kept


@pytest.mark.parametrize(
    "wrong",
    [
        {"devices": ()},
        {"devices": ("a", "a")},
        {"stages": (0.5, 0.1, 1.0)},
        {"stages": (0.5,)},
        {"stages": ()},
        {"soak_s": -1.0},
        {"soak_s": True},
        {"soak_s": float("nan")},
    ],
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="rollout: "):
        rollout(**wrong)
    with pytest.raises(ConfigError, match="errors_max"):
        Limits(errors_max=2.0)
