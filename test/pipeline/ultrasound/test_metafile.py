"""Sequence metafiles and calibrations of PLUS are read; damaged ones are refused in words."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest

from mastra_ros.errors import ConfigError, SourceError
from mastra_ros.pipeline.ultrasound.calibration import read_calibration
from mastra_ros.pipeline.ultrasound.metafile import read_metafile
from mastra_ros.pipeline.ultrasound.region import Fan, Region

MATRIX = "1 0 0 5 0 1 0 6 0 0 1 7 0 0 0 1"
PIXELS = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)


def written(path: Path, changed: dict[str, str | None] | None = None, pixels: bytes = b"") -> Path:
    header: dict[str, str | None] = {
        "ObjectType": "Image",
        "NDims": "3",
        "DimSize": "4 3 2",
        "ElementType": "MET_UCHAR",
        "UltrasoundImageOrientation": "MF",
        "Seq_Frame0000_ProbeToTrackerTransform": MATRIX,
        "Seq_Frame0000_ProbeToTrackerTransformStatus": "OK",
        "Seq_Frame0000_Timestamp": "1.5",
        "Seq_Frame0001_ProbeToTrackerTransform": MATRIX,
        "Seq_Frame0001_ProbeToTrackerTransformStatus": "INVALID",
    }
    header.update(changed or {})
    lines = [f"{name} = {value}" for name, value in header.items() if value is not None]
    text = "\n".join([*lines, "ElementDataFile = LOCAL"]) + "\n"
    path.write_bytes(text.encode() + (pixels or PIXELS.tobytes()))
    return path


@pytest.mark.parametrize("packed", [False, True])
def test_pictures_poses_and_stamps_are_read(tmp_path: Path, packed: bool) -> None:
    changed: dict[str, str | None] = {"CompressedData": str(packed)}
    data = zlib.compress(PIXELS.tobytes()) if packed else b""
    file = read_metafile(written(tmp_path / "a.igs.mha", changed, data))
    np.testing.assert_array_equal(file.volume(), PIXELS)
    pose = file.transform(0, "ProbeToTracker")
    assert pose is not None
    assert pose[:3, 3].tolist() == [5.0, 6.0, 7.0]
    assert file.transform(1, "ProbeToTracker") is None, "it is not OK"
    assert file.transform(0, "StylusToTracker") is None, "there is none"
    assert (file.stamp_s(0), file.stamp_s(1)) == (1.5, None)
    assert file.orientation == "MF"
    assert file.transforms() == ["ProbeToTracker"]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"DimSize": None}, "expected DimSize"),
        ({"DimSize": "4 3"}, "3 finite numbers"),
        ({"DimSize": "4 -3 2"}, "whole sides"),
        ({"DimSize": "40000 40000 2"}, "at most"),
        ({"DimSize": "4 3 2000000000"}, "at most"),
        ({"ElementType": "MET_FLOAT"}, "MET_UCHAR"),
        ({"ElementNumberOfChannels": "2"}, "1 or 3 channels"),
    ],
)
def test_a_header_that_makes_no_sense_is_refused(
    tmp_path: Path, changed: dict[str, str | None], words: str
) -> None:
    with pytest.raises(SourceError, match=words):
        read_metafile(written(tmp_path / "a.igs.mha", changed))


@pytest.mark.parametrize("packed", [False, True])
def test_a_file_that_ends_too_early_says_how_many_pictures_it_has(
    tmp_path: Path, packed: bool
) -> None:
    data = PIXELS.tobytes()[:-3]
    path = tmp_path / "a.igs.mha"
    written(path, {"CompressedData": str(packed)}, zlib.compress(data) if packed else data)
    with pytest.raises(SourceError, match="expected 2 pictures of 12 bytes, got 1"):
        read_metafile(path).volume()


def test_damaged_compression_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "a.igs.mha", {"CompressedData": "True"}, b"no zlib at all")
    with pytest.raises(SourceError, match="damaged compression"):
        read_metafile(path).volume()


def test_a_file_that_is_not_there_or_no_metafile_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="No such file"):
        read_metafile(tmp_path / "none.igs.mha")
    other = tmp_path / "other.igs.mha"
    other.write_bytes(b"\x00\xff" * 4096)
    with pytest.raises(SourceError, match="expected"):
        read_metafile(other)


def test_the_sequences_of_plus_are_read(data_folder: Path) -> None:
    folder = data_folder / "ultrasound"
    sweep = read_metafile(folder / "SpinePhantomFreehand.igs.mha")
    assert sweep.size == (820, 616, 21)
    assert next(sweep.pictures()).shape == (616, 820)
    assert sweep.stamp_s(20) == pytest.approx(216.947186)
    poses = read_metafile(folder / "WaterTankBottomTranslationTrackerBuffer-trimmed.igs.mha")
    assert len(poses.fields) == 801
    assert list(poses.pictures()) == []
    assert poses.transform(800, "ProbeToTracker") is not None


def test_the_calibrations_of_plus_are_read(data_folder: Path) -> None:
    folder = data_folder / "ultrasound"
    name = "PlusDeviceSet_VolumeReconstructionOnly_SonixRP_TRUS_D70mm_NN_LATE.xml"
    late = read_calibration(folder / name)
    fan = Fan((380.0, 20.0), -45.0, 45.0, 120.0, 360.0)
    assert late.region == Region((192, 16, 420, 580), fan)
    assert late.matrix[0, 3] == 15.3978
    assert late.spacing_mm == pytest.approx((0.0854, 0.0790), abs=1e-4)
    scan = read_calibration(folder / "PlusDeviceSet_RfProcessingAlgoCurvilinearTest.xml")
    assert scan.scan["RadiusStopMm"] == "82.0"
    assert scan.digest != late.digest


YAML = """
image_to_probe: [0.1, 0, 0, 1, 0, 0.1, 0, 2, 0, 0, 0.1, 3, 0, 0, 0, 1]
clip_px: [10, 20, 300, 400]
fan: {origin_px: [150, 0], angles_deg: [-30, 30], radii_px: [50, 380]}
lag_ms: -64.8
"""


def test_a_calibration_of_our_own_is_read(tmp_path: Path) -> None:
    path = tmp_path / "probe.yaml"
    path.write_text(YAML)
    read = read_calibration(path)
    assert read.region == Region((10, 20, 300, 400), Fan((150.0, 0.0), -30.0, 30.0, 50.0, 380.0))
    assert read.lag_ms == -64.8
    path.write_text(YAML.replace("-64.8", "-64.7"))
    assert read_calibration(path).digest != read.digest


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<Plus><Transform From='A' To='B' Matrix='1 2 3'/></Plus>", "expected 16 numbers"),
        ("<Plus/>", "from Image to Probe"),
        ("<Plus", "expected XML"),
        ("<!DOCTYPE x [<!ENTITY a 'b'>]><Plus/>", "without a document type"),
        ("a: [", "XML or YAML"),
        ("just words", "names and values"),
        ("image_to_prob: []", "image_to_probe"),
        ("image_to_probe: [1, 2]", "expected 16 numbers"),
        (YAML.replace("clip_px: [10, 20, 300, 400]", ""), "clip_px beside the fan"),
        (YAML.replace("angles_deg", "angles"), "fan.angles_deg"),
        (YAML.replace("-64.8", "soon"), "lag_ms"),
    ],
)
def test_a_calibration_that_makes_no_sense_is_refused_in_words(
    tmp_path: Path, text: str, words: str
) -> None:
    path = tmp_path / "probe.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=words):
        read_calibration(path)
