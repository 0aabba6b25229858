"""How sure a detector is of a result: measures on the scores, from 0 (unsure) to 1 (sure).

A detector gives one score p for each box: the probability that its class is there. Against the
alternative "nothing there" each box is a binary choice. A result without boxes counts as sure:
what a detector has overlooked, its scores cannot tell.

- threshold: the lowest p, the least confident box (Lewis and Gale, 1994).
- margin: the lowest distance |2p - 1| between the two alternatives (Scheffer et al., 2001). It
  finds boxes near 1/2, where those kept or dropped by the score threshold differ.
- entropy: 1 minus the mean binary entropy over the boxes, in bits (Shannon): many half-sure boxes
  count for more than one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mastra_ros.types import Detections


def _lowest(scores: NDArray[np.float64]) -> float:
    return float(scores.min())


def _margin(scores: NDArray[np.float64]) -> float:
    return float(np.abs(2 * scores - 1).min())


def _entropy(scores: NDArray[np.float64]) -> float:
    p = np.clip(scores, 1e-9, 1 - 1e-9)
    bits = -(p * np.log2(p) + (1 - p) * np.log2(1 - p))
    return float(1 - bits.mean())


MEASURES: dict[str, Callable[[NDArray[np.float64]], float]] = {
    "threshold": _lowest,
    "margin": _margin,
    "entropy": _entropy,
}
"""The measures by the value of `scheduling.escalate_measure`."""


def confidence(detections: Detections, measure: str) -> float:
    """Confidence of a result, 0 to 1; 1.0 without detections."""
    if not len(detections):
        return 1.0
    scores = np.clip(detections.scores.astype(np.float64), 0.0, 1.0)
    return min(max(MEASURES[measure](scores), 0.0), 1.0)


def agreement(local: Detections, cloud: Detections, iou_min: float = 0.33) -> float:
    """F-score of one result measured by the other, 0 to 1: 1.0 where both say the same.

    A box agrees with one of its class at an intersection over union above `iou_min`; each is
    matched once, best overlap first. Labels count, not indices: the models may order them
    differently.
    """
    total = len(local) + len(cloud)
    if total == 0:
        return 1.0
    if len(local) == 0 or len(cloud) == 0:
        return 0.0
    overlap = _iou(local.boxes, cloud.boxes)
    ours = np.array([local.labels[i] for i in local.classes])
    theirs = np.array([cloud.labels[i] for i in cloud.classes])
    overlap[ours[:, None] != theirs[None, :]] = 0.0
    matched = 0
    while overlap.max() > iou_min:
        row, column = np.unravel_index(int(overlap.argmax()), overlap.shape)
        overlap[row, :] = 0.0
        overlap[:, column] = 0.0
        matched += 1
    return 2 * matched / total


def _iou(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float64]:
    """Intersection over union of each of a (n, 4) with each of b (m, 4): (n, m)."""
    low = np.maximum(a[:, None, :2], b[None, :, :2]).astype(np.float64)
    high = np.minimum(a[:, None, 2:], b[None, :, 2:]).astype(np.float64)
    inside = np.clip(high - low, 0.0, None).prod(axis=2)
    areas = [np.clip(x[:, 2:] - x[:, :2], 0, None).astype(np.float64).prod(axis=1) for x in (a, b)]
    union = areas[0][:, None] + areas[1][None, :] - inside
    return np.asarray(np.divide(inside, union, out=np.zeros_like(inside), where=union > 0))
