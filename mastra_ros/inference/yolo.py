"""Reads the outputs of YOLOv8 and YOLOv5, and of what followed them (YOLO11 and others).

A row for each cell: box centre and size, whole and in px of the input (or fractions of its sides),
and scores: of each class, or first how sure it is of any object (YOLOv5). No grid is needed.
Pure functions.
"""

from __future__ import annotations

import numpy as np

from .engines.engine import Tensor, TensorSpec
from .postprocess import CANDIDATES_MAX, Candidates, as_scores, dequantise, least_raw

BOX_SIDES = 4


def first_class_of(kind: str) -> int:
    """Column of the first class in a joint row."""
    return BOX_SIDES + (1 if kind == "yolov5" else 0)


def yolo(
    scores: Tensor,
    boxes: Tensor,
    *,
    scores_spec: TensorSpec,
    boxes_spec: TensorSpec,
    kind: str,
    form: str,
    sides: tuple[float, float],
    threshold: float,
) -> Candidates:
    """Decode one frame; the best class of a cell counts.

    Args:
        scores: (cells, classes), for yolov5 (cells, 1 + classes) with the objectness first.
        boxes: (cells, 4), centre and size.
        form: whether scores are logits or probabilities.
        sides: what a box of width and height 1 measures in px: (1, 1), or the input's sides.
    """
    first = first_class_of(kind) - BOX_SIDES
    least = least_raw(threshold, scores_spec, form)
    deciding = scores[:, 0] if first else scores.max(axis=1)
    cells = np.flatnonzero(deciding >= least)  # a product of scores is never above either
    rows = scores[cells]
    classes = rows[:, first:].argmax(axis=1).astype(np.int32)
    found = as_scores(dequantise(rows[np.arange(len(rows)), classes + first], scores_spec), form)
    if first:
        found = found * as_scores(dequantise(rows[:, 0], scores_spec), form)
    passed = np.flatnonzero(found >= threshold) if first else np.arange(len(found))
    order = passed[np.argsort(-found[passed], kind="stable")][:CANDIDATES_MAX]
    places = dequantise(boxes[cells[order]], boxes_spec) * np.array(sides * 2, np.float32)
    halves = places[:, 2:] / 2
    corners = np.concatenate([places[:, :2] - halves, places[:, :2] + halves], axis=1)
    sound = np.isfinite(corners).all(axis=1)
    return Candidates(corners[sound], found[order][sound], classes[order][sound])
