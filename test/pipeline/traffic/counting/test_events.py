"""Wrong ways, turning movements and stopped vehicles, from boxes that drive over a picture."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mastra_ros.config import TrafficConfig, build
from mastra_ros.pipeline.traffic.device import TrafficDevice
from mastra_ros.pipeline.traffic.events import Crossing, Event, Stopped, Turning, WrongWay
from test.pipeline.traffic.drive import Box, down, found, site

GROUND = np.random.default_rng(1).integers(0, 255, (360, 640, 3), dtype=np.uint8)
ZONES = [
    {"name": name, "use": "turning", "polygon": [[x, y], [x + w, y], [x + w, y + 90], [x, y + 90]]}
    for name, x, y, w in (("north", 0, 0, 640), ("south", 0, 270, 400), ("east", 401, 270, 239))
]
BOX = {
    "name": "box",
    "use": "stopping",
    "stopped_s": 3.0,
    "polygon": [[0, 100], [640, 100], [640, 260], [0, 260]],
}


def told(
    boxes: Callable[[float], list[Box]],
    *,
    seconds: float = 6.0,
    fps: float = 10.0,
    kind: str = "car",
    **more: Any,
) -> list[Event]:
    config = build(TrafficConfig, {"settle_ms": 0.0, "plates": "off", "window_ms": 60000.0})
    device = TrafficDevice(config, site(**more), None)
    events: list[Event] = []
    for n in range(int(seconds * fps)):
        t = n / fps
        seen = [b for b in boxes(t) if b[3] > 5 and b[1] < 355]
        events += device.on_frame(round(t * 1e9) + 1, GROUND, found(seen, kind))
    return events + device.finish()


def of(kind: type[Event], events: list[Event]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


@pytest.mark.parametrize("fps", [5, 10, 30])
def test_one_against_the_way_of_its_lane_is_an_event_of_its_own_once(fps: float) -> None:
    events = told(lambda t: [down(100, 340, -60)(t)], fps=fps)
    assert [(e.lane, e.line) for e in of(WrongWay, events)] == [("one", "")]


def test_one_that_goes_over_a_line_the_wrong_way_is_not_counted() -> None:
    lines = [
        {
            "name": "l",
            "points": [[0, 200], [400, 200]],
            "directions": {"down": "in", "up": "out"},
            "wrong": "out",
        }
    ]
    events = told(lambda t: [down(100, 340, -60)(t), down(300, 20, 60)(t)], lines=lines)
    assert "l" in [e.line for e in of(WrongWay, events)]
    assert [(e.lane, e.direction) for e in of(Crossing, events)] == [("two", "in")]


def test_one_that_rolls_back_a_little_or_walks_is_not_on_the_wrong_way() -> None:
    assert not of(WrongWay, told(lambda t: [down(100, 200 - 25 * np.sin(t), 0)(t)]))
    assert not of(WrongWay, told(lambda t: [down(100, 340, -60)(t)], kind="person"))


def test_turning_movements_tell_from_where_to_where() -> None:
    def turns(t: float) -> list[Box]:
        x = 200 + max(0.0, t - 1) * 110
        return [down(x, 20, 70)(t)]

    events = told(lambda t: [*turns(t), down(60, 20, 70)(t)], zones=ZONES, seconds=5)
    made = of(Turning, events)
    assert sorted((e.origin, e.destination) for e in made) == [
        ("north", "east"),
        ("north", "south"),
    ]
    assert all(1.5 < e.travel_s < 4.5 for e in made)


def test_one_that_turns_back_has_no_movement() -> None:
    events = told(lambda t: [down(60, 40 + 120 * np.sin(t / 2), 0)(t)], zones=ZONES)
    assert not of(Turning, events)


def test_a_stopped_vehicle_is_told_once_and_when_it_goes_on() -> None:
    def stops(t: float) -> list[Box]:
        y = min(20 + 80 * t, 180.0) if t < 8 else 180 + 80 * (t - 8)
        rng = np.random.default_rng(int(t * 10))
        return [down(100 + float(rng.normal(0, 1)), y, 0)(t)]

    made = of(Stopped, told(stops, zones=[BOX], seconds=10))
    assert [(e.zone, e.ended) for e in made] == [("box", False), ("box", True)]
    assert made[1].stood_s == pytest.approx(6.0, abs=1.0)


def test_one_that_drives_slowly_or_stops_elsewhere_is_not_stopped() -> None:
    assert not of(Stopped, told(lambda t: [down(100, 60, 20)(t)], zones=[BOX], seconds=9))
    assert not of(Stopped, told(lambda t: [down(100, 50, 0)(t)], zones=[BOX], seconds=6))


def test_who_stands_within_the_junction_occupies_it() -> None:
    config = build(TrafficConfig, {"plates": "off"})
    device = TrafficDevice(config, site(zones=[BOX]), None)
    assert not device.occupied
    for n in range(5):
        device.on_frame(n * 10**8 + 1, GROUND, found([down(100, 180, 0)(0)]))
    assert device.occupied
    for n in range(5, 40):
        device.on_frame(n * 10**8 + 1, GROUND, found([]))
    assert not device.occupied
