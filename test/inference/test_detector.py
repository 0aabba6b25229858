"""Frames in, detections out, alike on every engine and in every batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mastra_ros.errors import ConfigError, ModelError
from mastra_ros.inference import (
    Bundle,
    Detector,
    FakeEngine,
    TensorSpec,
    load_bundle,
)
from mastra_ros.inference.engines.onnx import OnnxEngine
from mastra_ros.types import Frame, FrameKey

FLOAT32 = np.dtype(np.float32)
IMAGE = TensorSpec("image", (None, 1, 64, 64), FLOAT32)
SCORES = TensorSpec("scores", (None, 64, 3), FLOAT32)
BOXES = TensorSpec("boxes", (None, 64, 4), FLOAT32)


def fake_detector(
    bundle: Bundle,
    image: TensorSpec = IMAGE,
    outputs: tuple[TensorSpec, ...] = (SCORES, BOXES),
    answer: Callable[[np.ndarray], list[np.ndarray]] | None = None,
) -> Detector:
    def nothing(tensor: np.ndarray) -> list[np.ndarray]:
        return [np.full([len(tensor), *o.shape[1:]], -20, o.dtype) for o in outputs]

    engine = FakeEngine([image], outputs, answer or nothing)
    return Detector(bundle, bundle.part("cloud"), engine)


@pytest.fixture(params=["local", "cloud", "single"])
def detector(request: pytest.FixtureRequest, make_bundle: Any) -> Detector:
    """Quantised on LiteRT, float on ONNX Runtime, and float with a batch fixed at one."""
    bundle = load_bundle(str(make_bundle()))
    if request.param == "single":
        part = bundle.part("cloud")
        return Detector(bundle, part, OnnxEngine(part.path.with_name("single.onnx")))
    return Detector.open(bundle, request.param)


def test_both_bright_cells_are_found_where_they_are(detector: Detector, spotted: Frame) -> None:
    found = detector.detect(spotted)
    assert [found.labels[c] for c in found.classes] == ["spot", "shade"]
    np.testing.assert_allclose(found.boxes, [[16, 8, 24, 16], [40, 48, 48, 56]], atol=0.5)
    assert found.scores[0] > 0.99
    assert found.scores[1] == pytest.approx(0.88, abs=0.03)


def test_a_larger_frame_in_colour_gives_boxes_in_its_own_pixels(detector: Detector) -> None:
    image = np.zeros((200, 256, 3), np.uint8)  # four times the input, with a border of 7 px
    image[20:52, 64:96] = 255  # becomes rows 12 to 20 with the border: half of two cells each
    found = detector.detect(Frame(FrameKey("test", 1), image, "bgr8"))
    assert len(found) == 2
    x1, y1, x2, y2 = found.boxes.T
    assert set(x1) == {64.0}
    assert set(x2) == {96.0}
    assert y1.min() <= 20
    assert y2.max() >= 52


def test_a_batch_gives_what_its_frames_give_alone(detector: Detector, spotted: Frame) -> None:
    dark = replace(spotted, image=np.zeros_like(spotted.image))
    turned = replace(spotted, image=np.ascontiguousarray(spotted.image.T))
    frames = [spotted, dark, turned, spotted, dark]
    together = detector.detect_batch(frames)
    for frame, found in zip(frames, together, strict=True):
        alone = detector.detect(frame)
        np.testing.assert_allclose(found.boxes, alone.boxes, atol=1e-4)
        np.testing.assert_allclose(found.scores, alone.scores, atol=1e-5)
    assert len(together[1]) == 0
    assert detector.detect_batch([]) == []


def test_a_model_of_any_batch_size_runs_once_and_one_of_a_fixed_size_as_often_as_needed(
    bundle: Bundle, spotted: Frame
) -> None:
    dynamic = fake_detector(bundle)
    dynamic.detect_batch([spotted] * 5)
    assert dynamic.engine.runs == 1
    fixed = fake_detector(bundle, image=replace(IMAGE, shape=(2, 1, 64, 64)))
    assert len(fixed.detect_batch([spotted] * 5)) == 5
    assert fixed.engine.runs == 3


def test_the_threshold_is_the_bundles_until_another_is_set(bundle: Bundle, spotted: Frame) -> None:
    detector = Detector.open(bundle, "cloud")
    assert detector.score_threshold == 0.4
    detector.score_threshold = 0.95
    assert len(detector.detect(spotted)) == 1
    detector.score_threshold = 0.0
    assert detector.score_threshold == 0.4
    assert len(detector.detect(spotted)) == 2
    with pytest.raises(ConfigError, match=r"expected 0 to 1, got 1\.5"):
        detector.score_threshold = 1.5


def test_a_detector_names_its_model_and_where_time_went(bundle: Bundle, spotted: Frame) -> None:
    detector = Detector.open(bundle, "local", score_threshold=0.6)
    assert (detector.model, detector.version) == ("bright_cells_litert", "1.2.3")
    assert detector.labels == bundle.labels
    assert detector.score_threshold == 0.6
    detector.detect(spotted)
    assert min(detector.times.pre_ms, detector.times.infer_ms, detector.times.post_ms) > 0


def test_warming_up_runs_the_model_so_often(bundle: Bundle) -> None:
    detector = fake_detector(bundle)
    detector.warm_up(3)
    assert detector.engine.runs == 3


def test_a_closed_detector_says_so(bundle: Bundle, spotted: Frame) -> None:
    detector = Detector.open(bundle, "local")
    detector.close()
    with pytest.raises(ModelError, match="closed"):
        detector.detect(spotted)


def test_a_part_is_not_opened_with_an_engine_that_does_not_read_its_file(bundle: Bundle) -> None:
    assert Detector.open(bundle, "local", engine="litert").engine.name == "litert"
    with pytest.raises(ModelError, match=r"asked for engine onnxruntime, which reads \.onnx"):
        Detector.open(bundle, "local", engine="onnxruntime")


@pytest.mark.parametrize(
    ("image", "outputs", "message"),
    [
        (replace(IMAGE, shape=(None, 1, 32, 64)), (SCORES, BOXES), r"input: expected \[n, 1, 64"),
        (replace(IMAGE, shape=(None, 3, 64, 64)), (SCORES, BOXES), r"got image float32 \[any, 3"),
        (
            replace(IMAGE, dtype=np.dtype(np.int64)),
            (SCORES, BOXES),
            "expected float32, float16, uint8, int8",
        ),
        (replace(IMAGE, dtype=np.dtype(np.int8)), (SCORES, BOXES), "integers with a scale"),
        (IMAGE, (SCORES,), r"expected scores \[n, 64, 3\] and boxes \[n, 64, 4\], got scores"),
        (IMAGE, (BOXES, BOXES), "outputs: expected scores"),
        (IMAGE, (replace(SCORES, shape=(None, 65, 3)), BOXES), r"got scores float32 \[any, 65, 3"),
        (IMAGE, (SCORES, BOXES, BOXES), "outputs: expected scores"),
        (IMAGE, (replace(SCORES, shape=()), BOXES), "outputs: expected scores"),
    ],
)
def test_a_model_that_differs_from_its_bundle_is_one_clear_error(
    bundle: Bundle, image: TensorSpec, outputs: tuple[TensorSpec, ...], message: str
) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        fake_detector(bundle, image, outputs)
    assert "cloud.onnx: does not fit bundle.yaml: " in str(caught.value)


def test_an_opened_model_of_the_wrong_size_is_one_clear_error(make_bundle: Any) -> None:
    bundle = load_bundle(str(make_bundle(input__width_px=128)))
    for part in ("local", "cloud"):
        with pytest.raises(ModelError, match=r"does not fit bundle\.yaml: input: expected"):
            Detector.open(bundle, part)


def test_shapes_that_the_file_leaves_open_are_learnt_from_one_run(
    bundle: Bundle, spotted: Frame
) -> None:
    silent = tuple(replace(spec, shape=(None, None, None)) for spec in (BOXES, SCORES))

    def answer(tensor: np.ndarray) -> list[np.ndarray]:
        scores = np.full((len(tensor), 64, 3), -9, np.float32)
        scores[:, 10, 1] = 3
        return [np.full((len(tensor), 64, 4), 0.5, np.float32), scores]

    found = fake_detector(bundle, outputs=silent, answer=answer).detect(spotted)
    np.testing.assert_allclose(found.boxes, [[16, 8, 24, 16]])
    wrong = lambda t: [np.zeros((1, 9, 9), np.float32)] * 2  # noqa: E731
    with pytest.raises(ModelError, match=r"got boxes float32 \[1, 9, 9\]"):
        fake_detector(bundle, outputs=silent, answer=wrong)


@pytest.mark.parametrize(
    ("names", "swapped"),
    [
        (("scores", "boxes"), False),
        (("boxes", "scores"), True),
        (("first", "second"), False),
    ],
)
def test_with_four_labels_outputs_are_told_apart_by_name_and_then_by_order(
    bundle: Bundle, spotted: Frame, names: tuple[str, str], swapped: bool
) -> None:
    four = replace(bundle, labels=("a", "b", "c", "d"))
    outputs = tuple(TensorSpec(name, (None, 64, 4), FLOAT32) for name in names)

    def answer(tensor: np.ndarray) -> list[np.ndarray]:
        scores = np.full((1, 64, 4), -9, np.float32)
        scores[0, 10, 3] = 3
        both = [scores, np.full((1, 64, 4), 0.5, np.float32)]
        return both[::-1] if swapped else both

    found = fake_detector(four, outputs=outputs, answer=answer).detect(spotted)
    assert found.classes.tolist() == [3]
    np.testing.assert_allclose(found.boxes, [[16, 8, 24, 16]])
