"""The live picture: what the probe sees now, as an ultrasound machine shows it.

Gain, gain by depth (TGC), depth, freeze, calipers in mm, a marker of the probe's marked side, and
on every picture that this is no medical device. Drawing waits for nobody.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mastra_ros.config.ultrasound import DB_MAX, Point
from mastra_ros.errors import ConfigError
from mastra_ros.pipeline.overlay import BAR, DARK, INK, Colour, with_captions
from mastra_ros.pipeline.ultrasound.banner import BANNER
from mastra_ros.pipeline.ultrasound.region import Region

Image = NDArray[np.uint8]
RANGE_DB = 60.0
"""Pictures are echoes in dB over so much of a range: 255 gray levels."""
WIDTH_MIN_PX = 640
"""Smaller pictures are shown larger, or nobody could read what stands on them."""
BANNER_BAR: Colour = (0, 200, 255)
WARNING_BAR: Colour = (40, 30, 170)
CALIPER: Colour = (0, 255, 255)
MARKER: Colour = (90, 220, 90)


@dataclass(frozen=True)
class LiveSettings:
    """How it is shown. tgc_db: gain from the face of the probe to the greatest depth, evenly.

    depth_mm: 0 shows all. calipers: pairs of points in px of the picture.
    """

    gain_db: float = 0.0
    tgc_db: tuple[float, ...] = ()
    depth_mm: float = 0.0
    freeze: bool = False
    marker: str = "left"  # left, right, off
    calipers: tuple[tuple[Point, Point], ...] = ()
    spacing_mm: tuple[float, float] | None = None
    region: Region | None = None

    def __post_init__(self) -> None:
        if not all(math.isfinite(g) and abs(g) <= DB_MAX for g in (self.gain_db, *self.tgc_db)):
            raise ConfigError(f"gain: expected -{DB_MAX:g} to {DB_MAX:g} dB, got {self.tgc_db}")


def distance_mm(first: Point, second: Point, spacing_mm: tuple[float, float]) -> float:
    """Between two points of a picture."""
    return math.hypot(
        (second[0] - first[0]) * spacing_mm[0], (second[1] - first[1]) * spacing_mm[1]
    )


class LiveView:
    """Draws pictures by its settings; the last one again while they are frozen."""

    def __init__(self, settings: LiveSettings | None = None) -> None:
        self._settings = settings or LiveSettings()
        self._gain: NDArray[np.int16] | None = None
        self._inside: NDArray[np.uint8] | None = None
        self._shape: tuple[int, ...] = ()
        self._frozen: Image | None = None

    def configure(self, settings: LiveSettings) -> None:
        """From the next picture on."""
        self._settings = settings
        self._shape = ()
        if not settings.freeze:
            self._frozen = None

    def draw(self, picture: Image, status: str = "", warnings: Sequence[str] = ()) -> Image:
        """uint8 (height, width) to uint8 (height + bars, width, 3) BGR.

        status: one line on what goes on; warnings: a line each, in red.
        """
        s = self._settings
        if s.freeze and self._frozen is not None and self._frozen.shape == picture.shape:
            picture = self._frozen
        elif s.freeze:
            self._frozen = picture.copy()
        shown = self._amplified(picture)
        shown, scale, offset = self._cropped(shown)
        canvas = np.asarray(cv2.cvtColor(shown, cv2.COLOR_GRAY2BGR), np.uint8)
        self._mark(canvas)
        for first, second in s.calipers:
            self._measure(canvas, first, second, scale, offset)
        words = "FROZEN  " * s.freeze + status
        bars = [(BANNER, BANNER_BAR), (words or " ", BAR)]
        return with_captions(canvas, [*bars, *((line, WARNING_BAR) for line in warnings)])

    def _amplified(self, picture: Image) -> Image:
        if picture.shape != self._shape:
            self._prepare(*picture.shape[:2])
        if self._gain is not None:
            picture = np.asarray(cv2.add(picture, self._gain, dtype=cv2.CV_8U), np.uint8)
        if self._inside is not None:
            picture = np.asarray(cv2.bitwise_and(picture, self._inside), np.uint8)
        return picture

    def _prepare(self, height: int, width: int) -> None:
        """The gain of each pixel in gray levels, and what lies inside the region."""
        s = self._settings
        self._shape = (height, width)
        self._inside = None
        if s.region is not None:
            self._inside = np.where(s.region.mask(width, height), 255, 0).astype(np.uint8)
        self._gain = None
        if s.gain_db or any(s.tgc_db):
            gain = np.full((height, width), s.gain_db)
            if s.tgc_db:
                steps = np.linspace(0, 1, len(s.tgc_db))
                gain += np.interp(self._depths(height, width), steps, s.tgc_db)
            self._gain = np.round(gain * (255 / RANGE_DB)).astype(np.int16)

    def _depths(self, height: int, width: int) -> NDArray[np.float64]:
        """0 at the face of the probe, 1 at the greatest depth, for each pixel."""
        region = self._settings.region
        if region is None or region.fan is None:
            top = 0 if region is None else region.clip_px[1]
            deep = height - top if region is None else region.clip_px[3]
            rows = (np.arange(height) - top) / max(1, deep - 1)
            return np.broadcast_to(rows[:, None], (height, width))
        fan = region.fan
        x = np.arange(width)[None, :] - fan.origin_px[0]
        y = np.arange(height)[:, None] - fan.origin_px[1]
        away: NDArray[np.float64] = (np.hypot(x, y) - fan.radius_start_px) / (
            fan.radius_stop_px - fan.radius_start_px
        )
        return away

    def _cropped(self, picture: Image) -> tuple[Image, float, Point]:
        """To the depth asked for, and large enough; how px become px of what is shown."""
        s = self._settings
        height, width = picture.shape
        left = top = 0
        grown = 1.0
        if s.depth_mm > 0 and s.spacing_mm is not None:
            rows = min(height, max(8, round(s.depth_mm / s.spacing_mm[1])))
            columns = max(8, round(width * rows / height))
            left = (width - columns) // 2
            picture = picture[:rows, left : left + columns]
            grown = height / rows
        scale = grown * max(1, math.ceil(WIDTH_MIN_PX / width))
        if scale != 1.0:
            size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
            picture = np.asarray(
                cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR), np.uint8
            )
        return picture, scale, (float(left), float(top))

    def _mark(self, canvas: Image) -> None:
        """A dot on the marked side of the probe."""
        side = self._settings.marker
        if side in ("left", "right"):
            away = max(8, canvas.shape[1] // 40)
            x = away if side == "left" else canvas.shape[1] - away
            cv2.circle(canvas, (x, away), max(4, away // 2), MARKER, -1, cv2.LINE_AA)

    def _measure(
        self, canvas: Image, first: Point, second: Point, scale: float, offset: Point
    ) -> None:
        ends = [
            (round((x - offset[0]) * scale), round((y - offset[1]) * scale))
            for x, y in (first, second)
        ]
        for end in ends:
            cv2.drawMarker(canvas, end, CALIPER, cv2.MARKER_CROSS, 12, 1)
        cv2.line(canvas, ends[0], ends[1], CALIPER, 1, cv2.LINE_AA)
        spacing = self._settings.spacing_mm
        text = "no scale" if spacing is None else f"{distance_mm(first, second, spacing):.1f} mm"
        at = (ends[1][0] + 6, ends[1][1] - 6)
        cv2.putText(canvas, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.5, DARK, 3, cv2.LINE_AA)
        cv2.putText(canvas, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.5, INK, 1, cv2.LINE_AA)
