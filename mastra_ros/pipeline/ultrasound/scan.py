"""Scan conversion: the echoes along the lines of a probe become a picture.

Lines are (lines, samples) uint8, sample 0 at the face of the probe. A curved probe's lines leave a
common centre, which lies `radius_start_mm` above the middle of its face; a linear probe's are
parallel. All is done as PLUS does it, which differs between the two. Of a curved probe each pixel
is interpolated between its four neighbours in double precision and rounded half up; samples lie
(stop - start) / samples apart and lines the angle / (lines - 1): of PLUS's example pictures every
pixel is the same. Of a linear probe each pixel is that of the nearest line and sample, which lie
width / lines and depth / samples apart, the line of number lines // 2 in the middle.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mastra_ros.errors import ConfigError, FrameError, RecordError
from mastra_ros.pipeline.ultrasound.region import Fan, Region, floats

SIDE_MAX = 4096
HALF = 0.5 + 2.0**-17
"""Half a line: what lies in the middle of two within this belongs to the later one, as in VTK."""


@dataclass(frozen=True)
class ScanGeometry:
    """What a picture of `size_px` (width, height) shows.

    face_px: where the middle of the probe's face is. A curved probe has angles and radii, a linear
    one (radius_start_mm = radius_stop_mm = 0) has a width and a depth.
    """

    size_px: tuple[int, int]
    face_px: tuple[float, float]
    spacing_mm: tuple[float, float]
    radius_start_mm: float = 0.0
    radius_stop_mm: float = 0.0
    theta_start_deg: float = 0.0
    theta_stop_deg: float = 0.0
    width_mm: float = 0.0
    depth_mm: float = 0.0

    def __post_init__(self) -> None:
        if not all(type(side) is int and 0 < side <= SIDE_MAX for side in self.size_px):
            raise ConfigError(f"scan: expected sides of 1 to {SIDE_MAX} px, got {self.size_px}")
        if not all(1e-4 <= side <= 100 for side in self.spacing_mm):
            raise ConfigError(f"scan: expected 0.0001 to 100 mm a pixel, got {self.spacing_mm}")
        if self.curved:
            if not 0 < self.radius_start_mm < self.radius_stop_mm:
                raise ConfigError(
                    "scan: expected radii 0 < start < stop in mm, got "
                    f"{self.radius_start_mm} to {self.radius_stop_mm}"
                )
            if not -180 < self.theta_start_deg < self.theta_stop_deg < 180:
                raise ConfigError(
                    "scan: expected angles start < stop within 180 degrees, got "
                    f"{self.theta_start_deg} to {self.theta_stop_deg}"
                )
        elif not (self.width_mm > 0 and self.depth_mm > 0):
            raise ConfigError(
                "scan: expected a width and a depth above 0 mm, got "
                f"{self.width_mm} and {self.depth_mm}"
            )

    @property
    def curved(self) -> bool:
        """Whether the lines leave one centre."""
        return self.radius_stop_mm != 0 or self.radius_start_mm != 0

    @property
    def region(self) -> Region:
        """Where in the picture tissue is seen."""
        width, height = self.size_px
        x, y = self.face_px
        if not self.curved:
            half = self.width_mm / 2 / self.spacing_mm[0]
            left, top = max(0, math.ceil(x - half)), max(0, math.ceil(y))
            right = min(width - 1, math.floor(x + half))
            bottom = min(height - 1, math.floor(y + self.depth_mm / self.spacing_mm[1]))
            return Region((left, top, right - left + 1, bottom - top + 1))
        side = self.spacing_mm[0]
        fan = Fan(
            (x, y - self.radius_start_mm / self.spacing_mm[1]),
            max(self.theta_start_deg, -89.9),
            min(self.theta_stop_deg, 89.9),
            self.radius_start_mm / side,
            self.radius_stop_mm / side,
        )
        return Region((0, 0, width, height), fan)


def geometry_from_plus(scan: Mapping[str, str]) -> ScanGeometry:
    """Out of the attributes of PLUS's ScanConversion. ConfigError where they make no sense."""

    def numbers(name: str, count: int, default: str = "") -> tuple[float, ...]:
        text = scan.get(name, default)
        try:
            return floats([float(word) for word in text.split()], count, name)
        except (ValueError, RecordError):
            raise ConfigError(f"scan: {name}: expected {count} numbers, got {text!r}") from None

    width, height = (int(side) for side in numbers("OutputImageSizePixel", 2))
    # PLUS counts the middle of 820 columns as 410: the one between columns 409 and 410.
    spacing = numbers("OutputImageSpacingMmPerPixel", 2)
    kind = scan.get("TransducerGeometry", "").upper()
    curved = kind == "CURVILINEAR"
    face_y = 0.0
    if curved and spacing[1]:
        # Where nothing is said, the centre of the curve is in the first row.
        above_mm = numbers("OutputImageStartDepthMm", 1, "0")[0]
        face_y = (numbers("RadiusStartMm", 1)[0] - above_mm) / spacing[1]
    x, y = numbers("TransducerCenterPixel", 2, f"{width / 2} {face_y}")
    face = (x - 0.5 if curved else x, y)
    made = {"size_px": (width, height), "face_px": face, "spacing_mm": spacing[:2]}
    if kind == "CURVILINEAR":
        names = {
            "radius_start_mm": "RadiusStartMm",
            "radius_stop_mm": "RadiusStopMm",
            "theta_start_deg": "ThetaStartDeg",
            "theta_stop_deg": "ThetaStopDeg",
        }
    elif kind == "LINEAR":
        names = {"width_mm": "TransducerWidthMm", "depth_mm": "ImagingDepthMm"}
    else:
        raise ConfigError(f"scan: expected the geometry CURVILINEAR or LINEAR, got {kind!r}")
    return ScanGeometry(**made, **{k: numbers(n, 1)[0] for k, n in names.items()})  # type: ignore[arg-type]


