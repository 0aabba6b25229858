"""`mastra ultrasound` measures the lag and tells what is doubtful, with numbers."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from mastra_ros.cli import run
from mastra_ros.cli.main import main

PICTURES = "WaterTankBottomTranslationVideoBuffer.igs.mha"
POSES = "WaterTankBottomTranslationTrackerBuffer-trimmed.igs.mha"
BK = "SegmentationTest_BKMedical_RandomStepperMotionData2_Trimmed.igs.mha"
BANNER = "RESEARCH USE ONLY - NOT A MEDICAL DEVICE"


def test_the_lag_is_told_both_ways_round(
    data_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = data_folder / "ultrasound"
    told = tmp_path / "lag.json"
    arguments = ["ultrasound", "lag", str(folder / PICTURES), "--poses", str(folder / POSES)]
    assert main([*arguments, "--json", str(told)]) == 0
    printed = capsys.readouterr().out
    assert "set ultrasound.lag_ms to 64.2" in printed
    assert "as PLUS tells it (the tracker's lag): -64.2 ms" in printed
    assert BANNER in printed
    assert json.loads(told.read_text())["plus_ms"] == pytest.approx(-64.8, abs=10.0)


def test_a_recording_without_motion_has_no_lag(
    data_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = data_folder / "ultrasound" / "SpinePhantomFreehand.igs.mha"
    assert main(["ultrasound", "lag", str(path)]) == 1
    assert "mastra: lag: expected at least 20 pictures" in capsys.readouterr().err


def test_what_is_doubtful_about_a_recording_is_told_with_numbers(
    data_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = data_folder / "ultrasound"
    assert main(["ultrasound", "check", str(folder / BK), "--tool", "Tool"]) == 1
    printed = capsys.readouterr().out
    assert "6 frames of 640x480 px" in printed
    assert "6 of 6 have no time stamp" in printed
    calibration = folder / "PlusDeviceSet_VolumeReconstructionOnly_SpinePhantom_NN_MEAN.xml"
    sweep = folder / "SpinePhantomFreehand.igs.mha"
    assert main(["ultrasound", "check", str(sweep), "--calibration", str(calibration)]) == 0
    assert "nothing is doubtful" in capsys.readouterr().out


def test_a_mirrored_calibration_is_told(
    data_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "probe.yaml"
    path.write_text("image_to_probe: [0.1, 0, 0, 0, 0, 0.1, 0, 0, 0, 0, -1, 0, 0, 0, 0, 1]\n")
    sweep = data_folder / "ultrasound" / "SpinePhantomFreehand.igs.mha"
    assert main(["ultrasound", "check", str(sweep), "--calibration", str(path)]) == 1
    printed = capsys.readouterr().out
    assert "left-handed" in printed
    assert "nothing would leave" in printed


@pytest.mark.parametrize("option", ["--rate", "--pictures"])
def test_options_that_mean_nothing_to_a_probe_are_refused(
    option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "medical_ultrasound", option, "5"]) == 2
    assert "medical_ultrasound knows no --rate, --pictures" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "source", "wanted"),
    [
        ("synthetic:ultrasound?seed=1", "igs:a.igs.mha", ""),
        (
            "synthetic:ultrasound?seed=1",
            "synthetic:ultrasound?seed=2",
            "synthetic:ultrasound?seed=2",
        ),
        ("probe.xml", "igs:a.igs.mha", "probe.xml"),
        ("probe.xml", "synthetic:ultrasound", "probe.xml"),
    ],
)
def test_the_calibration_of_a_phantom_is_not_taken_for_another_probe(
    tmp_path: Path, given: str, source: str, wanted: str
) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(f"/**/ultrasound:\n  ros__parameters:\n    calibration: {given}\n")
    arguments = ["medical_ultrasound", "--source", source, "--params-file", str(file)]
    parser = argparse.ArgumentParser()
    run.add_arguments(parser)
    parameters = run._parameters(parser.parse_args(arguments))
    assert parameters["ultrasound"]["calibration"] == wanted
    assert parameters["probe"]["source"] == source
