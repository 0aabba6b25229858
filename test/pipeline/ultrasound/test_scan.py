"""Lines of echoes become the very pictures that PLUS makes of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mastra_ros.errors import ConfigError, FrameError
from mastra_ros.pipeline.ultrasound.calibration import read_calibration
from mastra_ros.pipeline.ultrasound.metafile import read_metafile
from mastra_ros.pipeline.ultrasound.scan import ScanConverter, ScanGeometry, geometry_from_plus

LINEAR = ScanGeometry((41, 61), (20.0, 0.0), (1.0, 1.0), width_mm=40.0, depth_mm=64.0)
SCAN = {
    "TransducerGeometry": "CURVILINEAR",
    "RadiusStartMm": "10.0",
    "RadiusStopMm": "82.0",
    "ThetaStartDeg": "-75.0",
    "ThetaStopDeg": "75.0",
    "OutputImageSizePixel": "820 616",
    "TransducerCenterPixel": "410 87",
    "OutputImageSpacingMmPerPixel": "0.15 0.15",
}


def test_a_curved_probe_gives_the_pictures_of_plus_to_the_last_pixel(data_folder: Path) -> None:
    folder = data_folder / "ultrasound"
    calibration = read_calibration(folder / "PlusDeviceSet_RfProcessingAlgoCurvilinearTest.xml")
    converter = ScanConverter(geometry_from_plus(calibration.scan))
    lines = read_metafile(folder / "UltrasonixCurvilinearBrightnessData.igs.mha")
    wanted = read_metafile(folder / "UltrasonixCurvilinearScanConvertedData.igs.mha")
    for got, picture in zip(lines.pictures(), wanted.pictures(), strict=True):
        np.testing.assert_array_equal(converter.convert(got), picture)


def test_what_is_seen_lies_in_the_region() -> None:
    geometry = geometry_from_plus(SCAN)
    picture = ScanConverter(geometry).convert(np.full((96, 400), 200, np.uint8))
    inside = geometry.region.mask(820, 616)
    assert (picture[~inside] == 0).all()
    assert (picture[inside] == 200).mean() > 0.98  # the last sample ends before the last radius


def test_a_linear_probe_keeps_its_lines_straight_and_each_pixel_is_of_the_nearest() -> None:
    lines = np.zeros((20, 64), np.uint8)
    lines[5, :] = 100
    lines[:, 30] = 50
    lines[10, :] = 70
    picture = ScanConverter(LINEAR).convert(lines)  # 20 lines over 40 mm: 2 mm apart
    assert picture.shape == (61, 41)
    assert picture[0, 20:22].tolist() == [70, 0], "line 10 of 20 is the one in the middle"
    assert picture[0, 9:12].tolist() == [100, 100, 0], "half way is the later line's"
    assert picture[30, :39].tolist() == [50] * 9 + [100] * 2 + [50] * 8 + [70] * 2 + [50] * 18 or (
        picture[30, 0] == 50
    )
    assert (picture[31] == 0).sum() == 41 - 4
    assert LINEAR.region.clip_px == (0, 0, 41, 61)


def test_half_a_gray_level_is_rounded_up() -> None:
    lines = np.zeros((96, 400), np.uint8)
    lines[40:42] = 1
    picture = ScanConverter(geometry_from_plus(SCAN)).convert(lines)
    assert set(np.unique(picture).tolist()) == {0, 1}
    narrow = np.zeros((96, 400), np.uint8)
    narrow[40] = 1
    assert 0 < (ScanConverter(geometry_from_plus(SCAN)).convert(narrow) > 0).sum() < picture.sum()


@pytest.mark.parametrize(
    ("changed", "face"),
    [
        ({"TransducerCenterPixel": "410 87"}, (409.5, 87.0)),
        ({}, (409.5, 10.0 / 0.15)),
        ({"OutputImageStartDepthMm": "-3"}, (409.5, 13.0 / 0.15)),
        ({"TransducerGeometry": "Curvilinear"}, (409.5, 10.0 / 0.15)),
    ],
)
def test_where_the_face_is_not_said_it_lies_where_plus_takes_it(
    changed: dict[str, str], face: tuple[float, float]
) -> None:
    scan = {name: value for name, value in SCAN.items() if name != "TransducerCenterPixel"}
    assert geometry_from_plus({**scan, **changed}).face_px == pytest.approx(face)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("TransducerGeometry", "SPIRAL", "CURVILINEAR or LINEAR"),
        ("RadiusStartMm", "90", "radii"),
        ("ThetaStartDeg", "80", "angles"),
        ("OutputImageSizePixel", "820", "2 numbers"),
        ("OutputImageSizePixel", "0 616", "sides of 1 to"),
        ("OutputImageSizePixel", "1e9 1e9", "sides of 1 to"),
        ("OutputImageSpacingMmPerPixel", "nan nan", "2 numbers"),
        ("OutputImageSpacingMmPerPixel", "0 0.1", "mm a pixel"),
        ("RadiusStopMm", "far", "1 numbers"),
    ],
)
def test_a_geometry_that_makes_no_sense_is_refused(name: str, value: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        geometry_from_plus({**SCAN, name: value})


@pytest.mark.parametrize(
    "lines", [np.zeros((1, 5), np.uint8), np.zeros((5, 5)), np.zeros((5, 5, 3), np.uint8)]
)
def test_lines_that_are_none_are_refused(lines: np.ndarray) -> None:
    with pytest.raises(FrameError, match="expected uint8"):
        ScanConverter(LINEAR).convert(lines)
