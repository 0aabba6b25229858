"""Reads the output of YOLOX (Ge et al., 2021, arXiv:2107.08430), as its authors export it.

A row for each cell of each stride's grid: box centre and size relative to the cell, objectness
and a score per class, the last two already between 0 and 1. Pure functions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .engines.engine import Tensor, TensorSpec
from .postprocess import CANDIDATES_MAX, Candidates, as_scores, dequantise
from .preprocess import Floats

OBJECTNESS = 4  # column; the classes follow
SIZE_LIMIT = 20.0  # exp() of more than this is no size of a box


def cells_of(width_px: int, height_px: int, strides_px: Sequence[int]) -> Floats:
    """Column, row and stride of each row of the output: float32 (cells, 3)."""
    grids = []
    for stride in strides_px:
        rows, columns = np.mgrid[: height_px // stride, : width_px // stride]
        strides = np.full(rows.size, stride)
        grids.append(np.stack([columns.ravel(), rows.ravel(), strides], axis=1))
    if not grids:
        return np.zeros((0, 3), np.float32)
    return np.concatenate(grids).astype(np.float32)


def yolox(
    raw: Tensor,
    spec: TensorSpec,
    *,
    grid: Floats,
    threshold: float,
    form: str = "probabilities",
) -> Candidates:
    """Decode one frame's rows (cells, 5 + classes); score = objectness * the best class's score.

    `form`: whether scores are probabilities, as the authors export them, or logits.
    """
    objectness = as_scores(dequantise(raw[:, OBJECTNESS], spec), form)
    cells = np.flatnonzero(objectness >= threshold)  # a product of scores is never above either
    rows = dequantise(raw[cells], spec)
    classes = rows[:, OBJECTNESS + 1 :].argmax(axis=1).astype(np.int32)
    best = as_scores(rows[np.arange(len(rows)), classes + OBJECTNESS + 1], form)
    scores = objectness[cells] * best
    passed = scores >= threshold
    order = np.flatnonzero(passed)[np.argsort(-scores[passed], kind="stable")][:CANDIDATES_MAX]
    rows, classes, scores, cells = rows[order], classes[order], scores[order], cells[order]
    strides = grid[cells, 2:]
    centres = (rows[:, :2] + grid[cells, :2]) * strides
    halves = np.exp(np.minimum(rows[:, 2:4], np.float32(SIZE_LIMIT))) * strides / 2
    boxes = np.concatenate([centres - halves, centres + halves], axis=1)
    sound = np.isfinite(boxes).all(axis=1)
    return Candidates(boxes[sound].astype(np.float32), scores[sound], classes[sound])
