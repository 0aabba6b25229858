"""Flow by lane and interval from what a camera has told, and gaps that are known as gaps."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mastra_ros.pipeline.traffic.events import (
    CameraState,
    Crossing,
    Event,
    LanePresence,
    Presence,
    Turning,
)
from mastra_ros.pipeline.traffic.flow.camera import INTERVAL_NS, KEPT, CameraFlow
from mastra_ros.pipeline.traffic.flow.spans import JOIN_NS, Seen

S = 10**9
MINUTE = INTERVAL_NS


def crossing(at_s: float, lane: str = "1", **more: object) -> Crossing:
    values = {"track": 1, "line": "stop", "direction": "in", "type": "car", **more}
    return Crossing(int(at_s * S), lane=lane, **values)  # type: ignore[arg-type]


def presence(at_s: float, window_s: float, *lanes: LanePresence) -> Presence:
    return Presence(int(at_s * S), window_s * 1e3, lanes)


def of(*events: Event) -> CameraFlow:
    camera = CameraFlow()
    for event in events:
        camera.take(event)
    return camera


def watched(until_s: int, **lane: float) -> list[Event]:
    """Lane 1 is told each 10 s until then."""
    told = LanePresence("1", **{"vehicles": 4, "queued": 2, **lane})  # type: ignore[arg-type]
    return [presence(at, 10, told) for at in range(10, until_s + 1, 10)]


def test_counts_flow_headway_and_speed_of_a_lane() -> None:
    passed = [crossing(at, speed_kmh=30.0 + at) for at in (0, 10, 20, 30)]
    (row,) = of(*watched(60), *passed).intervals(0, MINUTE, 1)
    assert (row["count"], row["types"], row["seen"]) == (4, {"car": 4}, 1.0)
    assert row["flow_per_h"] == 240.0
    assert row["headway_s"] == 10.0
    assert row["speed_kmh"] == 45.0
    assert (row["queue_mean"], row["queue_max"]) == (2.0, 2)
    assert row["delay_s"] == 30.0  # two stood for 60 s, four left
    assert row["saturation_flow_per_h"] is None  # nobody left a queue


def test_of_a_queue_that_leaves_the_first_do_not_count_as_saturated() -> None:
    starting = [0.0, 3.5, 6.5, 9.0, 11.3]
    flowing = [11.3 + 2.0 * n for n in range(1, 11)]
    (row,) = of(*watched(60), *map(crossing, starting + flowing)).intervals(0, MINUTE, 1)
    assert row["saturation_flow_per_h"] == 1800.0


def test_an_interval_in_which_nothing_is_told_of_is_a_gap_and_no_empty_road() -> None:
    told = [one for one in watched(300) if not 60 < one.stamp_ns / S <= 180]
    camera = of(*told, crossing(30), crossing(250))
    rows = camera.intervals(0, 5 * MINUTE, 1)
    assert [row["seen"] for row in rows] == [1.0, 0.0, 0.0, 1.0, 1.0]
    assert [row["flow_per_h"] for row in rows] == [60.0, None, None, 0.0, 60.0]
    assert camera.gaps(0, 5 * MINUTE) == [[60 * S, 180 * S]]
    assert sum(row["headway_s"] is not None for row in rows) == 0  # it would reach over the gap


def test_a_flow_is_over_the_time_that_was_seen() -> None:
    (row,) = of(*watched(40), crossing(5), crossing(35)).intervals(0, MINUTE, 1)
    assert (row["count"], row["seen"], row["flow_per_h"]) == (2, 0.6667, 180.0)


def test_while_the_camera_has_moved_nothing_is_known() -> None:
    moved = CameraState(60 * S, "moved", "as told")
    camera = of(*watched(60), moved, *watched(120)[6:], CameraState(120 * S, "sees"))
    assert not of(moved).counts
    assert [row["seen"] for row in camera.intervals(0, 2 * MINUTE, 1)] == [1.0, 0.0]


def test_what_stands_in_a_lane_belongs_to_every_line_that_crosses_it() -> None:
    camera = of(*watched(60), crossing(5), crossing(6, line="exit"), crossing(7, lane="2"))
    rows = {(row["line"], row["lane"]): row for row in camera.intervals(0, MINUTE, 1)}
    assert set(rows) == {("stop", "1"), ("exit", "1"), ("stop", "2")}
    assert rows["stop", "1"]["queue_max"] == rows["exit", "1"]["queue_max"] == 2
    assert rows["stop", "2"]["queue_max"] is None


def test_intervals_are_put_together_without_loss() -> None:
    camera = of(*watched(300), *(crossing(at) for at in range(0, 300, 7)))
    (row,) = camera.intervals(0, 5 * MINUTE, 5)
    parts = camera.intervals(0, 5 * MINUTE, 1)
    assert row["count"] == sum(part["count"] for part in parts) == 43
    assert row["headway_s"] == 7.0


def test_the_turning_table_counts_by_type() -> None:
    turns = [
        Turning(S, 1, "north", "east", "car"),
        Turning(2 * S, 2, "north", "east", "bus"),
        Turning(70 * S, 3, "south", "east", "car"),
    ]
    camera = of(*turns)
    assert camera.turns(0, MINUTE) == [
        {"origin": "north", "destination": "east", "count": 2, "types": {"bus": 1, "car": 1}}
    ]
    assert len(camera.turns(0, 2 * MINUTE)) == 2


def test_a_backlog_that_comes_late_counts_where_it_belongs() -> None:
    camera = of(*watched(120), crossing(100), crossing(20))
    assert [row["count"] for row in camera.intervals(0, 2 * MINUTE, 1)] == [1, 1]


def test_a_day_is_kept_and_what_is_older_is_dropped_and_counted() -> None:
    camera = of(crossing(5), crossing(KEPT * 60 + 65), crossing(30))
    assert camera.dropped == 1
    assert camera.oldest_ns() == (KEPT + 1) * MINUTE
    assert camera.crossings == {"car": 2}


def test_a_device_cannot_make_up_ever_more_lanes() -> None:
    camera = of(*(crossing(1, lane=f"lane {n}") for n in range(200)))
    assert camera.dropped == 200 - 128


STRETCHES = st.lists(st.tuples(st.integers(0, 100), st.integers(1, 20)), max_size=30)


@settings(deadline=None)
@given(STRETCHES)
def test_what_is_seen_and_the_gaps_make_the_whole(stretches: list[tuple[int, int]]) -> None:
    unit = 4 * JOIN_NS
    seen = Seen()
    for begin, length in stretches:
        seen.add(begin * unit, (begin + length) * unit)
    covered = {n for begin, length in stretches for n in range(begin, begin + length)}
    whole = 130 * unit
    assert seen.within(0, whole) == len(covered) * unit
    gaps = seen.gaps(0, whole)
    assert sum(end - begin for begin, end in gaps) == whole - len(covered) * unit
    assert all(not seen.within(begin, end) for begin, end in gaps)


EVENTS = st.one_of(
    st.builds(crossing, st.integers(0, 2000), st.sampled_from(("1", "2"))),
    st.builds(
        lambda at, queued: presence(at, 5, LanePresence("1", queued + 1, queued, 3.5)),
        *(st.integers(0, 2000), st.integers(0, 9)),
    ),
    st.builds(lambda at: Turning(at * S, 1, "a", "b", "car"), st.integers(0, 2000)),
    st.builds(
        lambda at, state: CameraState(at * S, state),
        *(st.integers(0, 2000), st.sampled_from(("sees", "moved"))),
    ),
)


@settings(deadline=None)
@given(st.lists(EVENTS, max_size=40), st.integers(0, 40))
def test_a_snapshot_and_what_came_after_give_the_same_as_all(events: list[Event], at: int) -> None:
    whole = of(*events)
    again = CameraFlow.of_plain(json.loads(json.dumps(of(*events[:at]).to_plain())))
    for event in events[at:]:
        again.take(event)
    assert json.dumps(again.to_plain()) == json.dumps(whole.to_plain())


@pytest.mark.parametrize("state", ["sees", "unsure"])
def test_a_camera_that_sees_or_is_unsure_counts(state: str) -> None:
    assert of(CameraState(S, state)).counts
