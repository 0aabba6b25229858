"""From a detector's raw outputs to detections in the frame. Pure functions.

Most cells of the grid hold nothing, so scores are compared as they come, as logits and, in an
int8 model, as integers; only what passes is turned into probabilities and boxes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..types import Detections
from .engines.engine import Tensor, TensorSpec
from .preprocess import Floats, Transform, to_frames

CANDIDATES_MAX = 1000
"""So many of the best boxes go into the suppression, which takes quadratic time."""

DETECTIONS_MAX = 300


@dataclass(frozen=True)
class Candidates:
    """Boxes in px of the model's input, best first. Types and shapes as in Detections."""

    boxes: Floats
    scores: Floats
    classes: NDArray[np.int32]


_NOTHING = Candidates(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int32))


@lru_cache(maxsize=64)  # asked for every frame, and changes hardly ever
def least_raw(threshold: float, spec: TensorSpec, form: str = "logits") -> float:
    """What a raw value must reach for its score to be at least `threshold` (0 to 1).

    `form` says whether raw values are logits, whose sigmoid is the score, or probabilities. For an
    integer tensor it is an integer where one of its dtype will do, so that comparing stays in its
    own arithmetic; else, and for logits of 0 and 1, an infinity or a number out of its range.
    """
    if threshold <= 0.0:
        return -math.inf
    if form == "logits" and threshold >= 1.0:
        return math.inf
    real = math.log(threshold / (1.0 - threshold)) if form == "logits" else threshold
    if spec.dtype.kind == "f":
        return real
    least = real / spec.scale + spec.zero_point
    limits = np.iinfo(spec.dtype)
    return math.ceil(least) if limits.min <= least <= limits.max else least


def dequantise(values: Tensor, spec: TensorSpec) -> Floats:
    """Raw values -> float32."""
    real = values.astype(np.float32)
    if spec.scale:
        real = (real - np.float32(spec.zero_point)) * np.float32(spec.scale)
    return real


def anchor_free(
    scores: Tensor,
    distances: Tensor,
    *,
    scores_spec: TensorSpec,
    distances_spec: TensorSpec,
    columns: int,
    stride_px: int,
    threshold: float,
    form: str = "logits",
) -> Candidates:
    """Decode one frame's grid; the best class of a cell counts.

    `scores` (cells, classes) are logits or probabilities, as `form` says; `distances` (cells, 4)
    lead from the cell's centre to the left, top, right and bottom of the box, in units of the
    stride. Row-major: cell i is at column i % columns and its centre at (column + 0.5) * stride.
    """
    return anchor_free_all(
        scores[None],
        distances[None],
        scores_spec=scores_spec,
        distances_spec=distances_spec,
        columns=columns,
        stride_px=stride_px,
        threshold=threshold,
        form=form,
    )[0]


def anchor_free_all(
    scores: Tensor,
    distances: Tensor,
    *,
    scores_spec: TensorSpec,
    distances_spec: TensorSpec,
    columns: int,
    stride_px: int,
    threshold: float,
    form: str = "logits",
) -> list[Candidates]:
    """As `anchor_free`, of many frames at once: `scores` (frames, cells, classes) and so on."""
    count, size, kinds = scores.shape
    raw = np.ascontiguousarray(scores).reshape(-1)
    hits = np.flatnonzero(raw >= least_raw(threshold, scores_spec, form))
    if not len(hits):
        return [_NOTHING] * count
    places = hits  # ascending over all frames
    if kinds > 1:  # a cell once for each class that passes
        places = hits // kinds
        places = places[np.concatenate(([True], places[1:] != places[:-1]))]
    rows = raw.reshape(-1, kinds)[places]
    classes = rows.argmax(axis=1).astype(np.int32)
    logits = dequantise(rows[np.arange(len(rows)), classes], scores_spec)
    frames = places // size
    order = np.lexsort((-logits, frames))  # by frame, and in it the best first
    if len(places) > CANDIDATES_MAX:
        counts = np.bincount(frames, minlength=count)
        ends = np.cumsum(counts)
        some = [order[end - n : end][:CANDIDATES_MAX] for end, n in zip(ends, counts, strict=True)]
        order = np.concatenate(some)
    places, classes, logits, frames = places[order], classes[order], logits[order], frames[order]
    centres = _centres(size, columns)[places % size]
    taken = distances.reshape(-1, distances.shape[-1])[places]
    reach = np.maximum(dequantise(taken, distances_spec), np.float32(0))
    boxes = np.concatenate([centres - reach[:, :2], centres + reach[:, 2:]], axis=1)
    boxes *= np.float32(stride_px)
    finite = np.isfinite(boxes)
    if not finite.all():
        sound = finite.all(axis=1)
        boxes, logits, classes, frames = boxes[sound], logits[sound], classes[sound], frames[sound]
    found = as_scores(logits, form)
    if count == 1:
        return [Candidates(boxes, found, classes)]
    ends = np.searchsorted(frames, np.arange(1, count + 1)).tolist()
    return [
        Candidates(boxes[begin:end], found[begin:end], classes[begin:end])
        for begin, end in zip([0, *ends[:-1]], ends, strict=True)
    ]


