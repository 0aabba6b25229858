"""Castings: drawn ones whose voids are known, read from pictures and from DICOM."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mastra_ros.cli import main as cli
from mastra_ros.config import CastingConfig
from mastra_ros.errors import VolumeError
from mastra_ros.pipeline.casting.drawn import CRACK, VOIDS, drawn_casting
from mastra_ros.pipeline.casting.stack import read_stack
from mastra_ros.pipeline.casting.voids import CastingVerdict, inspect_casting, reasons_against
from mastra_ros.pipeline.volume.reconstruction import Volume

pytest.importorskip("skimage", reason='scikit-image is not installed: pip install ".[medical]"')

GENEROUS = CastingConfig(volume_max_mm3=50.0, length_max_mm=20.0, cracks_max=5)
SPACING = (0.25, 0.25, 0.25)


@pytest.fixture(scope="module")
def cracked() -> Volume:
    return drawn_casting((*VOIDS, CRACK))


@pytest.fixture(scope="module")
def told(cracked: Volume) -> CastingVerdict:
    return inspect_casting(cracked)


def test_every_void_is_found_where_it_is_and_as_large(told: CastingVerdict) -> None:
    assert len(told.voids) == len(VOIDS) + 1
    for true in (*VOIDS, CRACK):
        one = min(
            told.voids,
            key=lambda void: float(np.abs(np.subtract(void.centre_mm, true.centre_mm)).max()),
        )
        assert one.centre_mm == pytest.approx(true.centre_mm, abs=0.1)
        assert one.volume_mm3 == pytest.approx(true.volume_mm3, rel=0.08)
        assert one.length_mm == pytest.approx(2 * max(true.semi_mm), rel=0.1)
        assert one.kind == ("crack" if true is CRACK else "void")


def test_the_verdict_names_every_limit_that_is_not_held(told: CastingVerdict) -> None:
    assert told.verdict == "reject"
    assert [re.sub(r", the .*| are allowed", "", one) for one in told.reasons] == [
        "2 voids larger than 5 mm³",
        "1 voids longer than 4 mm",
        "1 cracks, at most 0",
    ]


def test_limits_decide(told: CastingVerdict) -> None:
    assert reasons_against(told.voids, told.porosity, GENEROUS) == []
    strict = dataclasses.replace(GENEROUS, voids_max=3, porosity_max=0.01)
    told_against = reasons_against(told.voids, told.porosity, strict)
    assert [one.split()[0] for one in told_against] == ["4", "porosity"]


def test_a_sound_part_with_its_bore_passes() -> None:
    told = inspect_casting(drawn_casting(()))
    assert (told.verdict, told.voids) == ("pass", ())
    assert told.part_ml == pytest.approx((21 * 19 - np.pi * 2.5**2) * 29 / 1000, rel=0.02)


def test_a_stack_without_a_part_is_refused() -> None:
    part = drawn_casting(())
    with pytest.raises(VolumeError, match="one gray level"):
        inspect_casting(Volume(part.grid, np.full(part.grid.shape, 7.0), part.hits))


def save(volume: Volume, folder: Path, name: str = "slice-{:d}.png") -> str:
    folder.mkdir()
    for number, one in enumerate(volume.values):
        cv2.imwrite(str(folder / name.format(number)), one.astype(np.uint8))
    return f"folder:{folder}"


def test_a_folder_of_slices_is_the_stack_that_was_saved(cracked: Volume, tmp_path: Path) -> None:
    source = save(cracked, tmp_path / "part")  # slice-10 comes after slice-9
    again = read_stack(source, spacing_mm=SPACING)
    assert again.grid == cracked.grid
    assert np.array_equal(again.values, cracked.values)


def test_a_stack_that_is_not_whole_is_refused(cracked: Volume, tmp_path: Path) -> None:
    source = save(cracked, tmp_path / "part")
    with pytest.raises(VolumeError, match=r"0\.001 to 100 mm"):
        read_stack(source)
    with pytest.raises(VolumeError, match="at most 1000 voxels"):
        read_stack(source, spacing_mm=SPACING, voxels_max=1000)
    (tmp_path / "part" / "slice-7.png").write_bytes(b"no picture")
    with pytest.raises(VolumeError, match=r"slice-7\.png: expected a picture"):
        read_stack(source, spacing_mm=SPACING)
    (tmp_path / "part" / "slice-7.png").unlink()
    with pytest.raises(VolumeError, match="numbered evenly, got steps of 1, 2"):
        read_stack(source, spacing_mm=SPACING)
    cv2.imwrite(str(tmp_path / "part" / "slice-7.png"), np.zeros((9, 9), np.uint8))
    with pytest.raises(VolumeError, match=r"slice-7\.png: expected uint8"):
        read_stack(source, spacing_mm=SPACING)
    for wrong in ("part", "folder:", "tape:part", f"folder:{tmp_path}/none", f"folder:{tmp_path}"):
        with pytest.raises(VolumeError, match="expected"):
            read_stack(wrong, spacing_mm=SPACING)


def series(volume: Volume, folder: Path, *, lacking: int = -1, count: int = 10**6) -> str:
    """As a DICOM series, written from the last slice to the first."""
    pydicom = pytest.importorskip("pydicom", reason="pydicom is not installed")
    from pydicom.dataset import Dataset, FileMetaDataset

    folder.mkdir()
    common = pydicom.uid.generate_uid()
    for number, one in reversed(list(enumerate(volume.values))[:count]):
        if number == lacking:
            continue
        ds: Any = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
        ds.SOPInstanceUID = pydicom.uid.generate_uid()
        ds.SeriesInstanceUID = common
        ds.Modality = "CT"
        ds.Rows, ds.Columns = one.shape
        ds.PixelSpacing = [0.25, 0.25]
        ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        ds.ImagePositionPatient = [0, 0, number * 0.25]
        ds.SamplesPerPixel = 1
        ds.PhotometricInterpretation = "MONOCHROME2"
        ds.BitsAllocated = ds.BitsStored = 16
        ds.HighBit = 15
        ds.PixelRepresentation = 0
        ds.RescaleSlope, ds.RescaleIntercept = 1, -1000
        ds.PixelData = (one + 1000).astype("<u2").tobytes()
        ds.save_as(folder / f"{999 - number}.dcm", enforce_file_format=True)
    return f"dicom:{folder}"


def test_a_dicom_series_says_itself_how_it_lies(cracked: Volume, tmp_path: Path) -> None:
    again = read_stack(series(cracked, tmp_path / "ct"))
    assert again.grid == cracked.grid
    assert np.array_equal(again.values, cracked.values)
    with pytest.raises(VolumeError, match=r"evenly apart, got 0\.250 to 0\.500 mm"):
        read_stack(series(cracked, tmp_path / "hole", lacking=9))


def changed(source: str, **tags: Any) -> None:
    """Change tags of the first file of a series; None takes one out."""
    pydicom = pytest.importorskip("pydicom", reason="pydicom is not installed")
    path = min(Path(source.removeprefix("dicom:")).iterdir())
    ds = pydicom.dcmread(path)
    for name, value in tags.items():
        if value is None:
            delattr(ds, name)
        else:
            setattr(ds, name, value)
    ds.save_as(path)


def test_a_series_is_found_in_folders_below_and_beside_scouts_and_notes(
    cracked: Volume, tmp_path: Path
) -> None:
    study = tmp_path / "study"
    study.mkdir()
    series(cracked, study / "ct")
    scout = series(cracked, study / "scout", count=1)
    changed(scout, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    series(cracked, study / "single", count=1)
    (study / "README.txt").write_text("of part 17")
    assert read_stack(f"dicom:{study}").grid == cracked.grid
    series(cracked, study / "again", count=3)
    with pytest.raises(VolumeError, match=r"slices of 3 series: .* of 1\.2\."):
        read_stack(f"dicom:{study}")


@pytest.mark.parametrize(
    "tags", [{"PixelSpacing": None}, {"PixelData": b"short"}, {"Rows": 0}, {"BitsAllocated": 7}]
)
def test_a_series_that_is_damaged_is_one_line(
    cracked: Volume, tmp_path: Path, tags: dict[str, Any]
) -> None:
    source = series(cracked, tmp_path / "ct", count=4)
    changed(source, **tags)
    with pytest.raises(VolumeError) as caught:
        read_stack(source)
    assert "\n" not in str(caught.value)


def test_the_command_reports_and_its_status_is_the_verdict(
    cracked: Volume, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = save(cracked, tmp_path / "part")
    limits = tmp_path / "limits.yaml"
    limits.write_text("{spacing_x_mm: 0.25, spacing_y_mm: 0.25, spacing_z_mm: 0.25}")
    out, picture = tmp_path / "told.json", tmp_path / "told.png"
    options = ["--params", str(limits), "--out", str(out), "--picture", str(picture)]
    assert cli.main(["casting", source, *options]) == 3
    assert "crack of" in capsys.readouterr().out
    assert len(json.loads(out.read_text())["voids"]) == 4
    assert picture.read_bytes().startswith(b"\x89PNG")
    limits.write_text("{voids: 1}")
    assert cli.main(["casting", source, "--params", str(limits)]) == 2
    assert "voids: unknown parameter" in capsys.readouterr().err
