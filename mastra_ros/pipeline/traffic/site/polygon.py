"""Polygons in px: whether they make sense, what lies in them, whether two share ground."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Point = tuple[float, float]

POINTS_MAX = 100


def crosses_itself(polygon: Sequence[Point]) -> tuple[int, int] | None:
    """The numbers (from 1) of two sides that cross, or None."""
    count = len(polygon)
    for i in range(count):
        for j in range(i + 2, count):
            if i == 0 and j == count - 1:
                continue
            if segments_cross(polygon[i], polygon[i + 1], polygon[j], polygon[(j + 1) % count]):
                return i + 1, j + 1
    return None


def segments_cross(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Whether ab and cd share a point."""

    def side(p: Point, q: Point, r: Point) -> float:
        return (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])

    def between(p: Point, q: Point, r: Point) -> bool:
        return min(p[0], q[0]) <= r[0] <= max(p[0], q[0]) and (
            min(p[1], q[1]) <= r[1] <= max(p[1], q[1])
        )

    first, second = side(a, b, c), side(a, b, d)
    third, fourth = side(c, d, a), side(c, d, b)
    if first * second < 0 and third * fourth < 0:
        return True
    return any(
        value == 0 and between(p, q, r)
        for value, p, q, r in (
            (first, a, b, c),
            (second, a, b, d),
            (third, c, d, a),
            (fourth, c, d, b),
        )
    )


def area_px(polygon: Sequence[Point]) -> float:
    """The area in px2."""
    points = np.array(polygon, np.float64)
    x, y = points[:, 0], points[:, 1]
    return abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2


def contains(polygon: Floats, x: float, y: float) -> bool:
    """Whether a point lies in a polygon (n, 2) or on its border."""
    return cv2.pointPolygonTest(polygon.astype(np.float32), (float(x), float(y)), False) >= 0


def shared_share(a: Sequence[Point], b: Sequence[Point], width_px: int, height_px: int) -> float:
    """How much of the smaller one lies in the other, 0 to 1, as counted on a coarse picture."""
    scale = 400 / max(width_px, height_px)
    size = (round(height_px * scale) + 2, round(width_px * scale) + 2)
    masks = []
    for polygon in (a, b):
        mask = np.zeros(size, np.uint8)
        cv2.fillPoly(mask, [np.round(np.array(polygon) * scale).astype(np.int32)], 1)
        masks.append(cv2.erode(mask, np.ones((3, 3), np.uint8)))
    least = min(int(mask.sum()) for mask in masks)
    return float(np.logical_and(masks[0], masks[1]).sum()) / least if least else 0.0
