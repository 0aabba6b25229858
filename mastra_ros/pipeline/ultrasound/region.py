"""The part of a picture that shows tissue: a clip rectangle, and a fan inside it.

All in px of the picture, x to the right and y down, a pixel being its centre. Angles are measured
at the origin of the fan from the way down (+y), positive to the right (+x), as PLUS does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mastra_ros.errors import RecordError

SIDE_MAX = 16_384
ANGLE_MAX_DEG = 89.9
EDGE_PX = 1e-9
"""A pixel on the ray is inside, whatever the tangent rounds to."""


@dataclass(frozen=True)
class Fan:
    """What lies between two rays and two arcs around `origin_px`."""

    origin_px: tuple[float, float]
    start_deg: float
    stop_deg: float
    radius_start_px: float
    radius_stop_px: float

    def __post_init__(self) -> None:
        values = (*self.origin_px, self.start_deg, self.stop_deg)
        if not all(math.isfinite(v) and abs(v) <= SIDE_MAX * 16 for v in values):
            raise RecordError(f"fan: expected finite numbers, got {values}")
        if not -ANGLE_MAX_DEG <= self.start_deg < self.stop_deg <= ANGLE_MAX_DEG:
            raise RecordError(
                f"fan: expected -{ANGLE_MAX_DEG} <= start < stop <= {ANGLE_MAX_DEG} degrees, "
                f"got {self.start_deg} to {self.stop_deg}"
            )
        if not 0.0 <= self.radius_start_px < self.radius_stop_px <= SIDE_MAX * 16:
            raise RecordError(
                f"fan: expected radii 0 <= start < stop in px, got {self.radius_start_px} to "
                f"{self.radius_stop_px}"
            )

    def mask(self, width_px: int, height_px: int) -> NDArray[np.bool_]:
        """Which pixels lie inside: (height, width)."""
        x = np.arange(width_px)[None, :] - self.origin_px[0]
        y = np.arange(height_px)[:, None] - self.origin_px[1]
        square = x * x + y * y
        left, right = (math.tan(math.radians(a)) for a in (self.start_deg, self.stop_deg))
        near, far = self.radius_start_px**2, self.radius_stop_px**2
        return (
            (y >= 0)
            & (x >= left * y - EDGE_PX)
            & (x <= right * y + EDGE_PX)
            & (square >= near)
            & (square <= far)
        )


@dataclass(frozen=True)
class Region:
    """Where tissue is seen: the rectangle `clip_px` (x, y, width, height), and inside the fan."""

    clip_px: tuple[int, int, int, int]
    fan: Fan | None = None

    def __post_init__(self) -> None:
        x, y, wide, high = self.clip_px
        if not all(type(side) is int for side in self.clip_px):
            raise RecordError(f"clip: expected whole px, got {self.clip_px}")
        if not (0 <= x <= SIDE_MAX and 0 <= y <= SIDE_MAX):
            raise RecordError(f"clip: expected an origin of 0 to {SIDE_MAX} px, got {x}, {y}")
        if not (0 < wide <= SIDE_MAX and 0 < high <= SIDE_MAX):
            raise RecordError(f"clip: expected sides of 1 to {SIDE_MAX} px, got {wide}, {high}")

    def mask(self, width_px: int, height_px: int) -> NDArray[np.bool_]:
        """Which pixels of a picture of this size lie inside: (height, width)."""
        x, y, wide, high = self.clip_px
        inside = np.zeros((height_px, width_px), np.bool_)
        inside[y : y + high, x : x + wide] = True
        if self.fan is not None:
            inside &= self.fan.mask(width_px, height_px)
        return inside

    def polygon(self, width_px: int, height_px: int) -> str:
        """The rectangle as a polygon of `privacy.polygons`, which keeps its corners' pixels."""
        x, y, wide, high = self.clip_px
        left, top = x / width_px, y / height_px
        right = min(x + wide, width_px) - 1
        bottom = min(y + high, height_px) - 1
        if right < x or bottom < y:
            raise RecordError(
                f"clip: expected it inside a picture of {width_px}x{height_px} px, got "
                f"{self.clip_px}"
            )
        across, down = right / width_px, bottom / height_px
        corners = ((left, top), (across, top), (across, down), (left, down))
        return " ".join(f"{a!r},{b!r}" for a, b in corners)

    def to_map(self) -> dict[str, Any]:
        """As plain values."""
        fan = self.fan
        return {
            "clip_px": list(self.clip_px),
            "fan": None
            if fan is None
            else [
                *fan.origin_px,
                fan.start_deg,
                fan.stop_deg,
                fan.radius_start_px,
                fan.radius_stop_px,
            ],
        }

    @classmethod
    def from_map(cls, told: object) -> Region:
        """What `to_map` gave. RecordError for all else."""
        if not isinstance(told, Mapping):
            raise RecordError(f"region: expected a map, got {told!r:.80}")
        clip, fan = told.get("clip_px"), told.get("fan")
        if not (isinstance(clip, (list, tuple)) and len(clip) == 4):
            raise RecordError(f"region: expected clip_px of 4 whole px, got {clip!r:.80}")
        if fan is None:
            return cls(tuple(clip))
        numbers = floats(fan, 6, "fan")
        return cls(tuple(clip), Fan((numbers[0], numbers[1]), *numbers[2:]))


def floats(told: object, count: int, name: str) -> tuple[float, ...]:
    """So many finite numbers out of what a peer or a file says; RecordError for all else."""
    if not (isinstance(told, (list, tuple)) and len(told) == count):
        raise RecordError(f"{name}: expected {count} numbers, got {told!r:.80}")
    if not all(type(v) in (int, float) for v in told):
        raise RecordError(f"{name}: expected {count} numbers, got {told!r:.80}")
    try:
        numbers = tuple(float(v) for v in told)
    except OverflowError:
        numbers = (math.inf,)
    if not all(math.isfinite(v) for v in numbers):
        raise RecordError(f"{name}: expected {count} finite numbers, got {told!r:.80}")
    return numbers
