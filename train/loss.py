"""Targets per cell, and the loss: quality focal loss for scores, GIoU for boxes.

Quality focal loss: Li et al., "Generalized Focal Loss", 2020. GIoU: Rezatofighi et al., 2019.
Distillation from a teacher's scores: Hinton et al., "Distilling the Knowledge in a Neural
Network", 2015.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from train.augment import Crop
from train.network import CLASSES, STRIDE_PX

NEGATIVE, IGNORED = -1, -2
CENTRE_RADIUS_PX = 12.0
BOX_WEIGHT = 2.0


def cell_centres(cells: int) -> npt.NDArray[np.float32]:
    """Centres (cells * cells, 2) x y in px, row-major."""
    at = (np.arange(cells, dtype=np.float32) + 0.5) * STRIDE_PX
    x, y = np.meshgrid(at, at)
    return np.stack([x.ravel(), y.ravel()], axis=1)


def targets(
    crop: Crop, centres: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Per cell: the class, NEGATIVE or IGNORED (A,); and the distances l t r b in cells (A, 4).

    A cell is positive for a box if its centre lies in the box and within CENTRE_RADIUS_PX of the
    box's centre on both axes; of several boxes the smallest wins.
    """
    classes = np.full(len(centres), NEGATIVE, dtype=np.int64)
    distances = np.zeros((len(centres), 4), dtype=np.float32)
    for x1, y1, x2, y2 in crop.ignored:
        x, y = centres[:, 0], centres[:, 1]
        classes[(x > x1) & (x < x2) & (y > y1) & (y < y2)] = IGNORED
    areas = (crop.boxes[:, 2] - crop.boxes[:, 0]) * (crop.boxes[:, 3] - crop.boxes[:, 1])
    for i in np.argsort(-areas):
        box = crop.boxes[i]
        sides = np.concatenate([centres - box[:2], box[2:] - centres], axis=1)
        middle = (box[:2] + box[2:]) / 2
        near = np.abs(centres - middle).max(axis=1) < CENTRE_RADIUS_PX
        chosen = near & (sides.min(axis=1) > 0)
        classes[chosen] = crop.labels[i]
        distances[chosen] = sides[chosen] / STRIDE_PX
    return classes, distances


def detection_loss(
    scores: Tensor, boxes: Tensor, classes: Tensor, distances: Tensor
) -> tuple[Tensor, Tensor]:
    """Score loss and weighted box loss (scalars) of (N, A, 6), (N, A, 4), (N, A), (N, A, 4)."""
    scores, boxes = scores.float(), boxes.float()
    positive = classes >= 0
    count = positive.sum().clamp(min=1)
    overlap, giou = _overlaps(boxes[positive], distances[positive])
    quality = torch.zeros_like(scores)
    one_hot = functional.one_hot(classes[positive], CLASSES).to(scores.dtype)
    quality[positive] = one_hot * overlap.detach().clamp(min=0)[:, None]
    counted = (classes != IGNORED)[..., None]
    score_loss = (_focal(scores, quality) * counted).sum() / count
    return score_loss, BOX_WEIGHT * (1 - giou).sum() / count


def teacher_loss(scores: Tensor, teacher: Tensor, classes: Tensor) -> Tensor:
    """How far scores are from a teacher's, both logits (N, A, 6): a scalar, as the score loss.

    Every cell counts, those too that no label decides: the teacher has an opinion there.
    """
    count = (classes >= 0).sum().clamp(min=1)
    return _focal(scores.float(), teacher.float().sigmoid()).sum() / count


def _focal(scores: Tensor, quality: Tensor) -> Tensor:
    """Quality focal loss, element by element, of logits against values in 0..1."""
    weight = (quality - scores.sigmoid()).abs().pow(2)
    return weight * functional.binary_cross_entropy_with_logits(scores, quality, reduction="none")


def _overlaps(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """IoU and GIoU (P,) of boxes given as distances l t r b (P, 4) from the same centres."""
    area_a = (a[:, 0] + a[:, 2]) * (a[:, 1] + a[:, 3])
    area_b = (b[:, 0] + b[:, 2]) * (b[:, 1] + b[:, 3])
    inner, outer = torch.minimum(a, b), torch.maximum(a, b)
    common = (inner[:, 0] + inner[:, 2]) * (inner[:, 1] + inner[:, 3])
    union = area_a + area_b - common
    hull = (outer[:, 0] + outer[:, 2]) * (outer[:, 1] + outer[:, 3])
    iou = common / union.clamp(min=1e-6)
    return iou, iou - (hull - union) / hull.clamp(min=1e-6)
