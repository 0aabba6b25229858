"""What the device tells of plates: a keyed hash, by those with a right to it the text, or none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mastra_ros.config import TrafficConfig, build
from mastra_ros.pipeline.traffic.device import TrafficDevice
from mastra_ros.pipeline.traffic.events import Crossing
from mastra_ros.pipeline.traffic.plates.hashing import DAY_NS, PlateHasher
from mastra_ros.pipeline.traffic.plates.reading import LETTERS, Reading
from test.pipeline.traffic.drive import down, found, site

ROAD = np.random.default_rng(1).integers(60, 200, (360, 640, 3)).astype(np.uint8)


def read(text: str) -> Reading:
    letters = np.full((len(text), 36), 0.001, np.float32)
    letters[range(len(text)), [LETTERS.index(letter) for letter in text]] = 0.96
    return Reading(letters)


def crossing(folder: Path, plates: str, *texts: str, day: int = 0) -> Crossing:
    """One car over the line, whose plate is read as these texts, one after the other."""
    config = build(TrafficConfig, {"plates": plates, "settle_ms": 0.0})
    device = TrafficDevice(config, site(), PlateHasher(folder / "key.json"))
    car, left, events = down(100, 60, 80), list(texts), []
    for n in range(30):
        stamp_ns = day * DAY_NS + n * 10**8 + 1
        events += device.on_frame(stamp_ns, ROAD, found([car(n / 10)]))
        for wanted in device.wanted():
            if left:
                device.on_plate(wanted.track, 90.0, read(left.pop(0)))
    (told,) = [event for event in events + device.finish() if isinstance(event, Crossing)]
    return told


@pytest.mark.parametrize(("plates", "text"), [("hash", ""), ("text", "AB123CD")])
def test_a_plate_is_told_as_its_hash_and_as_text_only_where_that_is_asked_for(
    tmp_path: Path, plates: str, text: str
) -> None:
    told = crossing(tmp_path, plates, "AB123CD", "AB123CD", "AB123CD")
    assert (told.plate or "") == text
    assert told.plate_hash == PlateHasher(tmp_path / "key.json").hash("AB123CD", told.stamp_ns)


def test_where_plates_are_off_none_is_looked_for(tmp_path: Path) -> None:
    told = crossing(tmp_path, "off", "AB123CD", "AB123CD")
    assert not told.plate
    assert not told.plate_hash


def test_one_reading_or_some_that_differ_tell_nothing(tmp_path: Path) -> None:
    assert not crossing(tmp_path, "text", "AB123CD").plate
    assert not crossing(tmp_path, "text", "AB123CD", "XY987ZW").plate_hash


def test_the_same_plate_has_another_hash_on_another_day(tmp_path: Path) -> None:
    texts = ("AB123CD", "AB123CD")
    days = [crossing(tmp_path, "hash", *texts, day=day).plate_hash for day in (1, 1, 2)]
    assert days[0] == days[1] != days[2]
