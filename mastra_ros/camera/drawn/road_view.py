"""A camera over a road: where a place in the world is in the picture, and back.

The world is in metres: x to the right, y away from the camera's foot, z up; the road is z = 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

NEAREST_M = 0.5
"""What is nearer to the camera's plane is not drawn."""


@dataclass(frozen=True)
class RoadView:
    """A pinhole camera `height_m` above the road, turned down by `tilt_deg` and to the right by
    `pan_deg`. `focal` is the focal length as a share of the picture's width."""

    width_px: int
    height_px: int
    height_m: float = 7.5
    tilt_deg: float = 17.0
    pan_deg: float = 0.0
    focal: float = 0.95
    x_m: float = 0.0
    y_m: float = 0.0

    @cached_property
    def matrix(self) -> Floats:
        """(3, 4): from homogeneous places in the world to homogeneous px."""
        tilt, pan = math.radians(self.tilt_deg), math.radians(self.pan_deg)
        ahead = np.array(
            [
                math.sin(pan) * math.cos(tilt),
                math.cos(pan) * math.cos(tilt),
                -math.sin(tilt),
            ]
        )
        right = np.array([math.cos(pan), -math.sin(pan), 0.0])
        down = np.cross(ahead, right)
        turn = np.stack([right, down, ahead])
        place = np.array([self.x_m, self.y_m, self.height_m])
        f = self.focal * self.width_px
        inner = np.array([[f, 0, self.width_px / 2], [0, f, self.height_px / 2], [0, 0, 1]])
        return np.asarray(inner @ np.hstack([turn, -(turn @ place)[:, None]]))

    @cached_property
    def ground(self) -> Floats:
        """(3, 3): from places on the road to px."""
        return self.matrix[:, [0, 1, 3]]

    def project(self, places: Floats) -> tuple[Floats, Floats]:
        """Px (n, 2) and distances (n,) in m along the camera's axis, of places (n, 3)."""
        seen = places @ self.matrix[:, :3].T + self.matrix[:, 3]
        far = seen[:, 2]
        return seen[:, :2] / np.maximum(far, 1e-6)[:, None], far

    def on_road(self, spots: Floats) -> Floats:
        """Places (n, 2) on the road, in m, of px (n, 2) below the horizon."""
        flat = np.hstack([spots, np.ones((len(spots), 1))]) @ np.linalg.inv(self.ground).T
        return np.asarray(flat[:, :2] / flat[:, 2:])
