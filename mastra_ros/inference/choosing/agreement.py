"""Whether two engines find the same on the same pictures. Pure functions.

Compared are candidates before suppression, so that a tie there is not taken for a difference.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...types import Detections

IOU_MIN = 0.9
SCORE_DIFFERENCE_MAX = 0.03
SHARE_LISTED = 0.25
"""Of the least score that counts: down to here candidates are listed, as partners of others."""

UNSURE = 0.5
"""A classifier's best class may differ where its probability is below this: then it guesses."""


def difference(
    expected: Sequence[Detections], found: Sequence[Detections], *, least_score: float
) -> str:
    """What sets two engines' answers apart; empty where they agree.

    Both list what they found down to SHARE_LISTED of `least_score`. What counts is what reaches
    `least_score`, or half of it or a quarter where no picture shows anything above.
    """
    levels = [least_score, least_score / 2, least_score * SHARE_LISTED]
    reached = [level for level in levels if any((one.scores >= level).any() for one in expected)]
    level = reached[0] if reached else least_score
    for at, (one, other) in enumerate(zip(expected, found, strict=True)):
        for ours, theirs, what in ((one, other, "misses"), (other, one, "adds")):
            lost = _without_partner(ours, theirs, level + (what == "adds") * SCORE_DIFFERENCE_MAX)
            if len(lost):
                score, box = ours.scores[lost[0]], ours.boxes[lost[0]].round(1).tolist()
                label = ours.labels[ours.classes[lost[0]]]
                return f"picture {at}: it {what} {label} {score:.2f} at {box}"
    return ""


def _without_partner(ours: Detections, theirs: Detections, level: float) -> NDArray[np.intp]:
    """Which of ours reach the level and have no like among theirs."""
    counted = np.flatnonzero(ours.scores >= level)
    if not len(counted):
        return counted
    if _is_guess(ours, theirs):
        return counted[:0]
    near = np.abs(ours.scores[counted, None] - theirs.scores[None]) <= SCORE_DIFFERENCE_MAX
    like = near & (ours.classes[counted, None] == theirs.classes[None])
    like &= _iou(ours.boxes[counted], theirs.boxes) >= IOU_MIN
    return np.asarray(counted[~like.any(axis=1)], np.intp)


def _is_guess(ours: Detections, theirs: Detections) -> bool:
    """Whether both have one unsure answer for the whole picture, near in score."""
    if len(ours) != 1 or len(theirs) != 1 or not np.array_equal(ours.boxes, theirs.boxes):
        return False
    score, other = float(ours.scores[0]), float(theirs.scores[0])
    return score < UNSURE and abs(score - other) <= SCORE_DIFFERENCE_MAX


def _iou(boxes: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float64]:
    """(n, 4) and (m, 4) -> (n, m)."""
    a, b = boxes[:, None].astype(np.float64), others[None].astype(np.float64)
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    shared = np.clip(sides, 0, None).prod(axis=-1)
    areas = [np.clip(c[..., 2:] - c[..., :2], 0, None).prod(axis=-1) for c in (a, b)]
    return np.asarray(shared / np.maximum(areas[0] + areas[1] - shared, 1e-9), np.float64)
