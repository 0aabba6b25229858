"""`mastra plan`, as a person calls it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mastra_ros.cli.main import main

MODELS = ["--local-accuracy", "0.93", "--cloud-accuracy", "0.97"]
TIMES = ["--local-ms", "20", "--cloud-ms", "60"]


def test_a_plan_is_printed_with_its_assumptions_and_its_verdict(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "plan.json"
    assert main(["plan", *MODELS, *TIMES, "--json", str(path)]) == 0
    text = capsys.readouterr().out
    for expected in (
        "all local",
        "USD a month",
        "assumptions, no vendor's quotation",
        "It holds at",
        "points of accuracy lost",
    ):
        assert expected in text
    told = json.loads(path.read_text())
    assert set(told["ways"]) == {"all local", "all cloud", "mastra"}
    assert len(told["sweep"]) == 60
    assert told["verdict"] in text


def test_one_site_alone_can_be_planned(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", *MODELS, *TIMES, "--no-sweep"]) == 0
    assert "It holds at" not in capsys.readouterr().out


def test_a_floor_of_accuracy_says_the_same_as_points_that_may_be_lost(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    assert (
        main(["plan", *MODELS, *TIMES, "--no-sweep", "--floor", "0.95", "--json", str(path)]) == 0
    )
    told = json.loads(path.read_text())
    assert told["needs"]["points_lost_max"] == pytest.approx(2.0)
    assert told["ways"]["mastra"]["sent_share"] == pytest.approx(0.5)


@pytest.mark.parametrize("floor", ["0.98", "-0.1", "nan"])
def test_a_floor_that_no_model_reaches_is_one_line(
    floor: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", *MODELS, *TIMES, "--floor", floor]) == 2
    assert capsys.readouterr().err.startswith("mastra: --floor: expected 0 to 0.97")


def test_wrong_needs_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", *MODELS, *TIMES, "--cameras", "0"]) == 2
    assert capsys.readouterr().err.startswith("mastra: needs: cameras: expected 1")


def test_a_bundle_that_was_not_measured_says_what_to_give(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["plan", "--bundle", str(tmp_path / "none")]) == 1
    assert "mastra:" in capsys.readouterr().err
