"""The plate that is found on a vehicle is its own: not its neighbour's, and no sign or badge."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mastra_ros.pipeline.traffic.device.cascade import Box, PlateCascade
from mastra_ros.pipeline.traffic.plates.formats import formats_of, formatted
from mastra_ros.pipeline.traffic.plates.reading import LETTERS, Reading, together
from mastra_ros.pipeline.traffic.plates.rectify import lines_of
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
    """Says how large what it was given is, and reads the next of its texts, or nothing."""

    whole = False
    name, digest = "none", ""

    def __init__(self, *texts: tuple[str, float]) -> None:
        self.sizes: list[tuple[int, ...]] = []
        self.texts = list(texts)

    def read(self, plates: list[Any]) -> list[Reading]:
        self.sizes += [plate.shape[:2] for plate in plates]
        return [said(*(self.texts.pop(0) if self.texts else ("", 0.0))) for _ in plates]

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
    assert len(reader.sizes) == 3


SMALL: Box = (410.0, 380.0, 490.0, 420.0)


@pytest.mark.parametrize(
    ("whole", "texts", "times"),
    [
        (False, [("AB123CD", 0.95)], 1),
        (False, [("AB123CD", 0.7)] + [("AB123CD", 0.97)] * 2, 3),
        (False, [("AB123CD", 0.4)] * 9, 6),
        (False, [], 3),
        (True, [("AB123CD", 0.95)], 1),
        (True, [("AB123CD", 0.4)] * 9, 2),
        (True, [], 2),
    ],
)
def test_further_views_are_read_only_while_it_is_not_sure(
    whole: bool, texts: list[tuple[str, float]], times: int
) -> None:
    reader = Reader(*texts)
    reader.whole = whole
    reading = PlateCascade(Finder(), reader).read(STREET, SMALL)  # type: ignore[arg-type]
    assert len(reader.sizes) == times
    assert len(reading.views) == min(times, len(texts))


def test_what_is_read_as_a_plate_goes_before_a_likelier_badge() -> None:
    regions = plate(110, 180, 0.9), plate(110, 120, 0.6)
    badge = [("GOLF", 0.9)] * 6
    reader = Reader(*badge, ("AB123CD", 0.95))
    looked = PlateCascade(Finder(*regions), reader).look(STREET, CAR)  # type: ignore[arg-type]
    assert looked.box == (410.0, 320.0, 490.0, 340.0)
    assert looked.reading is not None
    assert looked.reading.text == "AB123CD"
    alone = PlateCascade(Finder(*regions), Reader(("AB123CD", 0.95)))  # type: ignore[arg-type]
    assert alone.look(STREET, CAR).box == (410.0, 380.0, 490.0, 400.0)


HIGH: Box = (410.0, 380.0, 470.0, 420.0)


@pytest.mark.parametrize(
    ("box", "lower", "text"),
    [
        (HIGH, ("123CD", 0.95), "AB123CD"),
        (HIGH, ("SALE", 0.95), "QW"),
        (SMALL, ("123CD", 0.95), "QW"),
    ],
)
def test_a_plate_that_is_nearly_as_high_as_wide_may_hold_two_lines(
    box: Box, lower: tuple[str, float], text: str
) -> None:
    reader = Reader(*[("QW", 0.2)] * 3, ("AB", 0.95), lower)
    reading = PlateCascade(Finder(), reader).read(STREET, box)  # type: ignore[arg-type]
    assert reading.text == text


def test_where_none_can_be_read_the_likeliest_by_its_looks_is_told() -> None:
    regions = plate(110, 120, 0.6), plate(110, 180, 0.9)
    looked = PlateCascade(Finder(*regions), Reader()).look(STREET, CAR)  # type: ignore[arg-type]
    assert looked.box == (410.0, 380.0, 490.0, 400.0)


@pytest.mark.parametrize("box", [(-9.0, -4.0, 30.0, 8.0), (1190.0, 590.0, 1260.0, 640.0)])
def test_lines_at_the_border_of_the_picture_lie_in_it(
    box: tuple[float, float, float, float],
) -> None:
    assert all(min(cut.shape[:2]) > 0 for cut in lines_of(STREET, box))


def test_a_long_plate_is_read_with_what_is_around_it_and_another_within() -> None:
    long, north = (500.0, 300.0, 600.0, 325.0), (500.0, 300.0, 600.0, 350.0)
    assert max(cut.shape[0] for cut in lines_of(STREET, long)) > 25
    assert all(cut.shape[1] > 100 for cut in lines_of(STREET, long))
    assert max(cut.shape[0] for cut in lines_of(STREET, north)) < 50


def said(text: str, chance: float) -> Reading:
    letters = np.full((len(text), 36), (1 - chance) / 35, np.float32)
    letters[range(len(text)), [LETTERS.index(letter) for letter in text]] = chance
    return Reading(letters)


def test_of_several_readings_the_length_that_most_are_for_counts_and_its_letters_are_averaged() -> (
    None
):
    readings = [said("AB123", 0.9), said("AB128", 0.5), said("IAB123", 0.8)]
    assert together(readings).text == "AB123"
    assert together([said("AB12", 0.3), said("XAB123", 0.9), said("XAB123", 0.6)]).text == "XAB123"
    assert together(readings[:1]).confidence == pytest.approx(0.9)


def test_of_readings_of_nothing_there_is_none() -> None:
    nothing = Reading(np.zeros((0, 36), np.float32))
    assert together([nothing, said("AB123", 0.4), nothing]).text == "AB123"
    assert together([nothing, nothing]).text == ""
    assert together([]).confidence == 0.0


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
