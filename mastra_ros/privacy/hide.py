"""Hides parts of a picture: a mosaic so coarse that nothing can be read back, or solid black.

A blur can be undone, and a fine mosaic be read: of plates in a mosaic of 32 blocks across, a reader
got 0.39, of 24 blocks 0.01, of 16 none. So a region has at most 8, counted over its whole size
even where it reaches beyond the picture; and a small one has fewer, since a face of 16 px in 4
blocks across is still taken for one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..config.privacy import Polygon
from .region import Region

Pixels = NDArray[Any]
"""(height, width) or (height, width, 3), uint8 or uint16."""
Box = tuple[int, int, int, int]


LEAST_BLOCK_PX = 20
"""The side of a block in a region, at least. Of masks over 105 faces 16 px wide in 4 blocks across
the finders take 50 for a face or head, and none where the blocks have 16 px; of those 24 px wide
14, 3 with blocks of 16 px, and none with 20."""


def hide_inside(image: Pixels, regions: Sequence[Region], how: str, blocks: int) -> Pixels:
    """The picture with all the regions hidden; the very same one where none lies in it."""
    hidden = image
    for region in regions:
        x1, y1, x2, y2 = outer(region, image)
        if x1 >= x2 or y1 >= y2:
            continue
        if hidden is image:
            hidden = image.copy()
        part = hidden[y1:y2, x1:x2]
        side_px = max(LEAST_BLOCK_PX, block_px(max(region.width, region.height), blocks))
        part[...] = 0 if how == "solid" else mosaic(part, side_px)
    return hidden


def hide_around(image: Pixels, kept: Iterable[Region], how: str, blocks: int) -> Pixels:
    """The picture with everything hidden but what lies inside these boxes."""
    hidden = _all_hidden(image, how, blocks)
    for region in kept:
        x1, y1, x2, y2 = inner(region, image)
        if x1 < x2 and y1 < y2:
            hidden[y1:y2, x1:x2] = image[y1:y2, x1:x2]
    return hidden


def hide_outside(image: Pixels, polygons: Sequence[Polygon], how: str, blocks: int) -> Pixels:
    """The picture with everything hidden but what lies inside these polygons."""
    high, wide = image.shape[:2]
    kept = np.zeros((high, wide), np.uint8)
    for polygon in polygons:
        corners = np.array([(round(x * wide), round(y * high)) for x, y in polygon], np.int32)
        cv2.fillPoly(kept, [corners], 1)
    hidden = _all_hidden(image, how, blocks)
    inside = kept.astype(bool)
    hidden[inside] = image[inside]
    return hidden


def _all_hidden(image: Pixels, how: str, blocks: int) -> Pixels:
    if how == "solid":
        return np.zeros_like(image)
    return mosaic(image, block_px(max(image.shape[:2]), blocks))


def mosaic(part: Pixels, side_px: int) -> Pixels:
    """Every square of `side_px` filled with its mean; those at the far borders may be cut."""
    high, wide = part.shape[:2]
    rows, columns = -(-high // side_px), -(-wide // side_px)
    padded = cv2.copyMakeBorder(
        part,
        0,
        rows * side_px - high,
        0,
        columns * side_px - wide,
        cv2.BORDER_REPLICATE,
    )
    means = cv2.resize(padded, (columns, rows), interpolation=cv2.INTER_AREA)
    return means.repeat(side_px, axis=0).repeat(side_px, axis=1)[:high, :wide]


def block_px(side_px: float, blocks: int) -> int:
    """The side of a block where at most so many lie across."""
    return max(1, math.ceil(side_px / blocks))


def outer(region: Region, image: Pixels) -> Box:
    """The px that a region touches, inside the picture; empty where it lies beside it."""
    high, wide = image.shape[:2]
    return (
        min(max(math.floor(region.x), 0), wide),
        min(max(math.floor(region.y), 0), high),
        min(max(math.ceil(region.x + region.width), 0), wide),
        min(max(math.ceil(region.y + region.height), 0), high),
    )


def inner(region: Region, image: Pixels) -> Box:
    """The px that lie wholly in a region and in the picture."""
    high, wide = image.shape[:2]
    return (
        min(max(math.ceil(region.x), 0), wide),
        min(max(math.ceil(region.y), 0), high),
        min(max(math.floor(region.x + region.width), 0), wide),
        min(max(math.floor(region.y + region.height), 0), high),
    )
