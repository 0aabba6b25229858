"""What a detector finds, as it is followed: our types only, and each thing once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mastra_ros.pipeline.traffic.events import TYPES
from mastra_ros.types import Detections

from .matching import overlaps

Floats = NDArray[np.float64]

SAME_IOU = 0.6
"""Two boxes of vehicles that share this much are one vehicle, whatever their types."""
WITHIN = 0.7
"""A box of low score that lies in another one of its kind by this share is a part of it."""
RIDING = {"motorcycle", "bicycle"}
OTHER_NAMES = {
    "motorbike": "motorcycle",
    "bike": "bicycle",
    "pedestrian": "person",
    "lorry": "truck",
}


@dataclass(frozen=True)
class Found:
    """Boxes (n, 4), scores and types of one frame."""

    boxes: Floats
    scores: Floats
    types: tuple[str, ...]


def cleaned(detections: Detections) -> Found:
    """Of each thing its best box. A rider is part of what is ridden."""
    names = [OTHER_NAMES.get(label, label) for label in detections.labels]
    kinds = [names[k] for k in detections.classes.tolist()]
    ours = [k for k, kind in enumerate(kinds) if kind in TYPES]
    order = sorted(ours, key=lambda k: -float(detections.scores[k]))
    boxes = detections.boxes.astype(np.float64)
    kept: list[int] = []
    for k in order:
        box = boxes[k : k + 1]
        if (box[0, 2:] - box[0, :2]).min() < 2:
            continue
        if kept and _known(kinds, boxes, kept, k):
            continue
        kept.append(k)
    kept = [k for k in kept if not _rides(kinds, boxes, kept, k)]
    return Found(
        boxes[kept].reshape(-1, 4),
        detections.scores[kept].astype(np.float64),
        tuple(kinds[k] for k in kept),
    )


def _known(kinds: list[str], boxes: Floats, kept: list[int], k: int) -> bool:
    alike = [j for j in kept if (kinds[j] == "person") == (kinds[k] == "person")]
    if not alike:
        return False
    if overlaps(boxes[k : k + 1], boxes[alike]).max() > SAME_IOU:
        return True
    inside = _inside(boxes[k], boxes[alike])
    area = _area(boxes[k])
    # A small part of a large thing, such as the cab of a truck; a car beside a bus is as wide.
    return any(
        share > WITHIN and area > 0.2 * _area(boxes[j])
        for share, j in zip(inside, alike, strict=True)
    )


def _rides(kinds: list[str], boxes: Floats, kept: list[int], k: int) -> bool:
    if kinds[k] != "person":
        return False
    ridden = [j for j in kept if kinds[j] in RIDING]
    return bool(ridden) and float(_inside(boxes[k], boxes[ridden]).max()) > 0.5


def _inside(box: Floats, others: Floats) -> Floats:
    """The share of the box that lies in each of the others."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    return np.asarray(np.clip(high - low, 0, None).prod(1) / max(1e-9, _area(box)))


def _area(box: Floats) -> float:
    return float((box[2] - box[0]) * (box[3] - box[1]))