class ScanConverter:
    """Makes pictures by one geometry; tables are made once for each shape of lines."""

    def __init__(self, geometry: ScanGeometry) -> None:
        self.geometry = geometry
        self._shape: tuple[int, ...] = ()
        self._at: NDArray[np.intp] = np.zeros(0, np.intp)  # pixels that show something
        self._first: NDArray[np.intp] = np.zeros(0, np.intp)  # their first neighbour
        self._weights: list[NDArray[np.float64]] = []

    def convert(self, lines: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(lines, samples) to (height, width); 0 where nothing is seen. FrameError."""
        if lines.ndim != 2 or lines.dtype != np.uint8 or min(lines.shape) < 2:
            raise FrameError(
                f"scan: expected uint8 of at least 2 lines and 2 samples, got {lines.dtype} "
                f"{lines.shape}"
            )
        if lines.shape != self._shape:
            self._prepare(*lines.shape)
        flat, step = np.ascontiguousarray(lines).ravel(), lines.shape[1]
        width, height = self.geometry.size_px
        picture = np.zeros(width * height, np.uint8)
        if not self.geometry.curved:
            picture[self._at] = flat[self._first]
            return picture.reshape(height, width)
        value = self._weights[0] * flat[self._first]
        for weight, offset in zip(self._weights[1:], (1, step, step + 1), strict=True):
            value += weight * flat[self._first + offset]
        value += 0.5
        picture[self._at] = value.astype(np.uint8)
        return picture.reshape(height, width)

    def _prepare(self, lines: int, samples: int) -> None:
        g = self.geometry
        x = (np.arange(g.size_px[0]) - g.face_px[0])[None, :] * g.spacing_mm[0]
        y = (np.arange(g.size_px[1]) - g.face_px[1])[:, None] * g.spacing_mm[1]
        self._shape = (lines, samples)
        if not g.curved:
            self._nearest(x / g.width_mm * lines + lines // 2, y / g.depth_mm * samples)
            return
        y = y + g.radius_start_mm
        reach = g.radius_stop_mm - g.radius_start_mm
        sample = (np.hypot(x, y) - g.radius_start_mm) / reach * samples
        start, stop = math.radians(g.theta_start_deg), math.radians(g.theta_stop_deg)
        line = (np.arctan2(x, y) - start) / (stop - start) * (lines - 1)
        seen = (sample >= 0) & (sample < samples - 1) & (line >= 0) & (line < lines - 1)
        sample, line = sample[seen], line[seen]
        left = np.minimum(np.floor(sample).astype(np.intp), samples - 2)
        upper = np.minimum(np.floor(line).astype(np.intp), lines - 2)
        along, across = sample - left, line - upper
        self._at = np.flatnonzero(seen)
        self._first = upper * samples + left
        self._weights = [
            (1 - along) * (1 - across),
            along * (1 - across),
            (1 - along) * across,
            along * across,
        ]

    def _nearest(self, line: NDArray[Any], sample: NDArray[Any]) -> None:
        """Of a row of lines and a column of samples, told in parts of them."""
        lines, samples = self._shape
        seen = (
            (line >= -HALF)
            & (line <= lines - 1 + HALF)
            & (sample >= -HALF)
            & (sample <= samples - 1 + HALF)
        )
        row = np.clip(np.floor(line + HALF).astype(np.intp), 0, lines - 1)
        column = np.clip(np.floor(sample + HALF).astype(np.intp), 0, samples - 1)
        self._at = np.flatnonzero(seen)
        self._first = (row * samples + column)[seen]
