"""A drawn casting: a block with a bore, and voids whose place and size are known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mastra_ros.pipeline.volume.grid import Grid
from mastra_ros.pipeline.volume.reconstruction import Volume

Array = NDArray[Any]

AIR, METAL = 12.0, 180.0
NOISE = 6.0
LOW_MM, HIGH_MM = (2.0, 3.0, 3.0), (23.0, 22.0, 32.0)
BORE_MM = (18.5, 13.0, 2.5)
"""x, y of its axis along z, and its radius: a hole that is meant to be there."""


@dataclass(frozen=True)
class DrawnVoid:
    """An ellipsoid by its centre and half axes in mm; thin ones are cracks."""

    centre_mm: tuple[float, float, float]
    semi_mm: tuple[float, float, float]

    @property
    def volume_mm3(self) -> float:
        """Of the ellipsoid."""
        a, b, c = self.semi_mm
        return 4.0 / 3.0 * np.pi * a * b * c


VOIDS = (
    DrawnVoid((9.0, 9.0, 9.0), (1.2, 1.2, 1.2)),
    DrawnVoid((10.0, 17.0, 24.0), (0.8, 1.6, 0.8)),
    DrawnVoid((8.0, 12.0, 17.0), (0.6, 0.6, 0.6)),
)
CRACK = DrawnVoid((13.0, 8.0, 27.0), (0.25, 2.6, 2.6))


def drawn_casting(
    voids: tuple[DrawnVoid, ...] = VOIDS, *, spacing_mm: float = 0.25, seed: int = 1
) -> Volume:
    """The block with these voids, with partial volumes at its edges and noise."""
    size = tuple(
        round((high + low) / spacing_mm) for low, high in zip(LOW_MM, HIGH_MM, strict=True)
    )
    grid = Grid((0.0, 0.0, 0.0), (spacing_mm,) * 3, (size[0], size[1], size[2]))
    z, y, x = (
        np.arange(n).reshape([-1 if one == axis else 1 for one in range(3)]) * spacing_mm
        for axis, n in enumerate(grid.shape)
    )
    outside = np.maximum.reduce(
        np.broadcast_arrays(
            *(
                np.maximum(low - at, at - high)
                for at, low, high in zip((x, y, z), LOW_MM, HIGH_MM, strict=True)
            )
        )
    )
    bore = BORE_MM[2] - np.hypot(x - BORE_MM[0], y - BORE_MM[1])
    share = _share(-outside, spacing_mm) * _share(-bore, spacing_mm)
    for one in voids:
        _take_out(share, one, spacing_mm)
    values = AIR + (METAL - AIR) * share
    values = values + NOISE * np.random.default_rng(seed).standard_normal(values.shape)
    values = np.clip(np.rint(values), 0, 255).astype(np.float32)
    return Volume(grid, values, np.ones(grid.shape, np.int8))


def _take_out(share: Array, void: DrawnVoid, spacing_mm: float) -> None:
    """Take a void out of the voxels that it touches, each by the share of 5^3 points in it."""
    spots = (np.arange(5) - 2.0) / 5.0
    parts, scaled = [], []
    for axis, (centre, semi) in enumerate(zip(void.centre_mm, void.semi_mm, strict=True)):
        first = int(np.floor((centre - semi) / spacing_mm)) - 1
        end = int(np.ceil((centre + semi) / spacing_mm)) + 2
        parts.append(slice(first, end))
        places = (np.arange(first, end)[:, None] + spots) * spacing_mm
        shape = [1] * 3
        shape[2 - axis] = -1
        scaled.append((((places.ravel() - centre) / semi) ** 2).reshape(shape))
    inside = (scaled[0] + scaled[1] + scaled[2]) < 1
    z, y, x = (n // 5 for n in inside.shape)
    part = inside.reshape(z, 5, y, 5, x, 5).mean((1, 3, 5))
    share[parts[2], parts[1], parts[0]] *= 1.0 - part


def _share(depth_mm: Array, spacing_mm: float) -> Array:
    """How much of a voxel lies inside, from the depth of its centre."""
    share: Array = np.clip(0.5 + depth_mm / spacing_mm, 0.0, 1.0)
    return share
