"""A junction that exists is safe to show; what is not safe cannot be made."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from mastra_ros.errors import RecordError
from mastra_ros.pipeline.traffic.junction.layout import Junction, Phase, Step, junction_of
from mastra_ros.pipeline.traffic.junction.records import junction_record, state_of
from mastra_ros.records import unpack_body
from test.pipeline.traffic.crossroads import crossroads


def test_a_layout_comes_back_from_its_record() -> None:
    junction = crossroads(all_red_s=2.0)
    record = junction_record(junction, 5, policy="max_pressure", run="r")
    assert junction_of(unpack_body(record.packed())) == junction


X = (Step("x", 5.0),)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"phases": (Phase("x", ("n-straight", "s-left")),), "static": X}, "conflict"),
        ({"phases": (Phase("x", ("n-straight",), ("e-straight",)),), "static": X}, "never both be"),
        ({"phases": (Phase("ns", ("nobody",)),)}, "no movement nobody"),
        ({"static": (Step("nobody", 5.0),)}, "known phases"),
        ({"static": ()}, "got none"),
        ({"static": (Step("ns", 5.0),)}, "never gives green to e-left"),
        ({"yellow_s": 0.5}, "yellow_s"),
        ({"min_green_s": float("nan")}, "min_green_s"),
        ({"all_red_s": -1.0}, "all_red_s"),
        ({"name": ""}, "junction"),
        ({"movements": ()}, "1 to 64 movements"),
    ],
)
def test_what_is_not_safe_is_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(RecordError, match=says):
        dataclasses.replace(crossroads(), **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"movements": 7},
        {"movements": [["a"]]},
        {"phases": [["ns", [99], []]]},
        {"phases": None},
        {"static": [["ns", "long"]]},
        {"conflicts": [10**9]},
        {"conflicts": ["x"]},
        {"junction": None},
    ],
)
def test_a_map_that_is_no_junction_is_one_error(changes: dict[str, Any]) -> None:
    with pytest.raises(RecordError):
        junction_of({**crossroads().to_body(), **changes})


def test_a_phase_needs_movements_and_each_once() -> None:
    with pytest.raises(RecordError, match="none"):
        Phase("empty", ())
    with pytest.raises(RecordError, match="in both"):
        Phase("twice", ("a",), ("a",))


def test_a_state_of_strange_values_is_refused() -> None:
    good = {"junction": "crossroads", "phase": "ns", "green": True, "since_ns": 5}
    assert state_of(9, good).since_ns == 5
    for changes in ({"green": 1}, {"since_ns": 10}, {"phase": ""}, {"junction": 4}):
        with pytest.raises(RecordError):
            state_of(9, {**good, **changes})
    with pytest.raises(RecordError, match="phase"):
        state_of(9, {name: value for name, value in good.items() if name != "phase"})


def test_all_movements_are_found_by_their_lane() -> None:
    junction: Junction = crossroads()
    assert [one.name for one in junction.lanes["n"]] == ["n-straight", "n-left"]