@lru_cache(maxsize=64)
def _centres(size: int, columns: int) -> Floats:
    """The centres of all cells, in units of the stride."""
    cells = np.arange(size)
    centres = np.stack([cells % columns, cells // columns], axis=1).astype(np.float32)
    centres += np.float32(0.5)
    return centres


def suppress(found: Candidates, iou_max: float, *, per_class: bool) -> NDArray[np.intp]:
    """Greedy non-maximum suppression: indices of what stays, best first.

    A box goes when its intersection over union with a better one exceeds `iou_max`; with
    `per_class` only where both are of one class.
    """
    if not len(found.scores):
        return np.zeros(0, np.intp)
    if len(found.scores) == 1 and found.scores[0] > 0.0:
        return np.zeros(1, np.intp)
    corners = found.boxes.astype(np.float64)
    sizes = corners[:, 2:] - corners[:, :2]
    corners = corners[:, :2].copy()
    if per_class:  # classes are moved apart, where they cannot meet
        span = float(np.abs(found.boxes).max()) * 2.0 + 1.0
        corners += found.classes[:, None] * span
    rectangles: Any = np.concatenate([corners, sizes], axis=1)
    scores: Any = found.scores
    kept = cv2.dnn.NMSBoxes(rectangles, scores, 0.0, iou_max)
    return np.asarray(kept, np.intp).reshape(-1)


def to_detections(
    found: Candidates, kept: NDArray[np.intp], transform: Transform, labels: tuple[str, ...]
) -> Detections:
    """The candidates `kept`, in px of the frame and clipped to it; at most DETECTIONS_MAX.

    What lies wholly outside the frame (in the border of a letterbox) is left out.
    """
    return all_to_detections([found], [kept], [transform], labels)[0]


def all_to_detections(
    found: Sequence[Candidates],
    kept: Sequence[NDArray[np.intp]],
    transforms: Sequence[Transform],
    labels: tuple[str, ...],
) -> list[Detections]:
    """As `to_detections`, of many frames at once."""
    some = [
        one if len(places) == len(one.scores) == 1 else _those(one, places)
        for one, places in zip(found, kept, strict=True)
    ]
    counts = [len(one.scores) for one in some]
    if not any(counts):
        return [Detections.empty(labels)] * len(some)
    boxes = np.concatenate([one.boxes for one in some])
    mapped = to_frames(boxes, counts, transforms)
    sound = (mapped[:, 2] > mapped[:, 0]) & (mapped[:, 3] > mapped[:, 1])
    if len(sound) and sound.all() and max(counts) <= DETECTIONS_MAX:
        scores = np.concatenate([one.scores for one in some])
        classes = np.concatenate([one.classes for one in some])
        return Detections(mapped, scores, classes, labels).parted(counts)
    made, at = [], 0
    for one, count in zip(some, counts, strict=True):
        inside = np.flatnonzero(sound[at : at + count])[:DETECTIONS_MAX]
        own = mapped[at : at + count][inside]
        made.append(Detections(own, one.scores[inside], one.classes[inside], labels))
        at += count
    return made


def _those(found: Candidates, kept: NDArray[np.intp]) -> Candidates:
    return Candidates(found.boxes[kept], found.scores[kept], found.classes[kept])


def as_scores(values: Floats, form: str) -> Floats:
    """Logits, or probabilities that rounding may have driven beyond 0 and 1 -> scores."""
    if form == "logits":
        # Beyond 80 the result is 0 or 1 in float32 anyway, and exp would overflow.
        return np.asarray(1.0 / (1.0 + np.exp(-np.clip(values, -80.0, 80.0))), np.float32)
    return np.asarray(np.clip(values, 0.0, 1.0), np.float32)
