"""Events are told as records and understood again, whoever made them."""

from __future__ import annotations

import pytest

from mastra_ros.errors import RecordError
from mastra_ros.pipeline.traffic.events import (
    KINDS,
    CameraState,
    Crossing,
    Event,
    LanePresence,
    Presence,
    Stopped,
    Turning,
    WrongWay,
    event_of,
)
from mastra_ros.records import Record, unpack_body

EVENTS: list[Event] = [
    Crossing(5, 7, "stop", "left", "in", "van", 48.5, "ab" * 16, 0.93),
    Crossing(5, 7, "stop", "", "in", "car"),
    Turning(9, 7, "north", "west", "bus", 12.5),
    Presence(10, 1000.0, (LanePresence("left", 3, 2, 14.0, 0.5, 20.0, 80.0), LanePresence("b", 0))),
    Presence(10, 1000.0, ()),
    WrongWay(11, 8, "left", "stop", "bicycle"),
    Stopped(12, 9, "box", "truck", 31.0, True),
    CameraState(13, "moved", "the picture is shifted by 12 px"),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda e: type(e).__name__)
def test_an_event_is_the_same_after_its_way_as_a_record(event: Event) -> None:
    record = event.to_record("run")
    assert record.kind in KINDS
    travelled = Record(record.kind, record.stamp_ns, unpack_body(record.packed()), record.id)
    assert event_of(travelled) == event


def test_what_a_newer_device_tells_besides_is_passed_over() -> None:
    record = EVENTS[0].to_record()
    body = {**record.body, "colour": "red"}
    assert event_of(Record(record.kind, record.stamp_ns, body)) == EVENTS[0]


def test_no_plate_is_in_the_record_unless_it_is_given() -> None:
    assert "plate" not in EVENTS[0].to_record().body
    told = Crossing(5, 7, "stop", "left", "in", "van", plate="AB123").to_record()
    assert told.body["plate"] == "AB123"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("verdict", {}),
        ("vehicle_crossing", {}),
        ("vehicle_crossing", {**EVENTS[0].to_record().body, "type": "tank"}),
        ("vehicle_crossing", {**EVENTS[0].to_record().body, "speed_kmh": -1.0}),
        ("vehicle_crossing", {**EVENTS[0].to_record().body, "track": True}),
        ("vehicle_crossing", {**EVENTS[0].to_record().body, "line": "a" * 65}),
        ("vehicle_crossing", {**EVENTS[0].to_record().body, "plate_confidence": 2}),
        ("lane_presence", {"window_ms": 1000.0, "lanes": 3}),
        ("lane_presence", {"window_ms": 1000.0, "lanes": [3]}),
        ("lane_presence", {"window_ms": 1000.0, "lanes": [{"lane": "a", "vehicles": -1}]}),
        ("lane_presence", {"window_ms": 1.0, "lanes": [{"lane": "a", "vehicles": 1}] * 2}),
        ("lane_presence", {"window_ms": 0, "lanes": []}),
        ("camera_state", {"state": "asleep"}),
        ("vehicle_stopped", {**EVENTS[6].to_record().body, "ended": 1}),
    ],
)
def test_what_makes_no_sense_is_refused_with_one_error(kind: str, body: dict[str, object]) -> None:
    with pytest.raises(RecordError):
        event_of(Record(kind, 5, body))
