"""Outputs of YOLOv8 and YOLOv5, and inputs of other types and layouts than float32 NCHW."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.tiny_yolo import LABELS, describe, picture, write_yolo
from mastra_ros.errors import ModelError
from mastra_ros.inference import Bundle, Detector, FakeEngine, TensorSpec
from mastra_ros.inference.yolo import yolo
from mastra_ros.model.writer import BundleWriter
from mastra_ros.types import Detections, Frame, FrameKey

FLOAT = TensorSpec("output", (1, 6, 64), np.dtype(np.float32))
BOXES = [[16, 8, 24, 16], [40, 48, 48, 56]]

Make = Callable[..., Bundle]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Write a bundle of the tiny network: how it is made, and what bundle.yaml says of it."""
    pytest.importorskip("onnx", reason="onnx is not installed: no models to test with")
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

    def write(
        model: dict[str, Any],
        output: dict[str, Any] | None = None,
        feed: dict[str, Any] | None = None,
        **part: Any,
    ) -> Bundle:
        document = describe(**part)
        document["output"].update(output or {})
        document["input"].update(feed or {})
        with BundleWriter(tmp_path / "made") as writer:
            write_yolo(writer.path("cloud.onnx"), **model)
            writer.describe(document)
            writer.commit()
        from mastra_ros.inference import load_bundle

        return load_bundle(str(tmp_path / "made"))

    return write


def seen(bundle: Bundle, image: np.ndarray | None = None) -> Detections:
    detector = Detector.open(bundle, "cloud")
    frame = Frame(FrameKey("test", 1), picture() if image is None else image, "rgb8")
    found = detector.detect(frame)
    detector.close()
    return found


def assert_both(found: Detections, tolerance: float = 0.05) -> None:
    order = np.argsort(found.classes)
    assert [LABELS[found.classes[i]] for i in order] == ["red", "green"]
    np.testing.assert_allclose(found.boxes[order], BOXES, atol=tolerance)
    assert (found.scores > 0.99).all()
    assert (found.scores <= 1).all()


@pytest.mark.parametrize("kind", ["yolov8", "yolov5"])
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("logits", [False, True])
@pytest.mark.parametrize("fraction", [False, True])
@pytest.mark.parametrize("apart", [False, True])
def test_objects_are_found_in_every_form_of_the_outputs(
    make: Make, kind: str, turned: bool, logits: bool, fraction: bool, apart: bool
) -> None:
    model = {"kind": kind, "turned": turned, "logits": logits, "fraction": fraction}
    output = {"kind": kind}
    if logits:
        output["scores"] = "logits"
    if fraction:
        output["box_unit"] = "fraction"
    assert_both(seen(make({**model, "apart": apart}, output)))


@pytest.mark.parametrize("nhwc", [False, True])
@pytest.mark.parametrize("element", ["float32", "float16", "uint8"])
def test_inputs_of_other_types_and_layouts(make: Make, element: str, nhwc: bool) -> None:
    feed = {"mean": [0.0] * 3, "std": [1.0] * 3} if element == "uint8" else {}
    said = {"type": element, "layout": "nhwc" if nhwc else "nchw"}
    bundle = make({"element": element, "nhwc": nhwc}, feed=feed, input=said)
    assert_both(seen(bundle))


def test_a_wide_picture_is_found_at_its_place(make: Make) -> None:
    wide = np.zeros((128, 256, 3), np.uint8)
    wide[32:64, 64:96, 0] = 255  # a quarter of the size lies in rows 16 to 48 of the input
    found = seen(make({}), wide)
    np.testing.assert_allclose(found.boxes, [[64, 32, 96, 64]], atol=0.5)


def test_a_file_that_takes_any_number_gets_frames_together(make: Make) -> None:
    detector = Detector.open(make({"batch": "n"}), "cloud")
    frames = [Frame(FrameKey("test", i), picture(), "rgb8") for i in range(3)]
    for found in detector.detect_batch(frames):
        assert_both(found)
    detector.close()


