"""`mastra ultrasound volume`: PLUS's references, each by its own configuration."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mastra_ros.cli import main as cli
from mastra_ros.errors import VolumeError
from mastra_ros.pipeline.ultrasound.cloud.plus import PlusOptions
from mastra_ros.pipeline.ultrasound.ways import way

OPTIONS = {
    "OutputSpacing": "0.5 0.5 0.5",
    "Interpolation": "NEAREST_NEIGHBOR",
    "CompoundingMode": "MEAN",
}


@pytest.mark.parametrize(
    ("config", "wanted"),
    [("SpinePhantom_NN_MEAN", "NNMEAN"), ("SonixRP_TRUS_D70mm_NN_LATE", "NNLATE")],
)
def test_every_voxel_is_that_of_plus(
    config: str,
    wanted: str,
    data_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = data_folder / "ultrasound"
    out = tmp_path / "volume.nrrd"
    status = cli.main(
        [
            *("ultrasound", "volume", str(data / "SpinePhantomFreehand.igs.mha")),
            "--calibration",
            str(data / f"PlusDeviceSet_VolumeReconstructionOnly_{config}.xml"),
            *("--against", str(data / f"vtkVolumeReconstructorTest{wanted}volumeRef.mha")),
            *("--out", str(out)),
        ]
    )
    assert status == 0
    assert "100.0000% of the voxels" in capsys.readouterr().out
    assert out.read_bytes().startswith(b"NRRD")


def test_a_reference_that_nothing_leads_to_is_said(
    data_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = data_folder / "ultrasound"
    xml = data / "PlusDeviceSet_VolumeReconstructionOnly_SpinePhantom_NN_MEAN.xml"
    recording = str(data / "SpinePhantomFreehand.igs.mha")
    options = ["--calibration", str(xml), "--reference", "Moon"]
    assert cli.main(["ultrasound", "volume", recording, *options]) == 1
    assert "a way from Image to Moon" in capsys.readouterr().err
    assert cli.main(["ultrasound", "volume", recording]) == 2


def test_transforms_are_followed_forwards_and_back() -> None:
    one, other = np.diag([2.0, 2, 2, 1]), np.eye(4)
    other[0, 3] = 5.0
    known = {"ImageToProbe": one, "ProbeToTracker": other, "ReferenceToTracker": one}
    found = way(known, "Image", "Reference")
    assert found is not None
    assert np.allclose(found, np.linalg.inv(one) @ other @ one)
    assert way(known, "Image", "Phantom") is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"OutputSpacing": "0.5 0.5"},
        {"CompoundingMode": "IMPORTANCE_MASK"},
        {"FillHoles": "ON", "HoleFilling.Type": "GAUSSIAN"},
        {"FanAnglesDeg": "-45"},
        {"ClipRectangleSize": "10 10"},
    ],
)
def test_options_that_we_cannot_do_are_refused(wrong: dict[str, str]) -> None:
    assert PlusOptions.of(OPTIONS).stick == 0
    with pytest.raises(VolumeError, match="PLUS: "):
        PlusOptions.of({**OPTIONS, **wrong})
