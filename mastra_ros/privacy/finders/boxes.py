"""From the cells and anchors of a network to regions of the picture."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ...errors import ModelError
from .region import Image, Region

Floats = NDArray[np.float32]
SAME_IOU = 0.45
"""Boxes of one kind that overlap by more are one thing."""
CANDIDATES_MAX = 3000
"""So many boxes at most are compared with each other; a picture that gives more is no picture that
the network was made for, and the best of them are kept."""
ROWS_AT_ONCE = 64
"""So many boxes are compared with all at a time: thousands at once would take much memory."""


def bgr(image: Image) -> Image:
    """The picture in three colours."""
    if image.ndim == 3:
        return image
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR), np.uint8)


def padded(image: Image, multiple: int) -> Image:
    """The picture with black at the right and below, up to sides that are multiples."""
    high, wide = image.shape[:2]
    below, right = -high % multiple, -wide % multiple
    if not below and not right:
        return image
    black = (0, 0, 0)
    made = cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_CONSTANT, value=black)
    return np.asarray(made, np.uint8)


def resized(image: Image, scale: float) -> Image:
    """The picture with its sides times `scale`, at least a pixel each."""
    if scale == 1.0:
        return image
    high, wide = image.shape[:2]
    size = (max(1, round(wide * scale)), max(1, round(high * scale)))
    # Means over areas that are no whole px take ten times as long as halving, and then the rest.
    while size[0] * 2 <= image.shape[1] and size[1] * 2 <= image.shape[0]:
        odd_high, odd_wide = image.shape[0] % 2, image.shape[1] % 2
        if odd_high or odd_wide:
            edge = cv2.BORDER_REPLICATE
            image = np.asarray(cv2.copyMakeBorder(image, 0, odd_high, 0, odd_wide, edge), np.uint8)
        half = (image.shape[1] // 2, image.shape[0] // 2)
        image = np.asarray(cv2.resize(image, half, interpolation=cv2.INTER_LINEAR), np.uint8)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), np.uint8)


def tensor(image: Image, *, red_first: bool = False) -> Floats:
    """(1, 3, height, width) float32 of a picture of three colours, as they are or turned round."""
    planes = cv2.split(image)
    return np.stack(planes[::-1] if red_first else planes)[None].astype(np.float32)


def checked(name: str, outputs: list[NDArray[Any]]) -> list[NDArray[Any]]:
    """The outputs; ModelError where one holds what is no number: then nothing is known."""
    for output in outputs:
        if not np.isfinite(output).all():
            raise ModelError(f"finder {name}: its network gave what is no finite number")
    return outputs


def best(boxes: Floats, scores: Floats, kind: str, same_iou: float = SAME_IOU) -> list[Region]:
    """Regions of the boxes (N, 4) left, top, right, bottom in px, each thing once."""
    whole = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    boxes, scores = boxes[whole], scores[whole]
    if len(scores) > CANDIDATES_MAX:
        first = np.argsort(-scores)[:CANDIDATES_MAX]
        boxes, scores = boxes[first], scores[first]
    sized = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], 1).astype(float)
    if not len(sized):
        return []
    kept = cv2.dnn.NMSBoxes(sized.tolist(), scores.astype(float).tolist(), 0.0, same_iou)
    made = []
    for i in np.asarray(kept).ravel().tolist():
        x, y, wide, high = sized[i].tolist()
        made.append(Region(x, y, wide, high, kind, min(1.0, float(scores[i]))))
    return made


def joined(regions: list[Region], same_iou: float = SAME_IOU) -> list[Region]:
    """The regions, those of one kind that overlap much taken together: the hull, the best score.

    Two finders that see one face give two boxes; what either of them saw is hidden.
    """
    regions = sorted(regions, key=lambda r: -r.score)
    if not regions:
        return []
    sides = np.array([(r.x, r.y, r.x + r.width, r.y + r.height) for r in regions], np.float64)
    kinds = np.unique([r.kind for r in regions], return_inverse=True)[1]
    blocks = np.split(np.arange(len(regions)), range(ROWS_AT_ONCE, len(regions), ROWS_AT_ONCE))
    same = np.concatenate([_same(sides, kinds, rows, same_iou) for rows in blocks])
    made: dict[int, Region] = {}
    for number, region in enumerate(regions):
        earlier = same[:number, number]
        if not earlier.any():
            made[number] = region
            continue
        first = int(earlier.argmax())
        made[first] = hull(made[first], region)
        sides[first, :2] = np.minimum(sides[first, :2], sides[number, :2])
        sides[first, 2:] = np.maximum(sides[first, 2:], sides[number, 2:])
        same[first] = _same(sides, kinds, np.array([first]), same_iou)
        same[number] = False
    return list(made.values())


def _same(
    sides: NDArray[np.float64], kinds: NDArray[np.intp], rows: NDArray[np.intp], same_iou: float
) -> NDArray[np.bool_]:
    """(rows, N): whether the boxes of these rows and all boxes are one thing."""
    overlapping = _overlaps(sides, sides[rows][:, None]) > same_iou
    return np.asarray(overlapping & (kinds[rows][:, None] == kinds))


def _overlaps(sides: NDArray[np.float64], box: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union of boxes (N, 4) left, top, right, bottom with one, or many.

    Of many, (M, 1, 4), it gives (M, N).
    """
    both = np.minimum(sides[:, 2:], box[..., 2:]) - np.maximum(sides[:, :2], box[..., :2])
    shared = both.clip(min=0).prod(-1)
    areas = (sides[:, 2:] - sides[:, :2]).prod(-1) + (box[..., 2:] - box[..., :2]).prod(-1)
    overlaps: NDArray[np.float64] = shared / (areas - shared)
    return overlaps


def hull(a: Region, b: Region) -> Region:
    """The least rectangle around both, with the kind of the first and the better score."""
    left, top = min(a.x, b.x), min(a.y, b.y)
    right = max(a.x + a.width, b.x + b.width)
    bottom = max(a.y + a.height, b.y + b.height)
    return Region(left, top, right - left, bottom - top, a.kind, max(a.score, b.score))


def scaled(r: Region, across: float, down: float) -> Region:
    """The region in px of a picture so many times as wide and as high."""
    return Region(r.x * across, r.y * down, r.width * across, r.height * down, r.kind, r.score)
