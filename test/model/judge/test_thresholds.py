"""Score thresholds are fitted for each number of views, and entered into the bundle."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

from mastra_ros.camera.drawn.board import LABELS as BOARD_LABELS
from mastra_ros.camera.drawn.board import draw_board
from mastra_ros.cli import main as cli
from mastra_ros.inference import Bundle, Detector, bundle, load_bundle
from mastra_ros.model.dataset import open_dataset
from mastra_ros.model.judge.evaluate import evaluate, ways_of
from mastra_ros.model.judge.thresholds import GRID, Fitted, best, entered
from mastra_ros.share import share_file

SHIPPED = share_file("models/board_defects")


@pytest.fixture
def boards(tmp_path: Path) -> Path:
    """Six drawn boards with their labels."""
    for name in ("images", "labels"):
        (tmp_path / "boards" / name).mkdir(parents=True)
    for i in range(6):
        board = draw_board(np.random.default_rng(i), 640, 640, 5)
        cv2.imwrite(str(tmp_path / "boards/images" / f"{i}.png"), board.image)
        rows = [
            f"{d.x1:g} {d.y1:g} {d.x2:g} {d.y2:g} {BOARD_LABELS.index(d.label) + 1}\n"
            for d in board.defects
        ]
        (tmp_path / "boards/labels" / f"{i}.txt").write_text("".join(rows))
    return tmp_path / "boards"


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The shipped bundle as it was before thresholds were told apart by views."""
    folder = tmp_path / "old"
    shutil.copytree(SHIPPED, folder)
    document = yaml.safe_load((folder / "bundle.yaml").read_text())
    document["format"] = 1
    del document["parts"]["cloud_int8"]  # of format 2 too
    cloud = document["parts"]["cloud"]
    cloud["score_threshold"] = cloud.pop("score_thresholds")[2]
    (folder / "bundle.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    return folder


def test_the_top_of_a_flat_hill_is_taken_and_not_the_tip_of_a_jagged_one() -> None:
    curve = np.where((GRID > 0.395) & (GRID < 0.605), 0.9, 0.5)
    curve[5] = 1.0
    assert GRID[best(curve)] == 0.5


def test_thresholds_take_the_place_of_those_before() -> None:
    parts: dict[str, Any] = {
        "local": {"file": "a", "score_threshold": 0.5, "version": "1"},
        "cloud": {"file": "b", "score_threshold": 0.4, "views": 2},
        "tail": {"file": "c", "score_threshold": 0.3},
    }
    fitted = [
        Fitted("local", 1, 0.6, 1.0, 0.5, 1.0),
        Fitted("cloud", 1, 0.47, 1.0, 0.4, 1.0),
        Fitted("cloud", 2, 0.42, 1.0, 0.4, 1.0),
    ]
    new = entered({"name": "x", "parts": parts}, fitted)
    assert new["parts"] == {
        "local": {"file": "a", "score_threshold": 0.6, "version": "1"},
        "cloud": {"file": "b", "score_thresholds": {1: 0.47, 2: 0.42}, "views": 2},
        "tail": {"file": "c", "score_threshold": 0.3},
    }
    assert list(new["parts"]["cloud"]) == ["file", "score_thresholds", "views"]
    assert parts["cloud"]["score_threshold"] == 0.4


def test_the_command_fits_every_number_of_views_and_writes_them(
    copied: Path, boards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "fitted.json"
    command = ["model", "evaluate", str(copied), "--data", str(boards), "--fit-threshold"]
    assert cli.main([*command, "--json", str(out)]) == 0
    assert load_bundle(str(copied)).part("cloud").score_thresholds == {}
    assert cli.main([*command, "--write"]) == 0
    assert f"written: {copied}/bundle.yaml" in capsys.readouterr().out
    told = {(one["part"], one["views"]): one for one in json.loads(out.read_text())["thresholds"]}
    assert set(told) == {("local", 1), ("cloud", 1), ("cloud", 2)}
    written = load_bundle(str(copied))
    assert yaml.safe_load(written.path.read_text())["format"] == 2
    for (name, views), one in told.items():
        assert written.part(name).seen(views).score_threshold == one["threshold"]
    data = open_dataset(boards, "detection", BOARD_LABELS)
    for views, seen in ((1, written.in_one_view()), (2, written)):
        ways = ways_of(seen, low=True)
        f_score = evaluate(seen, data, {"cloud": ways["cloud"]}).scores["cloud"].accuracy
        assert f_score == pytest.approx(told["cloud", views]["f_score"])


def test_what_cannot_be_fitted_is_one_line(
    colours: Bundle, pictures: Path, boards: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fit = ["--fit-threshold"]
    shown = ["model", "evaluate", str(colours.path.parent), "--data", str(pictures)]
    assert cli.main([*shown, *fit]) == 1
    assert "thresholds are fitted for detectors" in capsys.readouterr().err
    for path in (boards / "labels").iterdir():
        path.write_text("")
    assert cli.main(["model", "evaluate", str(SHIPPED), "--data", str(boards), *fit]) == 1
    assert "expected objects on the pictures" in capsys.readouterr().err
    assert cli.main([*shown, "--write"]) == 2
    assert "--write: goes with --fit-threshold" in capsys.readouterr().err


def test_a_reader_of_format_1_refuses_the_shipped_bundle_with_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bundle, "FORMAT", 1)
    assert cli.main(["model", "show", str(SHIPPED)]) == 1
    line = "format 2 is newer than 1, please update Mastra"
    assert capsys.readouterr().err.strip().endswith(line)


def test_a_threshold_that_is_asked_for_holds_with_any_number_of_views() -> None:
    for seen in (load_bundle(str(SHIPPED)), load_bundle(str(SHIPPED)).in_one_view()):
        detector = Detector.open(seen, "cloud", score_threshold=0.7)
        assert detector.score_threshold == 0.7
        detector.score_threshold = 0.0
        assert detector.score_threshold == {1: 0.47, 2: 0.42}[detector.views]
        detector.close()


def test_the_gateways_detector_reaches_its_score_with_one_view(data_folder: Path) -> None:
    """On DeepPCB's val.txt, with the threshold that was fitted on boards of train.txt."""
    once = load_bundle(str(SHIPPED)).in_one_view()
    pcb = data_folder / "deeppcb"
    data = open_dataset(pcb, "detection", once.labels, names=pcb / "val.txt")
    ways = ways_of(once, threads=2, low=True)
    told = evaluate(once, data, {"cloud": ways["cloud"]}).scores["cloud"]
    assert told.pictures == 250
    assert told.accuracy >= 0.958
    assert told.accuracy == pytest.approx(
        once.part("cloud").measurements["f_score_1_view"], abs=2e-3
    )
