"""Volumes as PLUS makes them (vtkIGSIOPasteSliceIntoVolume, FULL optimisation), bit by bit.

For comparison only. Positions are in fixed point with 14 bits after the point; the mean is one of
integers, rounded down with every pixel, and so too dark by 2 to 3 gray levels and dependent on the
order of the frames, which must come as they were recorded. `reconstruction` is better in both.
Written after reading PLUS's sources (BSD licence); no code of theirs is here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mastra_ros.errors import VolumeError

from .grid import Grid
from .reconstruction import Volume

Array = NDArray[Any]

POINT_BITS = 14
FULL = 256
"""What one pixel weighs."""
WEIGHT_MAX = 65279
"""Above that a voxel is full, and follows new pixels by one part in 256."""


@dataclass(frozen=True)
class Clip:
    """Which pixels PLUS takes: a rectangle, and in it a fan, both in px.

    rectangle: left, top, width, height. fan_deg: left and right edge; both 0 is no fan.
    """

    rectangle: tuple[float, float, float, float]
    fan_deg: tuple[float, float] = (0.0, 0.0)
    fan_origin: tuple[float, float] = (0.0, 0.0)
    radius: tuple[float, float] = (0.0, 0.0)

    def box(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Left, top, right, bottom (inclusive) within a picture."""
        left, top, wide, high = self.rectangle
        right, bottom = math.floor(left + wide), math.floor(top + high)
        return (
            max(0, math.ceil(left)),
            max(0, math.ceil(top)),
            min(width - 1, right),
            min(height - 1, bottom),
        )

    def mask(self, width: int, height: int) -> NDArray[np.bool_]:
        """(height, width): the pixels that count."""
        left, top, right, bottom = self.box(width, height)
        mask = np.zeros((height, width), np.bool_)
        for y in range(top, bottom + 1):
            for first, end in self._runs(y, left, right):
                mask[y, first : end + 1] = True
        return mask

    def _runs(self, y: int, left: int, right: int) -> list[tuple[int, int]]:
        """First and last column of what counts in a row: none, one or two runs."""
        if self.fan_deg == (0.0, 0.0):
            return [(left, right)] if left <= right else []
        x0, y0 = self.fan_origin
        down = y - y0
        tangents = sorted(math.tan(math.radians(angle)) for angle in self.fan_deg)
        inner, outer = self.radius
        if outer**2 < down**2:
            return []
        wide = math.sqrt(outer**2 - down**2)
        left = max(left, _ceil(tangents[0] * down + x0 + 1), _ceil(x0 - wide + 1))
        right = min(right, _floor(tangents[1] * down + x0 - 1), _floor(x0 + wide - 1))
        if left > right:
            return []
        if inner**2 <= down**2:
            return [(left, right)]
        wide = math.sqrt(inner**2 - down**2)
        first, last = _ceil(x0 - wide + 1), _floor(x0 + wide - 1)
        runs = [(left, min(right, first - 1)), (max(left, last + 1), right)]
        return [(a, b) for a, b in runs if a <= b]


def compatible(
    frames: Sequence[tuple[NDArray[np.uint8], Array]],
    grid: Grid,
    mask: NDArray[np.bool_],
    *,
    compounding: str = "mean",
    double: bool = False,
) -> Volume:
    """PLUS's volume of frames in their order, each a picture and its (4, 4) from px to mm.

    Nearest neighbour; compounding: mean, latest or maximum. double: positions in double
    precision, to tell their part in a difference from that of the mean of integers.
    """
    if compounding not in ("mean", "latest", "maximum"):
        raise VolumeError(f"compounding: expected mean, latest, maximum, got {compounding!r:.40}")
    values = np.zeros(grid.voxels, np.int64)
    weights = np.zeros(grid.voxels, np.int64)
    scale = np.diag([*(1 / np.asarray(grid.spacing_mm)), 1.0])
    scale[:3, 3] = -np.asarray(grid.origin_mm) / np.asarray(grid.spacing_mm)
    for image, to_volume in frames:
        at, inside = _voxels(scale @ to_volume, grid, mask, double)
        pixels = image[mask].astype(np.int64)[inside]
        if compounding == "latest":
            values[at] = pixels  # of those in one voxel the last one stays
            weights[at] = FULL
        elif compounding == "maximum":
            np.maximum.at(values, at, pixels)
            weights[at] = FULL
        else:
            _average(values, weights, at, pixels)
    return Volume(grid, values.reshape(grid.shape).astype(np.float64), weights.reshape(grid.shape))


def _voxels(
    across: Array, grid: Grid, mask: NDArray[np.bool_], double: bool
) -> tuple[Array, Array]:
    """Voxel of every pixel of the mask that lies in the grid, and which these are."""
    fixed = across[:3] * (1 << POINT_BITS)
    if not double:
        fixed = np.rint(fixed).astype(np.int64)
    y, x = np.nonzero(mask)
    at = np.zeros(len(x), np.int64)
    inside = np.ones(len(x), np.bool_)
    step = 1
    for axis in range(3):
        place = fixed[axis, 3] + y * fixed[axis, 1] + x * fixed[axis, 0]
        voxel = np.floor_divide(place + (1 << (POINT_BITS - 1)), 1 << POINT_BITS)
        voxel = voxel.astype(np.int64)
        inside &= (voxel >= 0) & (voxel < grid.size[axis])
        at += voxel * step
        step *= grid.size[axis]
    return at[inside], inside


def _average(values: Array, weights: Array, at: Array, pixels: Array) -> None:
    """One pixel after the other; those of different voxels at once."""
    order = np.argsort(at, kind="stable")
    at, pixels = at[order], pixels[order]
    firsts = np.flatnonzero(np.r_[True, at[1:] != at[:-1]])
    counts = np.diff(np.r_[firsts, len(at)])
    for turn in range(int(counts.max(initial=0))):
        which = firsts[counts > turn] + turn
        voxel, pixel = at[which], pixels[which]
        weight, value = weights[voxel], values[voxel]
        mean = (pixel * FULL + value * weight) // (weight + FULL)
        followed = (pixel * (1 / 256) + value * (255 / 256)).astype(np.int64)
        full = weight > WEIGHT_MAX
        values[voxel] = np.where(full, followed, mean)
        weights[voxel] = np.where(full, weight, weight + FULL)


def _floor(place: float) -> int:
    """As on the machine that made PLUS's references: to 1/65536 first, then down."""
    return round(place * 65536) >> 16


def _ceil(place: float) -> int:
    return -_floor(-place)
