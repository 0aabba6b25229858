"""Decoding and the dataset's rule."""

from __future__ import annotations

import numpy as np
import pytest

from train.decode import Found, best_threshold, count, decode, iou, scores_of


def raw(*cells: tuple[int, int, int, float]) -> tuple[np.ndarray, np.ndarray]:
    """Outputs with a 32x32 px box of a class and a logit at each cell (x, y, class, logit)."""
    scores = np.full((6400, 6), -8.0, dtype=np.float32)
    for x, y, label, logit in cells:
        scores[y * 80 + x, label] = logit
    return scores, np.full((6400, 4), 2.0, dtype=np.float32)


def test_a_cell_becomes_a_box_around_its_centre() -> None:
    found = decode(*raw((10, 20, 3, 0.0)))
    assert found.boxes.tolist() == [[84 - 16, 164 - 16, 84 + 16, 164 + 16]]
    assert found.labels.tolist() == [3]
    assert found.scores.tolist() == pytest.approx([0.5])


def test_the_better_of_two_overlapping_boxes_stays() -> None:
    found = decode(*raw((10, 20, 3, 1.0), (11, 20, 2, 2.0), (40, 40, 0, 0.0)))
    assert found.labels.tolist() == [2, 0]


def test_iou_of_known_boxes() -> None:
    a = np.array([[0, 0, 10, 10]], dtype=np.float32)
    b = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30]], dtype=np.float32)
    assert iou(a, b)[0].tolist() == pytest.approx([1.0, 1 / 3, 0.0])


def test_each_defect_is_found_once_and_only_with_its_class() -> None:
    truth = [(np.array([[0, 0, 10, 10]], dtype=np.float32), np.array([1]))]
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 10]], dtype=np.float32)
    found = [Found(boxes, np.array([0.9, 0.8, 0.7], np.float32), np.array([1, 1, 2]))]
    counts = count(found, truth, 6)
    assert counts.right.tolist() == [0, 1, 0, 0, 0, 0]
    assert scores_of(counts) == pytest.approx((1 / 3, 1.0, 0.5))


def test_the_best_threshold_drops_the_false_alarm() -> None:
    truth = [(np.array([[0, 0, 10, 10]], dtype=np.float32), np.array([1]))]
    boxes = np.array([[0, 0, 10, 10], [40, 40, 50, 50]], dtype=np.float32)
    found = [Found(boxes, np.array([0.7, 0.3], np.float32), np.array([1, 1]))]
    threshold, f_score = best_threshold(found, truth, 6)
    assert f_score == 1.0
    assert 0.3 < threshold < 0.7
