"""The engines on models made by others, and the bundle that is shipped."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from mastra_ros.inference import Detector, load_bundle
from mastra_ros.inference.engines.litert import LiteRTEngine
from mastra_ros.inference.engines.onnx import OnnxEngine
from mastra_ros.types import Frame, FrameKey

SHIPPED = "models/board_defects"


@pytest.mark.parametrize(
    "name", ["mobilenet_v2_1.0_224_quant.tflite", "tf2_mobilenet_v2_1.0_224_ptq.tflite"]
)
@pytest.mark.parametrize("delegate", ["xnnpack", "none"])
def test_a_parrot_is_a_macaw_to_mobilenet(data_folder: Path, name: str, delegate: str) -> None:
    engine = LiteRTEngine(data_folder / "models" / name, delegate=delegate)
    spec = engine.inputs[0]
    assert spec.dtype == np.uint8
    assert spec.scale > 0
    image = cv2.cvtColor(cv2.imread(str(data_folder / "images" / "parrot.jpg")), cv2.COLOR_BGR2RGB)
    (scores,) = engine.run(cv2.resize(image, (224, 224))[None])
    labels = (data_folder / "models" / "imagenet_labels.txt").read_text().splitlines()
    assert "macaw" in labels[int(scores[0].argmax())]
    engine.close()


def test_yolox_nano_runs_on_onnx_runtime_and_sees_a_cat(data_folder: Path) -> None:
    engine = OnnxEngine(data_folder / "models" / "yolox_nano.onnx")
    assert engine.inputs[0].shape == (1, 3, 416, 416)
    image = cv2.imread(str(data_folder / "images" / "cat_720p.jpg"))
    scale = 416 / max(image.shape[:2])
    small = cv2.resize(image, None, fx=scale, fy=scale)
    padded = np.full((416, 416, 3), 114, np.uint8)
    padded[: small.shape[0], : small.shape[1]] = small
    (output,) = engine.run(padded.transpose(2, 0, 1)[None].astype(np.float32))
    assert output.shape == (1, 3549, 85)
    scores = output[0, :, 4:5] * output[0, :, 5:]
    label = int(scores.max(axis=0).argmax())
    lines = (data_folder / "models" / "coco_labels.txt").read_text().splitlines()
    names = [line for line in lines if line != "n/a"]  # the list keeps places that COCO dropped
    assert names[label] == "cat"


def test_a_float_tflite_of_another_layout_runs(data_folder: Path) -> None:
    engine = LiteRTEngine(data_folder / "models" / "yolox_nano_int8_quantize.tflite")
    (output,) = engine.run(np.zeros((1, 3, 416, 416), np.float32))
    assert output.shape == (1, 3549, 8)


@pytest.mark.parametrize("part", ["local", "cloud"])
def test_the_shipped_models_find_the_defects_of_a_real_board(data_folder: Path, part: str) -> None:
    """Most of what is labelled on the first boards is found; the model card has the numbers."""
    detector = Detector.open(load_bundle(SHIPPED), part)
    board_ids = (data_folder / "deeppcb" / "val.txt").read_text().split()[:5]
    frames, truth = [], []
    for name in board_ids:
        image = cv2.imread(
            str(data_folder / "deeppcb" / "images" / f"{name}.jpg"), cv2.IMREAD_GRAYSCALE
        )
        frames.append(Frame(FrameKey(name, 1), np.asarray(image, np.uint8), "mono8"))
        rows = (data_folder / "deeppcb" / "labels" / f"{name}.txt").read_text().split()
        truth.append(np.array(rows, int).reshape(-1, 5))
    found_all = [detector.detect(frame) for frame in frames]
    hits = total = 0
    for found, rows in zip(found_all, truth, strict=True):
        centres = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
        for x1, y1, x2, y2, kind in rows:
            inside = ((centres > [x1, y1]) & (centres < [x2, y2])).all(axis=1)
            hits += bool((inside & (found.classes == kind - 1)).any())
        total += len(rows)
    assert hits >= 0.6 * total
    detector.close()


def test_the_shipped_gateway_model_answers_a_batch_as_it_answers_one(data_folder: Path) -> None:
    detector = Detector.open(load_bundle(SHIPPED), "cloud")
    names = (data_folder / "deeppcb" / "val.txt").read_text().split()[:3]
    paths = [str(data_folder / "deeppcb" / "images" / f"{name}.jpg") for name in names]
    images = [np.asarray(cv2.imread(path, cv2.IMREAD_GRAYSCALE), np.uint8) for path in paths]
    frames = [Frame(FrameKey("test", i + 1), image, "mono8") for i, image in enumerate(images)]
    for found, frame in zip(detector.detect_batch(frames), frames, strict=True):
        alone = detector.detect(frame)
        assert found.classes.tolist() == alone.classes.tolist()
        np.testing.assert_allclose(found.boxes, alone.boxes, atol=0.05)
    detector.close()


@pytest.mark.parametrize("part", ["local", "cloud"])
def test_the_shipped_models_keep_their_contract_on_an_empty_picture(part: str) -> None:
    detector = Detector.open(load_bundle(SHIPPED), part)
    detector.warm_up(1)
    assert detector.labels == ("open", "short", "mousebite", "spur", "copper", "pin_hole")
    detector.close()
