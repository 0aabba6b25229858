"""Structures in a volume: connected places that are brighter or darker than what is around them.

They are measured, not judged. The border of a structure lies at half of its contrast: the mean of
its own gray level and of that around it, both taken from the volume, smoothed against speckle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mastra_ros.errors import VolumeError

from .grid import Grid
from .reconstruction import Volume
from .surface import Mesh, needs_medical, surface

Array = NDArray[Any]

KINDS = ("bright", "dark")


@dataclass(frozen=True)
class Search:
    """What counts as a structure.

    contrast: least difference from the surroundings, in gray levels. volume_ml: least volume.
    smooth_mm: standard deviation of the smoothing. kinds: bright, dark or both. most: how many,
    the largest first.
    """

    contrast: float = 40.0
    volume_ml: float = 0.05
    smooth_mm: float = 0.6
    kinds: tuple[str, ...] = KINDS
    most: int = 32

    def __post_init__(self) -> None:
        for name, value, most in (
            ("contrast", self.contrast, 65535.0),
            ("volume_ml", self.volume_ml, 1e6),
            ("smooth_mm", self.smooth_mm, 20.0),
            ("most", self.most, 1000),
        ):
            if not 0 <= value <= most:
                raise VolumeError(f"structures: expected {name} of 0 to {most:g}, got {value!r}")
        if not self.kinds or not set(self.kinds) <= set(KINDS):
            raise VolumeError(f"structures: expected bright or dark, got {self.kinds!r:.80}")


@dataclass(frozen=True)
class Structure:
    """One of them. gray, around: of itself and its surroundings; level: of its border.

    axes_mm: full lengths of the ellipsoid with the same moments, along `directions`. whole: it
    ends inside of what was seen; where not, its volume is a lower bound.
    """

    kind: str
    mesh: Mesh
    volume_ml: float
    area_mm2: float
    centre_mm: tuple[float, float, float]
    axes_mm: tuple[float, float, float]
    directions: tuple[tuple[float, float, float], ...]
    gray: float
    around: float
    level: float
    whole: bool

    @property
    def sphericity(self) -> float:
        """1 for a ball, less for all else."""
        ball = np.pi ** (1 / 3) * (6000.0 * self.volume_ml) ** (2 / 3)
        return float(min(1.0, ball / self.area_mm2)) if self.area_mm2 > 0 else 0.0


def smoothed(volume: Volume, smooth_mm: float) -> Array:
    """Gray levels without most of the speckle (float32); 0 where nothing is known nearby."""
    ndimage = _ndimage()
    known = volume.hits != 0
    values = np.where(known, volume.values, 0.0).astype(np.float32)
    if smooth_mm == 0:
        return values
    sigma = [smooth_mm / mm for mm in reversed(volume.grid.spacing_mm)]
    if known.all():
        smooth: Array = ndimage.gaussian_filter(values, sigma, truncate=3.0)
        return smooth
    total = ndimage.gaussian_filter(values, sigma, truncate=3.0)
    weight = ndimage.gaussian_filter(known.astype(np.float32), sigma, truncate=3.0)
    mean: Array = np.zeros_like(total)
    np.divide(total, weight, out=mean, where=known & (weight > 1e-3))
    return mean


def structures(volume: Volume, search: Search | None = None) -> list[Structure]:
    """All structures, the largest first."""
    search = search or Search()
    known = volume.hits != 0
    if not known.any():
        return []
    smooth = smoothed(volume, search.smooth_mm)
    usual = float(np.median(smooth[known]))
    found: list[Structure] = []
    for kind in KINDS:
        if kind in search.kinds:
            sign = 1.0 if kind == "bright" else -1.0
            found += _of_one_kind(kind, sign * smooth, sign * usual, known, volume.grid, search)
    found.sort(key=lambda one: (-one.volume_ml, one.centre_mm))
    return found[: search.most]


def _of_one_kind(
    kind: str, field: Array, usual: float, known: Array, grid: Grid, search: Search
) -> list[Structure]:
    """Structures that are higher in the field than usual."""
    ndimage = _ndimage()
    field = np.where(known, field, usual)
    labels, count = ndimage.label(field > usual + search.contrast / 2)
    if not count:
        return []
    sizes = np.bincount(labels.ravel())
    least = search.volume_ml * 1000.0 / grid.voxel_mm3
    found = []
    boxes = ndimage.find_objects(labels)
    # Seeds are cut at a level of their own later: half as large may do here.
    for label in np.flatnonzero(sizes >= least / 4).tolist():
        if label:
            one = _measured(
                kind, field, usual, known, grid, labels, label, boxes[label - 1], search
            )
            if one is not None and one.volume_ml >= search.volume_ml:
                found.append(one)
    return found


def _measured(
    kind: str,
    field: Array,
    usual: float,
    known: Array,
    grid: Grid,
    labels: Array,
    label: int,
    box: tuple[slice, ...],
    search: Search,
) -> Structure | None:
    ndimage = _ndimage()
    margin = [max(2, round(2.5 * search.smooth_mm / mm) + 2) for mm in reversed(grid.spacing_mm)]
    part = tuple(
        slice(max(0, side.start - more), min(n, side.stop + more))
        for side, more, n in zip(box, margin, field.shape, strict=True)
    )
    mine, inside = labels[part] == label, field[part]
    # Its gray level: deep inside, where smoothing mixes in nothing of what is around it.
    depth = ndimage.distance_transform_edt(np.pad(mine, 1), sampling=grid.spacing_mm[::-1])
    depth = depth[1:-1, 1:-1, 1:-1]
    deep = depth >= min(2.5 * search.smooth_mm, 0.6 * float(depth.max()))
    gray = float(np.median(inside[deep]))
    # Around: what belongs to no structure, a little off.
    near = ~ndimage.binary_dilation(mine, iterations=2)
    ring = near & (labels[part] == 0) & known[part]
    around = float(np.median(inside[ring])) if ring.sum() >= 50 else usual
    if gray - around < search.contrast:
        return None
    level = (gray + around) / 2
    parts, _ = ndimage.label(inside > level)
    counts = np.bincount(parts[deep & (inside > level)].ravel(), minlength=2)
    counts[0] = 0
    if not counts.any():
        return None
    own = parts == int(counts.argmax())
    others = (parts > 0) & ~own
    alone = np.where(others, np.minimum(inside, level - 0.01 * (gray - around)), inside)
    first = (part[2].start, part[1].start, part[0].start)
    size = (alone.shape[2], alone.shape[1], alone.shape[0])
    mesh = surface(alone, level, grid.part(first, size))
    edge = ~known[part]
    for axis in range(3):
        for end, at_edge in (
            (0, part[axis].start == 0),
            (-1, part[axis].stop == field.shape[axis]),
        ):
            if at_edge:
                side: list[Any] = [slice(None)] * 3
                side[axis] = end
                edge[tuple(side)] = True
    whole = not bool((ndimage.binary_dilation(own) & edge).any())
    sign = 1.0 if kind == "bright" else -1.0
    x, y, z = (round(float(one), 4) for one in mesh.centre_mm)
    volume_ml = mesh.volume_mm3 / 1000.0
    if not volume_ml > 0:
        return None
    lengths, ways = mesh.axes()
    return Structure(
        kind,
        mesh,
        volume_ml,
        mesh.area_mm2,
        (x, y, z),
        lengths,
        tuple((float(a), float(b), float(c)) for a, b, c in ways),
        sign * gray,
        sign * around,
        sign * level,
        whole,
    )


def _ndimage() -> Any:
    try:
        from scipy import ndimage
    except ImportError:
        raise needs_medical("scipy") from None
    return ndimage
