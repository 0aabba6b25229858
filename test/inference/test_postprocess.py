"""Decoding and suppression against slow and plain references."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mastra_ros.inference import TensorSpec, postprocess
from mastra_ros.inference.postprocess import (
    CANDIDATES_MAX,
    DETECTIONS_MAX,
    Candidates,
    all_to_detections,
    anchor_free,
    anchor_free_all,
    dequantise,
    least_raw,
    suppress,
    to_detections,
)
from mastra_ros.inference.preprocess import Transform

COLUMNS, ROWS, CLASSES, STRIDE_PX = 8, 6, 3, 4
CELLS = COLUMNS * ROWS
FLOAT = TensorSpec("x", (1, CELLS, CLASSES), np.dtype(np.float32))
INT8 = TensorSpec("x", (1, CELLS, CLASSES), np.dtype(np.int8), scale=0.05, zero_point=40)
UINT8 = TensorSpec("x", (1, CELLS, CLASSES), np.dtype(np.uint8), scale=0.05, zero_point=140)
SPECS = [FLOAT, INT8, UINT8]
ALIKE = Transform(1.0, 1.0, 0.0, 0.0, COLUMNS * STRIDE_PX, ROWS * STRIDE_PX)

seeds = st.integers(0, 2**32 - 1)


def random_tensor(rng: np.random.Generator, spec: TensorSpec, width: int) -> np.ndarray:
    if spec.dtype.kind == "f":
        return rng.normal(0, 3, (CELLS, width)).astype(np.float32)
    limits = np.iinfo(spec.dtype)
    return rng.integers(limits.min, limits.max + 1, (CELLS, width)).astype(spec.dtype)


def decode(
    scores: np.ndarray, distances: np.ndarray, spec: TensorSpec, threshold: float
) -> Candidates:
    return anchor_free(
        scores,
        distances,
        scores_spec=spec,
        distances_spec=spec,
        columns=COLUMNS,
        stride_px=STRIDE_PX,
        threshold=threshold,
    )


def plain_iou(a: np.ndarray, b: np.ndarray) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    both = width * height
    total = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both
    return both / total if total else 0.0


@given(seeds, st.sampled_from(SPECS), st.floats(0.02, 0.98))
def test_decoding_agrees_with_a_walk_over_all_cells(
    seed: int, spec: TensorSpec, threshold: float
) -> None:
    rng = np.random.default_rng(seed)
    scores, distances = random_tensor(rng, spec, CLASSES), random_tensor(rng, spec, 4)
    wanted = {}
    for cell in range(CELLS):
        logits = dequantise(scores[cell], spec).astype(np.float64)
        best = int(logits.argmax())
        score = 1 / (1 + math.exp(-logits[best]))
        if abs(score - threshold) < 1e-6:
            return  # decided by rounding
        if score >= threshold:
            left, top, right, bottom = np.maximum(dequantise(distances[cell], spec), 0)
            x, y = cell % COLUMNS + 0.5, cell // COLUMNS + 0.5
            box = np.array([x - left, y - top, x + right, y + bottom]) * STRIDE_PX
            wanted[tuple(np.round(box, 2))] = (best, score)
    found = decode(scores, distances, spec, threshold)
    assert len(found.scores) == len(wanted)
    assert (np.diff(found.scores) <= 0).all()
    for box, score, label in zip(found.boxes, found.scores, found.classes, strict=True):
        nearest = min(wanted, key=lambda other: np.abs(np.array(other) - box).max())
        assert np.abs(np.array(nearest) - box).max() < 0.02
        assert wanted[nearest] == (label, pytest.approx(score, abs=1e-5))


@pytest.mark.parametrize("spec", SPECS, ids=["float32", "int8", "uint8"])
def test_the_threshold_itself_counts(spec: TensorSpec) -> None:
    """A score of exactly one half has the logit 0."""
    zero = np.full((CELLS, CLASSES), spec.zero_point, spec.dtype)
    nowhere = np.full((CELLS, 4), spec.zero_point, spec.dtype)
    assert len(decode(zero, nowhere, spec, 0.5).scores) == CELLS
    assert len(decode(zero, nowhere, spec, 0.51).scores) == 0


@pytest.mark.parametrize("spec", SPECS, ids=["float32", "int8", "uint8"])
def test_a_threshold_of_zero_takes_everything_and_of_one_nothing(spec: TensorSpec) -> None:
    rng = np.random.default_rng(1)
    scores, distances = random_tensor(rng, spec, CLASSES), random_tensor(rng, spec, 4)
    assert len(decode(scores, distances, spec, 0.0).scores) == CELLS
    assert len(decode(scores, distances, spec, 1.0).scores) == 0


def test_the_least_raw_value_is_where_the_sigmoid_reaches_the_threshold() -> None:
    assert least_raw(0.5, FLOAT) == 0.0
    assert least_raw(0.5, INT8) == 40.0
    assert 1 / (1 + math.exp(-least_raw(0.9, FLOAT))) == pytest.approx(0.9)


def test_values_that_are_not_finite_never_become_detections() -> None:
    scores = np.full((CELLS, CLASSES), -9.0, np.float32)
    scores[0, 0], scores[1, 0], scores[2, 0] = np.nan, np.inf, 3.0
    distances = np.ones((CELLS, 4), np.float32)
    distances[2] = np.inf
    found = decode(scores, distances, FLOAT, 0.5)
    assert len(found.scores) == 1
    assert found.scores[0] == pytest.approx(1.0)
    assert np.isfinite(found.boxes).all()


@pytest.mark.parametrize("per_class", [True, False])
@given(seed=seeds, count=st.integers(0, 40), iou_max=st.floats(0.05, 0.95))
def test_suppression_agrees_with_a_slow_reference(
    per_class: bool, seed: int, count: int, iou_max: float
) -> None:
    rng = np.random.default_rng(seed)
    centres, sizes = rng.uniform(0, 60, (count, 2)), rng.uniform(5, 40, (count, 2))
    boxes = np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1).astype(np.float32)
    scores = np.sort(rng.random(count).astype(np.float32))[::-1] + np.float32(0.001)
    classes = rng.integers(0, 3, count).astype(np.int32)
    kept: list[int] = []
    for i in range(count):
        rivals = [j for j in kept if not per_class or classes[i] == classes[j]]
        overlaps = [plain_iou(boxes[i].astype(float), boxes[j].astype(float)) for j in rivals]
        if any(abs(overlap - iou_max) < 1e-4 for overlap in overlaps):
            return  # decided by rounding
        if all(overlap <= iou_max for overlap in overlaps):
            kept.append(i)
    found = Candidates(boxes, np.ascontiguousarray(scores), classes)
    assert suppress(found, iou_max, per_class=per_class).tolist() == kept


def test_however_much_is_found_the_result_is_bounded() -> None:
    side = 64
    spec = TensorSpec("x", (1, side * side, 1), np.dtype(np.float32))
    found = anchor_free(
        np.full((side * side, 1), 5.0, np.float32),
        np.full((side * side, 4), 0.4, np.float32),
        scores_spec=spec,
        distances_spec=spec,
        columns=side,
        stride_px=8,
        threshold=0.1,
    )
    assert len(found.scores) == CANDIDATES_MAX
    kept = suppress(found, 0.4, per_class=True)
    transform = Transform(1.0, 1.0, 0.0, 0.0, side * 8, side * 8)
    assert len(to_detections(found, kept, transform, ("a",))) == DETECTIONS_MAX


def test_boxes_are_given_in_pixels_of_the_frame_and_those_in_the_border_dropped() -> None:
    boxes = np.array([[10, 20, 20, 40], [0, 0, 8, 4], [0, 0, 100, 100]], np.float32)
    found = Candidates(boxes, np.array([0.9, 0.8, 0.7], np.float32), np.zeros(3, np.int32))
    transform = Transform(0.5, 0.5, 0.0, 10.0, 100, 60)
    got = to_detections(found, np.arange(3), transform, ("a",))
    np.testing.assert_allclose(got.boxes, [[20, 20, 40, 60], [0, 0, 100, 60]])
    np.testing.assert_allclose(got.scores, [0.9, 0.7])


def test_nothing_found_is_an_empty_result() -> None:
    scores = np.full((CELLS, CLASSES), -9.0, np.float32)
    found = decode(scores, np.ones((CELLS, 4), np.float32), FLOAT, 0.5)
    kept = suppress(found, 0.4, per_class=True)
    assert len(to_detections(found, kept, ALIKE, ("a", "b", "c"))) == 0


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("most", [2, DETECTIONS_MAX])
def test_frames_that_are_read_together_are_read_as_each_by_itself(
    spec: TensorSpec, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postprocess, "DETECTIONS_MAX", most)
    monkeypatch.setattr(postprocess, "CANDIDATES_MAX", 2 * most)
    rng = np.random.default_rng(7)
    frames = 5
    scores = rng.normal(-3.0, 3.0, (frames, CELLS, CLASSES)).astype(np.float32)
    distances = rng.normal(2.0, 2.0, (frames, CELLS, 4)).astype(np.float32)
    scores[1] = -50.0  # nothing is in this one
    distances[2, :5] = np.nan
    if spec.dtype.kind != "f":
        distances = np.nan_to_num(distances)
        low, high = np.iinfo(spec.dtype).min, np.iinfo(spec.dtype).max
        scores, distances = (
            np.clip(one / spec.scale + spec.zero_point, low, high).astype(spec.dtype)
            for one in (scores, distances)
        )
    options = {
        "scores_spec": spec,
        "distances_spec": spec,
        "columns": COLUMNS,
        "stride_px": STRIDE_PX,
        "threshold": 0.4,
    }
    transforms = [Transform(0.5 + n % 2, 1.0, n % 3, 0.0, 40, 20 + n) for n in range(frames)]
    labels = ("a", "b", "c")
    found = anchor_free_all(scores, distances, **options)
    kept = [suppress(one, 0.5, per_class=True) for one in found]
    together = all_to_detections(found, kept, transforms, labels)
    for n, got in enumerate(together):
        one = anchor_free(scores[n], distances[n], **options)
        alone = to_detections(one, suppress(one, 0.5, per_class=True), transforms[n], labels)
        assert np.array_equal(got.boxes, alone.boxes)
        assert np.array_equal(got.scores, alone.scores)
        assert np.array_equal(got.classes, alone.classes)
    assert len(together[1]) == 0
    assert any(len(one) for one in together)


@pytest.mark.parametrize("per_class", [True, False])
def test_few_boxes_are_suppressed_as_many_are(
    per_class: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(4)
    some = []
    for _ in range(400):
        count = int(rng.integers(2, postprocess.FEW + 1))
        corners = rng.uniform(0, 12, (count, 2)).astype(np.float32)
        sizes = rng.uniform(-0.5, 6, (count, 2)).astype(np.float32)
        scores = np.sort(rng.choice([0.0, 0.3, 0.6, 0.9], count))[::-1].astype(np.float32)
        boxes = np.concatenate([corners, corners + np.round(sizes)], axis=1)
        some.append(Candidates(boxes, scores, rng.integers(0, 2, count).astype(np.int32)))
    quickly = [suppress(one, 0.3, per_class=per_class).tolist() for one in some]
    monkeypatch.setattr(postprocess, "FEW", 0)
    assert quickly == [suppress(one, 0.3, per_class=per_class).tolist() for one in some]
    assert 50 < sum(len(q) == len(one.scores) for q, one in zip(quickly, some, strict=True)) < 350
