"""Heads of YOLOv8 and YOLOv5 from ONNX to a bundle whose detectors find the right boxes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from bench.tiny_yolo import LABELS, SIDE_PX, picture, write_yolo
from mastra_ros.cli import main as cli
from mastra_ros.inference import Detector, load_bundle
from mastra_ros.model.verify import read_document
from mastra_ros.types import Frame, FrameKey

pytestmark = pytest.mark.timeout(600)  # converters load slowly where the machine is busy

BOXES = [[16, 8, 24, 16], [40, 48, 48, 56]]


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with labelled pictures and a file of labels in it."""
    for name in ("torch", "litert_torch", "ai_edge_quantizer", "onnx", "onnxruntime"):
        pytest.importorskip(name, reason=f"{name} is not installed: the extra convert is needed")
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(4)
    for folder in ("images", "labels"):
        (tmp_path / "data" / folder).mkdir(parents=True)
    for i in range(8):
        image, lines = np.zeros((SIDE_PX, SIDE_PX, 3), np.uint8), []
        for cell in rng.permutation(64)[:3]:
            label = int(rng.integers(2))
            x, y = 8 * (cell % 8), 8 * (cell // 8)
            image[y : y + 8, x : x + 8, 2 - label] = 255  # bgr, as OpenCV writes it
            lines.append(f"{x} {y} {x + 8} {y + 8} {label + 1}")
        cv2.imwrite(str(tmp_path / f"data/images/{i}.png"), image)
        (tmp_path / f"data/labels/{i}.txt").write_text("\n".join(lines))
    (tmp_path / "labels.txt").write_text("\n".join(LABELS))
    return tmp_path


def convert(*more: str) -> int:
    given = ["--data", "data", "--labels", "labels.txt", "--out", "made"]
    return cli.main(["model", "convert", "net.onnx", *given, *more])


def found(part: str) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Labels, boxes and scores of what a part finds in the picture, by label."""
    detector = Detector.open(load_bundle("made"), part)
    answer = detector.detect(Frame(FrameKey("test", 1), picture(), "rgb8"))
    detector.close()
    order = np.argsort(-answer.classes)
    return (
        [LABELS[i] for i in answer.classes[order]],
        answer.boxes[order],
        answer.scores[order],
    )


def assert_right(tolerance_px: float = 1.0) -> None:
    for part in ("local", "cloud"):
        labels, boxes, scores = found(part)
        assert labels == ["green", "red"], part
        np.testing.assert_allclose(boxes, BOXES[::-1], atol=tolerance_px)
        assert (scores > 0.9).all(), part
    report = json.loads(Path("made/report/report.json").read_text())
    assert report["accuracy_int8"] == report["accuracy_float"] == 1.0
    assert cli.main(["model", "verify", "made"]) == 0


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ({}, {}),
        ({"turned": True}, {}),
        ({"apart": True}, {}),
        ({"kind": "yolov5"}, {}),
        ({"fraction": True}, {"box_unit": "fraction"}),
        ({"logits": True}, {"scores": "logits"}),
        ({"element": "float16"}, {}),
        ({"element": "uint8", "nhwc": True}, {}),
    ],
)
def test_every_form_of_the_head_becomes_a_bundle_that_finds_the_objects(
    work: Path, model: dict[str, Any], said: dict[str, Any]
) -> None:
    write_yolo(work / "net.onnx", **model)
    kind = model.get("kind", "yolov8")
    if said.get("box_unit"):  # nothing shows this: it must be said
        description = {"output": {"kind": kind, "nms_iou": 0.7, **said}}
        (work / "spec.yaml").write_text(json.dumps(description))
        assert convert("--spec", "spec.yaml") == 0
    else:
        assert convert("--kind", kind) == 0
    assert_right()
    document = read_document(work / "made")
    assert document["format"] == 2
    assert document["output"].get("scores") == said.get("scores")
