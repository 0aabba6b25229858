"""Outputs of other kinds than our own detector's: YOLOX and classifiers."""

from __future__ import annotations

import numpy as np
import pytest

from mastra_ros.errors import ModelError
from mastra_ros.inference import Detector, TensorSpec, load_bundle
from mastra_ros.inference.classify import best_class, probabilities
from mastra_ros.inference.opening import open_engine
from mastra_ros.inference.yolox import cells_of, yolox

FLOAT = TensorSpec("output", (1, 3), np.dtype(np.float32))
INT8 = TensorSpec("output", (1, 3), np.dtype(np.int8), 0.5, -10)
LABELS = ("cat", "dog", "owl")


def test_cells_follow_one_another_row_by_row_and_grid_by_grid() -> None:
    cells = cells_of(64, 32, (16, 32))
    assert cells.shape == (4 * 2 + 2 * 1, 3)
    assert cells[1].tolist() == [1, 0, 16]
    assert cells[4].tolist() == [0, 1, 16]
    assert cells[-1].tolist() == [1, 0, 32]


def test_a_yolox_row_becomes_a_box_around_its_cell() -> None:
    grid = cells_of(64, 64, (8, 16, 32))
    rows = np.zeros((len(grid), 8), np.float32)
    cell = 64 + 5  # second grid: row 1, column 1 of stride 16
    rows[cell] = [0.5, 0.25, np.log(2), np.log(1), 0.9, 0.1, 0.8, 0.0]
    found = yolox(rows, FLOAT, grid=grid, threshold=0.5)
    assert found.classes.tolist() == [1]
    np.testing.assert_allclose(found.scores, [0.72], rtol=1e-6)
    np.testing.assert_allclose(found.boxes, [[24 - 16, 20 - 8, 24 + 16, 20 + 8]], rtol=1e-6)


def test_yolox_keeps_the_best_first_and_drops_what_is_no_box() -> None:
    grid = cells_of(64, 64, (8,))
    rows = np.zeros((64, 6), np.float32)
    rows[3, 4:], rows[9, 4:], rows[11, 4:] = [0.6, 1], [0.9, 1], [0.95, 1]
    rows[11, 0] = np.nan
    found = yolox(rows, FLOAT, grid=grid, threshold=0.5)
    np.testing.assert_allclose(found.scores, [0.9, 0.6], rtol=1e-6)


def test_logits_become_probabilities_and_probabilities_stay() -> None:
    logits = probabilities(np.array([[1000.0, 0.0, -1000.0]], np.float32), FLOAT, "logits")
    np.testing.assert_allclose(logits, [1, 0, 0], atol=1e-6)
    raw = np.array([-10, -9, -10], np.int8)
    np.testing.assert_allclose(probabilities(raw, INT8, "probabilities"), [0, 0.5, 0])


def test_the_best_class_is_a_box_around_the_frame() -> None:
    raw = np.array([0.0, 3.0, 1.0], np.float32)
    found = best_class(
        raw, FLOAT, scores="logits", threshold=0.5, size_px=(640, 480), labels=LABELS
    )
    assert found.boxes.tolist() == [[0, 0, 640, 480]]
    assert found.labels[found.classes[0]] == "dog"
    none = best_class(raw, FLOAT, scores="logits", threshold=0.9, size_px=(1, 1), labels=LABELS)
    assert len(none) == 0


@pytest.mark.parametrize(
    ("output", "complaint"),
    [
        ({"kind": "classification"}, "kind: classification is not for the task detection"),
        ({"kind": "yolox", "nms_iou": 0.5}, "strides_px: "),
        ({"kind": "yolox", "nms_iou": 0.5, "strides_px": []}, "strides_px: expected a list"),
    ],
)
def test_a_kind_without_what_it_needs_is_refused(
    output: dict[str, object],
    complaint: str,
    make_bundle,  # type: ignore[no-untyped-def]
) -> None:
    with pytest.raises(ModelError, match=complaint):
        load_bundle(str(make_bundle(output=output)))


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        (
            {"output": {"kind": "yolox", "nms_iou": 0.5, "strides_px": [8]}},
            r"expected \[n, 64, 8\]",
        ),
        ({"task": "classification", "output": {"kind": "classification"}}, r"expected \[n, 3\]"),
    ],
)
def test_outputs_that_do_not_fit_the_labels_are_refused(
    changes: dict[str, object],
    complaint: str,
    make_bundle,  # type: ignore[no-untyped-def]
) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    bundle = load_bundle(str(make_bundle(**changes)))
    engine = open_engine(bundle.part("cloud"))
    with pytest.raises(ModelError, match=complaint):
        Detector(bundle, bundle.part("cloud"), engine)
    engine.close()
