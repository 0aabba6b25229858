"""From a detector's raw outputs to boxes, and the dataset's rule for right and wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

STRIDE_PX = 8
CELLS = 80
NMS_IOU = 0.4
MATCH_IOU = 0.33

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Found:
    """`boxes` (K, 4) x1 y1 x2 y2 in px, `scores` (K,) in 0..1 descending, `labels` (K,)."""

    boxes: Floats
    scores: Floats
    labels: npt.NDArray[np.int64]

    def above(self, threshold: float) -> Found:
        """Those with a score of at least `threshold`."""
        keep = self.scores >= threshold
        return Found(self.boxes[keep], self.scores[keep], self.labels[keep])


@dataclass(frozen=True)
class Counts:
    """Right detections, detections, and true defects, each (classes,)."""

    right: npt.NDArray[np.int64]
    found: npt.NDArray[np.int64]
    true: npt.NDArray[np.int64]


def decode(scores: Floats, distances: Floats, floor: float = 0.05) -> Found:
    """Logits (A, 6) and distances l t r b in cells (A, 4) -> boxes, after non-maximum suppression.

    The best class of a cell counts; suppression is over all classes together.
    """
    labels = scores.argmax(axis=1)
    best = scores.max(axis=1)
    at = np.flatnonzero(best >= np.log(floor / (1 - floor)))
    at = at[np.argsort(-best[at], kind="stable")]
    centre = np.stack([at % CELLS + 0.5, at // CELLS + 0.5], axis=1).astype(np.float32)
    boxes = np.concatenate([centre - distances[at, :2], centre + distances[at, 2:]], axis=1)
    boxes = (boxes * STRIDE_PX).clip(0, CELLS * STRIDE_PX).astype(np.float32)
    kept: list[int] = []
    alive = np.ones(len(at), dtype=bool)
    for i in range(len(at)):
        if alive[i]:
            kept.append(i)
            alive &= iou(boxes[i : i + 1], boxes)[0] <= NMS_IOU
    rows = at[kept]
    probability = 1 / (1 + np.exp(-best[rows].astype(np.float64)))
    return Found(boxes[kept], probability.astype(np.float32), labels[rows].astype(np.int64))


def iou(a: Floats, b: Floats) -> Floats:
    """Intersection over union (K, M) of boxes (K, 4) and (M, 4)."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    common = (high - low).clip(0).prod(axis=2)
    area_a = (a[:, 2:] - a[:, :2]).clip(0).prod(axis=1)
    area_b = (b[:, 2:] - b[:, :2]).clip(0).prod(axis=1)
    return np.asarray(common / np.maximum(area_a[:, None] + area_b[None] - common, 1e-6))


def count(
    found: Sequence[Found], truth: Sequence[tuple[Floats, npt.NDArray[np.int64]]], classes: int
) -> Counts:
    """Match greedily by score: right is the same class and IoU > 0.33; each defect matches once."""
    right, total, true = (np.zeros(classes, dtype=np.int64) for _ in range(3))
    for one, (boxes, labels) in zip(found, truth, strict=True):
        np.add.at(true, labels, 1)
        np.add.at(total, one.labels, 1)
        free = np.ones(len(labels), dtype=bool)
        overlaps = iou(one.boxes, boxes)
        for i, label in enumerate(one.labels):
            fits = np.where(free & (labels == label), overlaps[i], 0.0)
            if len(fits) and fits.max() > MATCH_IOU:
                free[int(fits.argmax())] = False
                right[label] += 1
    return Counts(right, total, true)


def mistakes(found: Found, boxes: Floats, labels: npt.NDArray[np.int64]) -> Floats:
    """Centres (K, 2) of false alarms and of missed or confused defects."""
    fits = (iou(found.boxes, boxes) > MATCH_IOU) & (found.labels[:, None] == labels[None])
    wrong = np.concatenate([found.boxes[~fits.any(axis=1)], boxes[~fits.any(axis=0)]])
    return np.asarray((wrong[:, :2] + wrong[:, 2:]) / 2)


def scores_of(counts: Counts) -> tuple[float, float, float]:
    """Precision, recall and F over all classes together."""
    right, found, true = (int(x.sum()) for x in (counts.right, counts.found, counts.true))
    return right / max(found, 1), right / max(true, 1), 2 * right / max(found + true, 1)


def best_threshold(
    found: Sequence[Found], truth: Sequence[tuple[Floats, npt.NDArray[np.int64]]], classes: int
) -> tuple[float, float]:
    """A score threshold with the highest F, smoothed over a window of 0.07; and F there."""
    grid = np.arange(0.10, 0.80, 0.01)
    values = []
    for threshold in grid:
        kept = [one.above(float(threshold)) for one in found]
        values.append(scores_of(count(kept, truth, classes))[2])
    smooth = np.convolve(np.pad(values, 3, mode="edge"), np.ones(7) / 7, mode="valid")
    top = np.flatnonzero(smooth >= smooth.max() - 1e-9)
    middle = int(top[len(top) // 2])
    return round(float(grid[middle]), 2), values[middle]
