"""Whether two engines say the same."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from mastra_ros.inference.choosing.agreement import difference
from mastra_ros.types import Detections

BOX = (10.0, 10.0, 30.0, 30.0)


def found(*items: tuple[Sequence[float], float, int]) -> Detections:
    return Detections(
        np.array([box for box, _, _ in items], np.float32).reshape(-1, 4),
        np.array([score for _, score, _ in items], np.float32),
        np.array([kind for _, _, kind in items], np.int32),
        ("spot", "shade"),
    )


def test_the_same_answers_agree() -> None:
    one = found((BOX, 0.9, 0), ((40, 40, 60, 60), 0.6, 1))
    assert difference([one], [one], least_score=0.5) == ""


def test_small_differences_of_box_and_score_agree() -> None:
    other = found(((10.2, 10, 30.3, 30), 0.88, 0))
    assert difference([found((BOX, 0.9, 0))], [other], least_score=0.5) == ""


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (found(), "misses spot 0.90"),
        (found((BOX, 0.86, 0)), "misses spot 0.90"),
        (found((BOX, 0.9, 1)), "misses spot 0.90"),
        (found(((10, 10, 30, 27), 0.9, 0)), "misses spot 0.90"),
        (found((BOX, 0.9, 0), ((40, 40, 60, 60), 0.7, 1)), "adds shade 0.70"),
    ],
)
def test_a_box_missed_moved_added_or_judged_otherwise_is_told(other: Detections, said: str) -> None:
    empty = found()
    text = difference([empty, found((BOX, 0.9, 0))], [empty, other], least_score=0.5)
    assert text.startswith("picture 1: it " + said)


def test_what_is_below_the_least_score_does_not_count_but_may_be_the_partner_of_what_is_above() -> (
    None
):
    above, below = found((BOX, 0.51, 0)), found((BOX, 0.49, 0))
    assert difference([above], [below], least_score=0.5) == ""
    assert difference([below], [above], least_score=0.5) == ""
    weak = found((BOX, 0.9, 0), ((40, 40, 60, 60), 0.3, 1))
    assert difference([found((BOX, 0.9, 0))], [weak], least_score=0.5) == ""


def test_where_nothing_reaches_the_least_score_weaker_answers_are_compared() -> None:
    weak = found((BOX, 0.3, 0))
    assert difference([weak], [weak], least_score=0.5) == ""
    assert "misses" in difference([weak], [found()], least_score=0.5)


def test_one_more_where_nothing_is_expected_is_told() -> None:
    assert "adds" in difference([found()], [found((BOX, 0.9, 0))], least_score=0.5)


def test_a_classifier_that_guesses_may_guess_otherwise_but_not_where_it_is_sure() -> None:
    whole = (0.0, 0.0, 64.0, 64.0)
    guess, other = found((whole, 0.3, 0)), found((whole, 0.29, 1))
    assert difference([guess], [other], least_score=0.2) == ""
    sure, wrong = found((whole, 0.8, 0)), found((whole, 0.8, 1))
    assert difference([sure], [wrong], least_score=0.2)