@pytest.mark.parametrize(
    ("part", "feed", "complaint"),
    [
        ({"input": {"type": "uint8"}}, {}, "input.type: uint8, but the file wants image float32"),
        ({"input": {"layout": "nhwc"}}, {}, r"input: expected \[n, 64, 64, 3\], got image"),
    ],
)
def test_a_part_that_is_fed_otherwise_than_said_is_refused(
    make: Make, part: dict[str, Any], feed: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ModelError, match=complaint):
        seen(make({}, feed=feed, **part))


def test_integers_without_a_scale_need_whole_numbers_and_to_be_said(make: Make) -> None:
    with pytest.raises(ModelError, match=r"integers with a scale, or input\.type said"):
        seen(make({"element": "uint8"}, feed={"std": [1.0] * 3}))


def test_whole_numbers_out_of_reach_are_refused(make: Make) -> None:
    said = {"type": "uint8"}
    with pytest.raises(ModelError, match=r"takes whole numbers of 0 to 255, but .* gives 0 to 1"):
        seen(make({"element": "uint8"}, input=said))


def test_outputs_that_do_not_fit_the_labels_are_told(make: Make) -> None:
    with pytest.raises(
        ModelError, match=r"expected \[n, 7, cells\] or \[n, cells, 7\] for 2 labels"
    ):
        seen(make({}, {"kind": "yolov5"}))


def test_of_two_outputs_that_look_alike_the_first_holds_the_scores(make: Make) -> None:
    bundle = make({})
    part = bundle.part("cloud")
    outputs = [TensorSpec(name, (1, 4, 64), np.dtype(np.float32)) for name in "ab"]
    image = TensorSpec("image", (1, 3, 64, 64), np.dtype(np.float32))
    four = Bundle(**{**vars(bundle), "labels": ("a", "b", "c", "d")})
    scores, boxes = np.zeros((1, 4, 64), np.float32), np.zeros((1, 4, 64), np.float32)
    scores[0, 2, 7], boxes[0, :, 7] = 0.9, [20, 20, 8, 8]
    detector = Detector(four, part, FakeEngine([image], outputs, lambda _: [scores, boxes]))
    found = detector.detect(Frame(FrameKey("test", 1), picture(), "rgb8"))
    assert (found.classes.tolist(), found.boxes.tolist()) == ([2], [[16, 16, 24, 24]])


def decoded(scores: Any, **more: Any) -> Any:
    options = {
        "scores_spec": FLOAT,
        "boxes_spec": FLOAT,
        "kind": "yolov8",
        "form": "probabilities",
        "sides": (1.0, 1.0),
        "threshold": 0.5,
    }
    scores = np.asarray(scores, np.float32)
    boxes = np.tile(np.float32([10, 10, 4, 2]), (len(scores), 1))
    return yolo(scores, boxes, **{**options, **more})


def test_the_best_come_first_and_what_is_below_the_threshold_goes() -> None:
    found = decoded([[0.2, 0.6], [0.9, 0.1], [0.49, 0.49], [np.nan, 0.9]])
    np.testing.assert_allclose(found.scores, [0.9, 0.6])
    assert found.classes.tolist() == [0, 1]
    assert found.boxes.tolist() == [[8, 9, 12, 11]] * 2


def test_objectness_and_class_are_multiplied() -> None:
    found = decoded([[0.8, 0.9, 0.1], [0.6, 0.2, 0.7], [0.4, 1.0, 1.0]], kind="yolov5")
    np.testing.assert_allclose(found.scores, [0.72], rtol=1e-6)
    assert found.classes.tolist() == [0]


def test_scores_in_int8_are_compared_as_they_come() -> None:
    spec = TensorSpec("output", (1, 2, 64), np.dtype(np.int8), 1 / 256, -128)
    raw = np.array([[-128, 0], [127, -128]], np.int8)
    found = yolo(
        raw,
        np.tile(np.float32([10, 10, 4, 2]), (2, 1)),
        scores_spec=spec,
        boxes_spec=FLOAT,
        kind="yolov8",
        form="probabilities",
        sides=(1.0, 1.0),
        threshold=0.5,
    )
    np.testing.assert_allclose(found.scores, [255 / 256, 0.5])
