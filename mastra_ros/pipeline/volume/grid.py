"""Where the voxels of a volume lie, planned and checked before any of them is allocated."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mastra_ros.errors import VolumeError

Array = NDArray[Any]
Index = tuple[int, int, int]
Vector = tuple[float, float, float]

VOXELS_MAX = 2**28
"""More than anybody may ask for: 2 GiB of sums."""
REACH_MM = 10_000.0
"""A place farther than this from the origin is a fault of a pose, not a patient."""


@dataclass(frozen=True)
class Grid:
    """A box of voxels. Raises VolumeError where it makes no sense.

    origin_mm: centre of voxel 0, 0, 0. spacing_mm: between centres. size: voxels along x, y, z;
    arrays of it have the shape (z, y, x).
    """

    origin_mm: Vector
    spacing_mm: Vector
    size: Index

    def __post_init__(self) -> None:
        check_spacing(self.spacing_mm)
        if len(self.size) != 3 or min(self.size) < 1 or math.prod(self.size) > VOXELS_MAX:
            raise VolumeError(f"grid: expected 1 to {VOXELS_MAX} voxels, got {self.size!r:.80}")
        if len(self.origin_mm) != 3 or not all(map(math.isfinite, self.origin_mm)):
            raise VolumeError(f"grid: expected an origin in mm, got {self.origin_mm!r:.80}")

    @property
    def shape(self) -> Index:
        """Of arrays: z, y, x."""
        x, y, z = self.size
        return z, y, x

    @property
    def voxels(self) -> int:
        """How many there are."""
        return math.prod(self.size)

    @property
    def voxel_mm3(self) -> float:
        """Volume of one of them."""
        return math.prod(self.spacing_mm)

    def place_mm(self, index: Array) -> Array:
        """Places of voxels given as (n, 3) x, y, z, whole or between."""
        places: Array = np.asarray(self.origin_mm) + np.asarray(index) * np.asarray(self.spacing_mm)
        return places

    def part(self, first: Index, size: Index) -> Grid:
        """The box of so many voxels from the voxel `first` on."""
        x, y, z = self.place_mm(np.asarray(first)).tolist()
        return Grid((x, y, z), self.spacing_mm, size)


def check_spacing(spacing_mm: Sequence[float]) -> None:
    """VolumeError unless these are three spacings that somebody could mean."""
    if len(spacing_mm) != 3 or not all(0.001 <= one <= 100.0 for one in spacing_mm):
        raise VolumeError(f"spacing: expected three of 0.001 to 100 mm, got {spacing_mm!r:.80}")


def corners_mm(to_volume: Array, box_px: tuple[int, int, int, int]) -> Array:
    """(4, 3) places of the corners of a part of a picture, given as left, top, right, bottom.

    right and bottom are the last column and row. to_volume: (4, 4), px to mm. Raises VolumeError
    where a corner lies nowhere, or absurdly far away.
    """
    left, top, right, bottom = box_px
    px = [(x, y, 0.0, 1.0) for x in (left, right) for y in (top, bottom)]
    places: Array = (np.asarray(px) @ np.asarray(to_volume, np.float64).T)[:, :3]
    if not np.isfinite(places).all() or np.abs(places).max() > REACH_MM:
        raise VolumeError(
            f"pose: expected places within {REACH_MM:g} mm, got {places.round(1).tolist()!r:.120}"
        )
    return places


def plan(
    corners: Iterable[Array],
    spacing_mm: Vector,
    *,
    voxels_max: int = 2**26,
    origin_mm: Vector | None = None,
) -> Grid:
    """The smallest grid that holds all corners, each (n, 3) in mm, rounded to the next voxel.

    origin_mm: the centres lie at multiples of the spacing from there; None takes the lowest
    corner, as PLUS does. Raises VolumeError where there are no corners or too many voxels, and
    says what spacing would do.
    """
    check_spacing(spacing_mm)
    every = [np.asarray(one) for one in corners]
    if not every:
        raise VolumeError("volume: expected frames with poses, got none")
    places = np.concatenate(every)
    low, high = places.min(0), places.max(0)
    spacing = np.asarray(spacing_mm)
    if origin_mm is None:
        first, last = np.zeros(3), np.floor((high - low) / spacing + 0.5)
    else:
        first = np.floor((low - origin_mm) / spacing + 0.5)
        last = np.floor((high - origin_mm) / spacing + 0.5)
        low = np.asarray(origin_mm) + first * spacing
    size = [int(one) for one in last - first + 1]
    check_size(size, spacing_mm, voxels_max)
    x, y, z = (float(one) for one in low)
    return Grid((x, y, z), spacing_mm, (size[0], size[1], size[2]))


def check_size(size: Sequence[int], spacing_mm: Sequence[float], voxels_max: int) -> None:
    """VolumeError where these are more voxels than are allowed."""
    voxels = math.prod(size)
    if voxels > min(voxels_max, VOXELS_MAX):
        fits_mm = fitting_mm(size, spacing_mm, voxels_max)
        wide = " x ".join(f"{n * mm:.0f}" for n, mm in zip(size, spacing_mm, strict=True))
        raise VolumeError(
            f"volume: expected at most {min(voxels_max, VOXELS_MAX)} voxels, got {voxels} "
            f"for {wide} mm at {min(spacing_mm):g} mm; at {fits_mm:g} mm "
            "it would fit"
        )


def fitting_mm(size: Sequence[int], spacing_mm: Sequence[float], voxels_max: int) -> float:
    """The next spacing, in steps of 0.05 mm, at which a box of this size holds so few voxels."""
    edges = [n * mm for n, mm in zip(size, spacing_mm, strict=True)]
    steps = max(1, math.floor(min(spacing_mm) / 0.05))
    while math.prod(math.ceil(edge / (steps * 0.05)) + 1 for edge in edges) > voxels_max:
        steps += max(1, steps // 20)
    return round(steps * 0.05, 2)
