"""Right and wrong, by examples whose answer is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mastra_ros.model.dataset import Sample
from mastra_ros.model.judge.score import accuracy, agreement, counts_of, mean_average_precision
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


def test_agreement_is_one_with_oneself_and_falls_with_differences() -> None:
    answer = found((0, 0, 10, 10, 0.9, 0), (20, 20, 30, 30, 0.5, 1))
    assert agreement([answer, found()], [answer, found()]) == 1.0
    assert agreement([answer], [found((0, 0, 10, 10, 0.2, 0))]) == pytest.approx(2 / 3)
