"""Surfaces of structures: marching cubes at one gray level, what they enclose, and fewer faces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mastra_ros.errors import DependencyError, VolumeError

from .grid import Grid

Array = NDArray[Any]

FACES_MAX = 20_000
"""What rviz draws without a stutter, all structures together."""


@dataclass(frozen=True)
class Mesh:
    """Triangles. vertices: (n, 3) in mm, float32; faces: (m, 3) indices of their corners, which
    run anticlockwise as seen from outside."""

    vertices: Array
    faces: Array

    def __post_init__(self) -> None:
        for name, array in (("vertices", self.vertices), ("faces", self.faces)):
            if array.ndim != 2 or array.shape[1] != 3:
                raise VolumeError(f"mesh: expected {name} of (n, 3), got {array.shape}")
        if len(self.faces) and not 0 <= self.faces.min() <= self.faces.max() < len(self.vertices):
            raise VolumeError(f"mesh: expected faces of {len(self.vertices)} vertices")

    @property
    def volume_mm3(self) -> float:
        """What a closed surface encloses."""
        a, b, c = (self._corner(place) for place in range(3))
        return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6.0)

    @property
    def area_mm2(self) -> float:
        """Of all faces."""
        a, b, c = (self._corner(place) for place in range(3))
        return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2.0)

    @property
    def centre_mm(self) -> Array:
        """Centre of what a closed surface encloses: (3,)."""
        a, b, c = (self._corner(place) for place in range(3))
        parts = np.einsum("ij,ij->i", a, np.cross(b, c)) / 6.0
        centre: Array = self._middle + ((a + b + c) * parts[:, None] / 4.0).sum(0) / parts.sum()
        return centre

    def axes(self) -> tuple[tuple[float, float, float], Array]:
        """Of the ellipsoid with the same moments: full lengths in mm, the longest first, and
        their directions as the rows of (3, 3)."""
        a, b, c = (self._corner(place) for place in range(3))
        parts = np.einsum("ij,ij->i", a, np.cross(b, c)) / 6.0
        total = parts.sum()
        mean = ((a + b + c) * parts[:, None] / 4.0).sum(0) / total
        sums = a + b + c
        moments = np.zeros((3, 3))
        for one in (a, b, c, sums):  # of a tetrahedron with one corner at 0
            moments += np.einsum("n,ni,nj->ij", parts, one, one) / 20.0
        spread = moments / total - np.outer(mean, mean)
        squares, ways = np.linalg.eigh(spread)
        lengths = 2.0 * np.sqrt(5.0 * np.clip(squares, 0.0, None))
        return (float(lengths[2]), float(lengths[1]), float(lengths[0])), ways.T[::-1]

    @property
    def _middle(self) -> Array:
        middle: Array = self.vertices.astype(np.float64).mean(0)
        return middle

    def _corner(self, place: int) -> Array:
        corner: Array = self.vertices.astype(np.float64)[self.faces[:, place]] - self._middle
        return corner


def surface(values: Array, level: float, grid: Grid) -> Mesh:
    """Where `values` (z, y, x) pass a level: closed, since all around it is taken for lower.

    Turn the values and the level around for what is darker than its surroundings.
    """
    try:
        from skimage.measure import marching_cubes
    except ImportError:
        raise needs_medical("scikit-image") from None
    low = float(min(values.min(), level)) - 1.0
    padded = np.pad(values.astype(np.float32), 1, constant_values=low)
    if not level < float(padded.max()):
        raise VolumeError(f"surface: expected gray levels above {level:.1f}, got none")
    vertices, faces, _, _ = marching_cubes(padded, level, gradient_direction="descent")
    places = grid.place_mm(vertices[:, ::-1] - 1.0)
    mesh = Mesh(places.astype(np.float32), faces.astype(np.int32))
    if mesh.volume_mm3 < 0:
        mesh = Mesh(mesh.vertices, mesh.faces[:, ::-1])
    return mesh


def decimated(mesh: Mesh, faces_max: int = FACES_MAX) -> Mesh:
    """A mesh of no more faces: vertices that lie in one cell become one, their mean."""
    if faces_max < 4:
        raise VolumeError(f"mesh: expected at least 4 faces, got {faces_max}")
    vertices = mesh.vertices.astype(np.float64)
    if len(mesh.faces) <= faces_max:
        return mesh
    cell_mm = float(np.sqrt(mesh.area_mm2 / faces_max))
    while True:
        cells = np.floor((vertices - vertices.min(0)) / cell_mm).astype(np.int64)
        _, which, counts = np.unique(cells, axis=0, return_inverse=True, return_counts=True)
        which = which.ravel()
        sums = np.stack([np.bincount(which, weights=vertices[:, axis]) for axis in range(3)], 1)
        faces = which[mesh.faces]
        a, b, c = faces.T
        faces = faces[(a != b) & (b != c) & (c != a)]
        if len(faces) <= faces_max:
            kept, faces = np.unique(faces, return_inverse=True)
            places = (sums / counts[:, None])[kept]
            return Mesh(places.astype(np.float32), faces.reshape(-1, 3).astype(np.int32))
        cell_mm *= 1.15


def needs_medical(package: str) -> DependencyError:
    """Says how to install what is missing."""
    return DependencyError(f'{package} is needed and not installed: pip install ".[medical]"')
