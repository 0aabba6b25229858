"""Bodies whose shape is known exactly: what a drawn phantom holds.

`signed` is cheap and has the right sign and zero; `distance_mm` is the true distance to the
surface. Points are (..., 3) in mm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Points = NDArray[Any]  # float32 or float64
Vector = tuple[float, float, float]


class Body(Protocol):
    """One body. gray: the mean gray level inside."""

    @property
    def name(self) -> str: ...
    @property
    def gray(self) -> float: ...
    @property
    def centre_mm(self) -> Vector: ...
    @property
    def reach_mm(self) -> float:
        """No point of it lies further from `centre_mm`."""
        ...

    @property
    def volume_ml(self) -> float: ...

    def signed(self, points: Points) -> Points:
        """Below 0 inside, 0 on the surface, above 0 outside."""
        ...

    def distance_mm(self, points: Points) -> Points:
        """How far the points are from the surface; never below 0."""
        ...


@dataclass(frozen=True)
class Ellipsoid:
    """semi_mm: half of each axis; turn: (3, 3) as 9 numbers, body to reference."""

    name: str
    gray: float
    centre_mm: Vector
    semi_mm: Vector
    turn: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)

    @property
    def reach_mm(self) -> float:
        return max(self.semi_mm)

    @property
    def volume_ml(self) -> float:
        return 4.0 / 3.0 * math.pi * math.prod(self.semi_mm) / 1000.0

    def _own(self, points: Points) -> Points:
        turn = np.array(self.turn, points.dtype).reshape(3, 3)
        own: Points = (points - np.array(self.centre_mm, points.dtype)) @ turn
        return own

    def signed(self, points: Points) -> Points:
        """In units of the shortest half axis."""
        scaled = self._own(points) / np.array(self.semi_mm, points.dtype)
        size: Points = np.sqrt(np.einsum("...i,...i", scaled, scaled)) - 1.0
        return size

    def distance_mm(self, points: Points) -> Points:
        """By bisection on the multiplier t of the foot point e² p / (e² + t) (Eberly)."""
        p = np.maximum(np.abs(self._own(np.asarray(points, np.float64))), 1e-9)
        e2 = np.array(self.semi_mm) ** 2
        low = np.full(p.shape[:-1], -float(e2.min()) * (1 - 1e-12))
        high = np.linalg.norm(p, axis=-1) * max(self.semi_mm) + 1.0
        for _ in range(80):
            middle = (low + high) / 2
            feet = p / (e2 + middle[..., None])
            outside = np.einsum("...i,...i", feet * e2, feet) > 1.0
            low, high = np.where(outside, middle, low), np.where(outside, high, middle)
        feet = e2 * p / (e2 + high[..., None])
        away: Points = np.linalg.norm(p - feet, axis=-1)
        return away


@dataclass(frozen=True)
class Sphere:
    """All points nearer than `radius_mm` to its centre."""

    name: str
    gray: float
    centre_mm: Vector
    radius_mm: float

    @property
    def reach_mm(self) -> float:
        return self.radius_mm

    @property
    def volume_ml(self) -> float:
        return 4.0 / 3.0 * math.pi * self.radius_mm**3 / 1000.0

    def signed(self, points: Points) -> Points:
        """The distance itself."""
        away = points - np.array(self.centre_mm, points.dtype)
        size: Points = np.sqrt(np.einsum("...i,...i", away, away))
        size -= np.asarray(self.radius_mm, away.dtype)
        return size

    def distance_mm(self, points: Points) -> Points:
        """Exact."""
        return np.abs(self.signed(np.asarray(points, np.float64)))


@dataclass(frozen=True)
class BentTube:
    """All points nearer than `radius_mm` to an arc around `bend_mm`, in the plane y = bend_mm[1].

    The arc has the radius `bend_radius_mm` and goes from -half_angle to +half_angle about +x,
    towards z; its ends are round.
    """

    name: str
    gray: float
    bend_mm: Vector
    bend_radius_mm: float
    half_angle_rad: float
    radius_mm: float

    @property
    def centre_mm(self) -> Vector:
        x, y, z = self.bend_mm
        return x + self.bend_radius_mm * math.cos(self.half_angle_rad), y, z

    @property
    def reach_mm(self) -> float:
        a = self.half_angle_rad
        chord = max(math.sin(a), 1.0 - math.cos(a))
        return self.bend_radius_mm * chord + self.radius_mm

    @property
    def volume_ml(self) -> float:
        length = 2 * self.half_angle_rad * self.bend_radius_mm
        tube = math.pi * self.radius_mm**2 * length
        return (tube + 4.0 / 3.0 * math.pi * self.radius_mm**3) / 1000.0

    def signed(self, points: Points) -> Points:
        """The distance itself."""
        own = points - np.array(self.bend_mm, points.dtype)
        x, y, z = own[..., 0], own[..., 1], np.abs(own[..., 2])
        flat = np.hypot(x, z)
        end_x = math.cos(self.half_angle_rad) * self.bend_radius_mm
        end_z = math.sin(self.half_angle_rad) * self.bend_radius_mm
        beside = z * end_x > x * end_z  # beyond the end of the arc
        across = np.where(beside, np.hypot(x - end_x, z - end_z), flat - self.bend_radius_mm)
        size: Points = np.hypot(across, y)
        size -= np.asarray(self.radius_mm, own.dtype)
        return size

    def distance_mm(self, points: Points) -> Points:
        """Exact."""
        return np.abs(self.signed(np.asarray(points, np.float64)))
