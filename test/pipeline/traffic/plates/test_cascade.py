"""The plate that is found on a vehicle is its own: not its neighbour's, and no sign or badge."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mastra_ros.pipeline.traffic.device.cascade import Box, PlateCascade
from mastra_ros.pipeline.traffic.plates.formats import formats_of, formatted
from mastra_ros.pipeline.traffic.plates.reading import LETTERS, Reading
from mastra_ros.privacy.finders.region import FACE, PLATE, Region

STREET = np.zeros((600, 1200, 3), np.uint8)
CAR: Box = (300.0, 200.0, 600.0, 440.0)
"""300 px wide, so that it is not enlarged to look for its plate."""


class Finder:
    """Finds what it is told to, in px of the part that it is shown."""

    def __init__(self, *regions: Region) -> None:
        self.regions = list(regions)
        self.shown: list[tuple[int, ...]] = []

    def find(self, image: Any) -> list[Region]:
        self.shown.append(image.shape)
        return self.regions

    def close(self) -> None:
        """Nothing is held."""


class Reader:
    """Says how large what it was given is, and reads nothing."""

    whole = False
    name, digest = "none", ""

    def __init__(self) -> None:
        self.sizes: list[tuple[int, ...]] = []

    def read(self, plates: list[Any]) -> list[Reading]:
        self.sizes += [plate.shape[:2] for plate in plates]
        return [Reading(np.zeros((0, 36), np.float32)) for _ in plates]

    def close(self) -> None:
        """Nothing is held."""


def plate(x: float, y: float, score: float = 0.8, size: tuple[float, float] = (80, 20)) -> Region:
    return Region(x, y, *size, PLATE, score)


def found(*regions: Region, vehicle: Box = CAR) -> Box | None:
    return PlateCascade(Finder(*regions), Reader()).plate_in(STREET, vehicle)  # type: ignore[arg-type]


def test_a_plate_is_told_in_px_of_the_frame() -> None:
    assert found(plate(110, 180)) == (410.0, 380.0, 490.0, 400.0)


def test_of_a_small_vehicle_that_is_enlarged_too() -> None:
    box = found(plate(90, 150, size=(90, 30)), vehicle=(100.0, 100.0, 200.0, 200.0))
    assert box is not None
    assert box == pytest.approx((100 + 90 / 2.6, 100 + 150 / 2.6, 100 + 180 / 2.6, 100 + 180 / 2.6))


@pytest.mark.parametrize("x", [-38, 258])
def test_a_surer_plate_at_the_border_is_of_the_car_beside(x: float) -> None:
    assert found(plate(x, 180, 0.99)) is None
    assert found(plate(x, 180, 0.99), plate(110, 180, 0.5)) == (410.0, 380.0, 490.0, 400.0)


@pytest.mark.parametrize(
    "other",
    [
        plate(110, 5, 0.99),  # the lettering above the windscreen
        plate(110, 180, 0.99, (20, 18)),  # a badge
        plate(110, 180, 0.99, (290, 40)),  # a bumper
        plate(110, 100, 0.99, (100, 11)),  # a grille
        plate(110, 180, 0.1),
        Region(110, 180, 80, 20, FACE, 0.99),
    ],
)
def test_what_is_no_plate_is_not_read(other: Region) -> None:
    assert found(other) is None


def test_without_a_plate_nothing_is_read() -> None:
    reader = Reader()
    looked = PlateCascade(Finder(), reader).look(STREET, CAR)  # type: ignore[arg-type]
    assert (looked.box, looked.reading, reader.sizes) == (None, None, [])
    PlateCascade(Finder(plate(110, 180)), reader).look(STREET, CAR)  # type: ignore[arg-type]
    assert len(reader.sizes) == 1


def test_a_vehicle_of_a_few_px_is_not_looked_at() -> None:
    finder = Finder(plate(1, 1))
    cascade = PlateCascade(finder, Reader())  # type: ignore[arg-type]
    assert cascade.plate_in(STREET, (10.0, 10.0, 30.0, 24.0)) is None
    assert cascade.plate_in(STREET, (-90.0, 10.0, -20.0, 80.0)) is None
    assert finder.shown == []


def test_two_lines_read_one_after_the_other_are_one_plate() -> None:
    letters = np.full((7, 36), 0.003, np.float32)
    for k, (letter, other) in enumerate(zip("AB" + "I2OCD", "AB" + "120CD", strict=True)):
        letters[k, LETTERS.index(other)] = 0.35
        letters[k, LETTERS.index(letter)] = 0.55
    assert formatted(Reading(letters), formats_of(["AA999AA"])).text == "AB120CD"
