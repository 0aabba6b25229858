"""Right and wrong, by examples whose answer is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mastra_ros.model.dataset import Sample
from mastra_ros.model.judge.score import (
    Counts,
    accuracy,
    agreement,
    counts_of,
    mean_average_precision,
)
from mastra_ros.types import Detections

LABELS = ("dent", "scratch")


def found(*rows: tuple[float, float, float, float, float, int]) -> Detections:
    table = np.array(rows, np.float32).reshape(-1, 6)
    return Detections(table[:, :4], table[:, 4], table[:, 5].astype(np.int32), LABELS)


def truth(*rows: tuple[float, float, float, float, int]) -> Sample:
    table = np.array(rows, np.float32).reshape(-1, 5)
    return Sample(Path("x"), table[:, :4], table[:, 4].astype(np.int32))


def test_each_truth_is_found_once_and_by_its_class() -> None:
    boxes = truth((0, 0, 10, 10, 0), (20, 20, 30, 30, 1))
    answer = found((0, 0, 10, 9, 0.9, 0), (0, 0, 10, 10, 0.8, 0), (20, 20, 30, 30, 0.7, 0))
    counts = counts_of(answer, boxes)
    assert (counts.right, counts.given, counts.true) == (1, 3, 2)
    assert counts.f_score == pytest.approx(2 / 5)


def test_a_classifier_is_right_by_its_class_alone() -> None:
    one = Sample(Path("x"), np.zeros((0, 4), np.float32), np.array([1], np.int32))
    assert accuracy([found((0, 0, 5, 5, 0.4, 1)), found((0, 0, 5, 5, 0.9, 0))], [one, one]) == 0.5
    assert accuracy([found()], [one]) == 0.0


def test_an_empty_picture_rightly_left_empty_is_right() -> None:
    assert accuracy([found()], [truth()]) == 1.0


def test_average_precision_of_a_known_ranking() -> None:
    # Right, wrong, right of two truths: precision 1 up to recall 1/2, then 2/3.
    answers = [
        found((0, 0, 10, 10, 0.9, 0)),
        found((50, 50, 60, 60, 0.8, 0), (0, 0, 10, 10, 0.7, 0)),
    ]
    truths = [truth((0, 0, 10, 10, 0)), truth((0, 0, 10, 10, 0))]
    assert mean_average_precision(answers, truths) == pytest.approx((1 + 2 / 3) / 2)
    assert mean_average_precision([], []) == 0.0


def with_crowd(*rows: tuple[float, float, float, float, int]) -> Sample:
    """A dent at 0 0 10 10, and crowds."""
    one, crowds = truth((0, 0, 10, 10, 0)), truth(*rows)
    return Sample(one.path, one.boxes, one.classes, crowds.boxes, crowds.classes)


def test_what_is_found_in_a_crowd_is_neither_right_nor_wrong() -> None:
    crowd = with_crowd((50, 50, 100, 100, 0))
    inside = found((0, 0, 10, 10, 0.9, 0), (60, 60, 70, 70, 0.8, 0), (80, 80, 90, 90, 0.7, 0))
    assert counts_of(inside, crowd) == Counts(1, 1, 1)
    assert counts_of(found(), crowd) == Counts(0, 0, 1)
    # By the share of the detection that lies inside, not of the region: 40 %, then 30 %.
    assert counts_of(found((44, 60, 54, 70, 0.9, 0)), crowd) == Counts(0, 0, 1)
    assert counts_of(found((43, 60, 53, 70, 0.9, 0)), crowd) == Counts(0, 1, 1)
    assert counts_of(found((60, 60, 70, 70, 0.9, 1)), crowd) == Counts(0, 1, 1)


def test_an_object_that_was_told_apart_counts_also_within_a_crowd() -> None:
    crowd = with_crowd((0, 0, 100, 100, 0))
    right_twice = found((0, 0, 10, 10, 0.9, 0), (0, 0, 10, 10, 0.8, 0))
    assert counts_of(right_twice, crowd) == Counts(1, 1, 1)


def test_average_precision_leaves_crowds_out() -> None:
    """As COCO's own evaluation: 0.5 by the best two detections, 1 without that in the crowd."""
    answers = [found((60, 60, 70, 70, 0.9, 0), (0, 0, 10, 10, 0.8, 0))]
    assert mean_average_precision(answers, [with_crowd()]) == pytest.approx(0.5)
    assert mean_average_precision(answers, [with_crowd((50, 50, 99, 99, 0))]) == 1.0
    assert mean_average_precision(answers, [with_crowd((50, 50, 99, 99, 1))]) == 0.5


def test_a_sample_whose_boxes_are_none_is_refused_at_birth() -> None:
    classes = np.zeros(1, np.int32)
    with pytest.raises(ValueError, match="not finite"):
        Sample(Path("x"), np.full((1, 4), np.nan, np.float32), classes)
    with pytest.raises(ValueError, match=r"expected boxes \(1, 4\), got \(2, 4\)"):
        Sample(Path("x"), np.zeros((2, 4), np.float32), classes)


def test_agreement_is_one_with_oneself_and_falls_with_differences() -> None:
    answer = found((0, 0, 10, 10, 0.9, 0), (20, 20, 30, 30, 0.5, 1))
    assert agreement([answer, found()], [answer, found()]) == 1.0
    assert agreement([answer], [found((0, 0, 10, 10, 0.2, 0))]) == pytest.approx(2 / 3)
