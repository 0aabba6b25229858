"""Joint inference is judged from what both models say."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from bench.tiny_classifier import LABELS
from mastra_ros.camera.drawn.board import LABELS as BOARD_LABELS
from mastra_ros.camera.drawn.board import draw_board
from mastra_ros.cli import main as cli
from mastra_ros.inference import Bundle
from mastra_ros.model.dataset import Dataset, open_dataset
from mastra_ros.model.judge.evaluate import Answer, Evaluation, evaluate, least_sent, ways_of
from mastra_ros.types import Detections, Frame


@pytest.fixture
def data(pictures: Path) -> Dataset:
    return open_dataset(pictures, "classification", LABELS)


@pytest.fixture
def done(colours: Bundle, data: Dataset) -> Evaluation:
    return evaluate(colours, data, ways_of(colours))


def test_the_models_tell_the_colours_apart(done: Evaluation) -> None:
    assert done.scores["cloud"].accuracy == 1.0
    assert done.scores["local"].accuracy == 1.0
    assert done.agreement == 1.0
    assert done.scores["local"].bytes_up_mean == 0
    assert done.scores["cloud"].bytes_up_mean > 100
    assert done.scores["local"].map50 is None


def test_the_curve_leads_from_nothing_sent_to_everything(done: Evaluation) -> None:
    shares = [point.share_up for point in done.curve]
    assert shares[0] == 0.0
    assert shares[-1] == 1.0
    assert shares == sorted(shares)
    assert done.curve[0].bytes_mean == 0
    assert done.curve[-1].bytes_mean == pytest.approx(done.scores["cloud"].bytes_up_mean)


class Scripted:
    """Right or wrong as told, with the given score."""

    def __init__(self, data: Dataset, right: list[bool], scores: list[float], size: int) -> None:
        self.data, self.right, self.scores, self.size = data, right, scores, size

    def __call__(self, frame: Frame) -> Answer:
        at = frame.key.stamp_ns
        truth = int(self.data.samples[at].classes[0])
        found = Detections(
            np.array([[0, 0, 1, 1]], np.float32),
            np.array([self.scores[at]], np.float32),
            np.array([truth if self.right[at] else (truth + 1) % 3], np.int32),
            LABELS,
        )
        return Answer(found, 1.0, self.size)


def test_sending_the_unsure_frames_up_mends_them(colours: Bundle, data: Dataset) -> None:
    some = data.some(4)
    ways = {
        "local": Scripted(some, [True, False, True, False], [0.9, 0.3, 0.8, 0.6], 0),
        "cloud": Scripted(some, [True, True, True, False], [0.9] * 4, 1000),
    }
    done = evaluate(colours, some, ways)
    assert [point.accuracy for point in done.curve] == [0.5, 0.75, 0.75, 0.75, 0.75]
    point = least_sent(done.curve, 0.75)
    assert point is not None
    assert point.share_up == 0.25
    assert point.bytes_mean == 250
    assert 0.3 < point.threshold < 0.61
    assert least_sent(done.curve, 0.8) is None


def test_the_command_writes_its_numbers(
    colours: Bundle, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle, out = str(colours.path.parent), tmp_path / "e.json"
    command = ["model", "evaluate", bundle, "--data", str(pictures), "--json", str(out)]
    assert cli.main([*command, "--reach", "0.99"]) == 0
    assert "is reached with scheduling.escalate_below=" in capsys.readouterr().out
    assert json.loads(out.read_text())["ways"]["cloud"]["accuracy"] == 1.0
    assert cli.main([*command, "--reach", "1.1"]) == 1
    assert "no threshold reaches" in capsys.readouterr().out


def test_the_command_says_how_many_boxes_and_regions_it_judged_by(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of one drawn board, in COCO's form with a byte-order mark and a crowd."""
    board = draw_board(np.random.default_rng(5), 640, 640, 4)
    (tmp_path / "images").mkdir()
    cv2.imwrite(str(tmp_path / "images/a.png"), board.image)
    annotations = [
        {
            "image_id": 1,
            "category_id": BOARD_LABELS.index(one.label),
            "bbox": [one.x1, one.y1, one.x2 - one.x1, one.y2 - one.y1],
        }
        for one in board.defects
    ]
    crowd = {"image_id": 1, "category_id": 0, "bbox": [0, 0, 640, 640], "iscrowd": 1}
    empty = {"image_id": 1, "category_id": 0, "bbox": [9, 9, 0, 0]}
    document = {
        "images": [{"id": 1, "file_name": "a.png"}],
        "annotations": [*annotations, crowd, empty],
        "categories": [{"id": i, "name": name} for i, name in enumerate(BOARD_LABELS)],
    }
    (tmp_path / "annotations.json").write_text(json.dumps(document), "utf-8-sig")
    out = tmp_path / "e.json"
    command = ["model", "evaluate", "models/board_defects", "--data", str(tmp_path)]
    assert cli.main([*command, "--json", str(out)]) == 0
    assert "1 pictures, 4 boxes, 1 regions in which nothing counts;" in capsys.readouterr().out
    told = json.loads(out.read_text())
    assert (told["boxes"], told["ignored_regions"]) == (4, 1)
    assert told["notes"] == [
        "1 boxes without area are left out, annotation at place 6 of annotations.json for one"
    ]


def test_the_curve_is_drawn(colours: Bundle, pictures: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    bundle, plot = str(colours.path.parent), tmp_path / "e.png"
    assert (
        cli.main(["model", "evaluate", bundle, "--data", str(pictures), "--plot", str(plot)]) == 0
    )
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_data_that_do_not_fit_are_one_line(
    colours: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert cli.main(["model", "evaluate", str(colours.path.parent), "--data", str(empty)]) == 1
    assert "no labelled pictures" in capsys.readouterr().err
