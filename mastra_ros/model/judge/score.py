"""How right answers are: top-1 accuracy of classifiers, F-score and mAP of detectors.

What lies in an ignored region of its class (a crowd of COCO's) is neither right nor wrong, and
the region itself need not be found: by the share of the detection that lies inside, as in COCO's
own evaluation (pycocotools, `cocoeval.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...types import Detections
from ..dataset import Sample

MATCH_IOU = 0.33
"""DeepPCB's rule: right is a box of the right class with an intersection over union above this."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Counts:
    """Right answers, answers, and truths, over all classes."""

    right: int
    given: int
    true: int

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.right + other.right, self.given + other.given, self.true + other.true)

    @property
    def precision(self) -> float:
        return self.right / max(self.given, 1)

    @property
    def recall(self) -> float:
        return self.right / max(self.true, 1)

    @property
    def f_score(self) -> float:
        """2 right / (given + true); 1 where nothing is there and nothing was given."""
        both = self.given + self.true
        return 2 * self.right / both if both else 1.0


def counts_of(found: Detections, truth: Sample) -> Counts:
    """Hold one answer against the truth. A classifier's answer is right or wrong as a whole."""
    if not len(truth.boxes) and len(truth.classes) == 1:
        right = len(found) == 1 and int(found.classes[0]) == int(truth.classes[0])
        return Counts(int(right), 1, 1)
    matched = matches(found, truth)
    left_out = excused(found, truth, matched)
    return Counts(int(matched.sum()), len(found) - int(left_out.sum()), len(truth.classes))


def matches(found: Detections, truth: Sample, iou_min: float = MATCH_IOU) -> NDArray[np.bool_]:
    """Which detections are right, greedily from the best; each truth is found once."""
    right = np.zeros(len(found), bool)
    free = np.ones(len(truth.classes), bool)
    overlaps = iou(found.boxes, truth.boxes)
    for i in np.argsort(-found.scores, kind="stable"):
        fits = np.where(free & (truth.classes == found.classes[i]), overlaps[i], 0.0)
        if len(fits) and fits.max() > iou_min:
            free[int(fits.argmax())] = False
            right[i] = True
    return right


def excused(
    found: Detections, truth: Sample, right: NDArray[np.bool_], iou_min: float = MATCH_IOU
) -> NDArray[np.bool_]:
    """Which detections that are not right lie in an ignored region of their class."""
    if not len(truth.ignored):
        return np.zeros(len(found), bool)
    inside = inside_of(found.boxes, truth.ignored) > iou_min
    same = found.classes[:, None] == truth.ignored_classes[None]
    return np.asarray(~right & (inside & same).any(axis=1), np.bool_)


def iou(a: NDArray[np.float32], b: NDArray[np.float32]) -> Floats:
    """Intersection over union (n, m) of boxes (n, 4) and (m, 4)."""
    shared = _shared(a, b)
    union = _area(a)[:, None] + _area(b)[None] - shared
    return np.asarray(shared / np.maximum(union, 1e-9), np.float64)


def inside_of(a: NDArray[np.float32], b: NDArray[np.float32]) -> Floats:
    """Share (n, m) of each box (n, 4) that lies in each of the regions (m, 4)."""
    return np.asarray(_shared(a, b) / np.maximum(_area(a), 1e-9)[:, None], np.float64)


def _shared(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    return np.asarray((high - low).clip(0).prod(axis=2))


def _area(a: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray((a[:, 2:] - a[:, :2]).clip(0).prod(axis=1))


def accuracy(found: Sequence[Detections], truths: Sequence[Sample]) -> float:
    """Share of right classes, or the F-score over all boxes: 0 to 1."""
    total = Counts(0, 0, 0)
    for one, truth in zip(found, truths, strict=True):
        total += counts_of(one, truth)
    return total.f_score


def mean_average_precision(
    found: Sequence[Detections], truths: Sequence[Sample], iou_min: float = 0.5
) -> float:
    """Mean over the classes that occur of the area under precision over recall, 0 to 1.

    Precision is made non-increasing from the right, as in COCO, and not sampled. For all of it
    the detections must have been kept down to a low score.
    """
    values = []
    occurring = sorted({int(k) for truth in truths for k in truth.classes})
    hits = [matches(one, truth, iou_min) for one, truth in zip(found, truths, strict=True)]
    counting = [
        ~excused(one, truth, hit, iou_min)
        for one, truth, hit in zip(found, truths, hits, strict=True)
    ]
    for label in occurring:
        mine = [(one.classes == label) & c for one, c in zip(found, counting, strict=True)]
        scores = np.concatenate([one.scores[m] for one, m in zip(found, mine, strict=True)])
        right = np.concatenate([hit[m] for hit, m in zip(hits, mine, strict=True)])
        true = sum(int((truth.classes == label).sum()) for truth in truths)
        right = right[np.argsort(-scores, kind="stable")]
        precision = np.cumsum(right) / np.arange(1, len(right) + 1)
        precision = np.maximum.accumulate(precision[::-1])[::-1]
        values.append(float(precision[right].sum()) / true)
    return float(np.mean(values)) if values else 0.0


def agreement(first: Sequence[Detections], second: Sequence[Detections]) -> float:
    """How far two models give the same answers: the score of one with the other as the truth."""
    total = Counts(0, 0, 0)
    for one, other in zip(first, second, strict=True):
        as_one = len(one) == len(other) == 0
        truth = Sample(_NOWHERE, other.boxes, other.classes)
        total += Counts(1, 1, 1) if as_one else counts_of(one, truth)
    return total.f_score


_NOWHERE = Path()
