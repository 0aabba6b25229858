"""The drawn crossing: pictures of it one after the other, and what is true of each.

Frames come in order from 0; a frame of a seed is always the same picture. All in the picture is
known: who is where, of which type, how fast, with which plate, and who went over the line `near`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from ...errors import ConfigError
from ...types import MAX_SIDE_PX
from .crossing_ground import draw_ground, draw_signals
from .junction_layout import signal
from .junction_traffic import Passage, Rider, Traffic
from .road_view import RoadView

Image = NDArray[np.uint8]
Box = tuple[float, float, float, float]

WARM_UP_S = 40.0
"""The crossing has been in use for so long when the first picture is taken."""
_SHIFT_PX = 61
_NOISE = 2.5
LIGHTS = {"day": 1.0, "night": 0.38}


@dataclass(frozen=True)
class CrossingOptions:
    """How the crossing looks; checked at birth (ConfigError)."""

    seed: int = 1
    width_px: int = 640
    height_px: int = 360
    vehicles_per_minute: float = 45.0
    light: str = "day"  # or night
    rate_hz: float = 15.0
    encoding: str = "bgr8"

    def __post_init__(self) -> None:
        wrong = []
        if self.seed < 0:
            wrong.append(f"seed: expected 0 or more, got {self.seed}")
        for name, side in (("width", self.width_px), ("height", self.height_px)):
            if not 160 <= side <= MAX_SIDE_PX:
                wrong.append(f"{name}: expected 160 to {MAX_SIDE_PX} px, got {side}")
        if not 0 <= self.vehicles_per_minute <= 200:
            wrong.append(
                f"vehicles_per_minute: expected 0 to 200, got {self.vehicles_per_minute:g}"
            )
        if self.light not in LIGHTS:
            wrong.append(f"light: expected day or night, got {self.light!r}")
        if not 0 < self.rate_hz <= 1000:
            wrong.append(f"rate_hz: expected 0 to 1000 Hz, got {self.rate_hz:g}")
        if self.encoding != "bgr8":
            wrong.append(f"encoding: expected bgr8, got {self.encoding!r}")
        if wrong:
            raise ConfigError(f"synthetic crossing: {'; '.join(wrong)}")

    @property
    def view(self) -> RoadView:
        """The camera: 7.5 m up; the picture may have any shape."""
        return RoadView(self.width_px, self.height_px, 7.5, tilt_deg=20.0)


@dataclass(frozen=True)
class RoadObject:
    """One in the picture: its box in px, cut at the border, and its plate's corners (4 x, y)."""

    number: int
    type: str
    lane: str
    box: Box
    speed_kmh: float
    x_m: float
    y_m: float
    plate: str = ""
    plate_px: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class CrossingTruth:
    """What picture `index` shows; objects from far to near, so a later one may hide one before.

    passed: how many had gone over the line `near` by then.
    """

    index: int
    at_s: float
    objects: tuple[RoadObject, ...]
    main_signal: str
    passed: int


class Crossing:
    """Draws the frames of a crossing. Not for two threads."""

    def __init__(self, options: CrossingOptions) -> None:
        self.options = options
        self.view = options.view
        self._light = LIGHTS[options.light]
        self._ground = draw_ground(self.view, options.seed, self._light)
        gauss = np.random.default_rng([options.seed, 0x6E]).standard_normal(
            (options.height_px + _SHIFT_PX, options.width_px + _SHIFT_PX)
        )
        self._noise = np.clip(np.round(gauss * _NOISE + 0.5), 0, 255).astype(np.uint8)
        self._noise = np.repeat(self._noise[..., None], 3, axis=2)
        self._start()

    def _start(self) -> None:
        self.traffic = Traffic(self.options.seed, self.options.vehicles_per_minute)
        self.traffic.step(WARM_UP_S)
        self._began = self.traffic.passed
        self._index = 0

    @property
    def passages(self) -> list[Passage]:
        """All over the line `near` since the first picture (the newest 4096); times from there."""
        count = self.traffic.passed - self._began
        newest = self.traffic.passages[max(0, len(self.traffic.passages) - count) :]
        return [replace(p, at_s=p.at_s - WARM_UP_S) for p in newest] if count else []

    def frame(self, index: int) -> tuple[Image, CrossingTruth]:
        """Picture `index` (height, width, 3) and its truth; quick where it is the next."""
        if index < self._index:
            self._start()
        while self._index < index:
            self.traffic.step(1 / self.options.rate_hz)
            self._index += 1
        image = self._ground.copy()
        draw_signals(image, self.view, self.traffic.at_s)
        objects = []
        riders = sorted(self.traffic.riders, key=lambda r: -math.hypot(r.place[0], r.place[1]))
        for rider in riders:
            seen = self._paint(image, rider)
            if seen is not None:
                objects.append(seen)
        dy, dx = np.random.default_rng([self.options.seed, index]).integers(0, _SHIFT_PX, 2)
        noise = self._noise[dy : dy + self.options.height_px, dx : dx + self.options.width_px]
        cv2.add(image, noise, dst=image)
        truth = CrossingTruth(
            index,
            self.traffic.at_s - WARM_UP_S,
            tuple(objects),
            signal("main", self.traffic.at_s),
            self.traffic.passed - self._began,
        )
        return image, truth

    def _paint(self, image: Image, rider: Rider) -> RoadObject | None:
        x, y, heading = rider.place
        if y < 1.0:
            return None
        painted = rider.body.paint(
            image, self.view, x, y, heading, self._light, lamps=self._light < 0.6
        )
        if painted is None:
            return None
        wide, high = self.options.width_px, self.options.height_px
        left, top, right, bottom = painted.box
        box = (max(left, 0.0), max(top, 0.0), min(right, float(wide)), min(bottom, float(high)))
        plate = painted.plate
        return RoadObject(
            rider.number,
            rider.kind,
            rider.way.lane,
            box,
            rider.mps * 3.6,
            x,
            y,
            rider.plate,
            () if plate is None else tuple((float(a), float(b)) for a, b in plate),
        )
