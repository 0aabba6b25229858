"""Heads of persons and bands of vehicles in which nothing was found."""

from __future__ import annotations

import pytest

from mastra_ros.privacy import Region
from mastra_ros.privacy.bands import bands

from .conftest import FakeFinder, gate_of, noisy_frame

PERSON = Region(100, 100, 60, 180, "person", 0.8)
CAR = Region(300, 100, 200, 100, "vehicle", 0.8)


def test_a_person_without_a_face_has_a_head_at_the_top() -> None:
    (head,) = bands([PERSON], [])
    assert (head.kind, head.y) == ("head", PERSON.y)
    assert head.height < PERSON.height / 3
    assert head.overlap_px(PERSON) == pytest.approx(head.area_px)


def test_a_vehicle_without_a_plate_has_a_band_at_the_bottom() -> None:
    (band,) = bands([CAR], [])
    assert band.y + band.height == CAR.y + CAR.height
    assert band.height < CAR.height / 2
    assert band.width == CAR.width


@pytest.mark.parametrize(
    ("found", "made"),
    [
        (Region(120, 105, 20, 20, "face"), ["band"]),
        (Region(120, 105, 20, 20, "head"), ["band"]),
        (Region(380, 180, 40, 12, "plate"), ["head"]),
        (Region(120, 105, 20, 20, "plate"), ["head", "band"]),  # on a person: not his face
        (Region(900, 900, 20, 20, "face"), ["head", "band"]),
    ],
)
def test_none_is_made_where_something_was_found_inside(found: Region, made: list[str]) -> None:
    assert [r.kind for r in bands([PERSON, CAR], [found])] == made


def test_other_objects_have_none() -> None:
    assert bands([Region(0, 0, 9, 9, "scratch")], []) == []


@pytest.mark.parametrize("label", ["Person", "pedestrian", "car", "Truck", "bus"])
def test_the_gate_reads_the_labels_of_the_task(label: str) -> None:
    objects = FakeFinder(Region(20, 20, 40, 60, label, 0.7))
    assert gate_of(FakeFinder(), objects=objects).clear(noisy_frame()).masked == 1
