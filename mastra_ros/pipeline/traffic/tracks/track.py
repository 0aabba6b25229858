"""One thing that is followed, and what those who count see of it."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .kalman import BoxFilter, to_box

Floats = NDArray[np.float64]

PLACES_KEPT = 64
SLOW_SIZES = 0.25
"""Below so many sizes a second a box is taken as standing, where no homography says better."""


@dataclass(frozen=True)
class TrackView:
    """A confirmed track in one frame; nothing without a number is ever seen by who counts.

    box: (4,) px, smoothed. found: whether it was found in this frame, or is only expected there.
    type: of most weight so far. new: this is its first frame as a confirmed one, `past` is where it
    had been until then: (stamp_ns, middle x, middle y, foot x, foot y), this frame included.
    """

    number: int
    stamp_ns: int
    box: Floats
    type: str
    score: float
    speed_px_s: tuple[float, float]
    found: bool
    past: tuple[tuple[int, float, float, float, float], ...]

    @property
    def middle(self) -> tuple[float, float]:
        return float(self.box[0] + self.box[2]) / 2, float(self.box[1] + self.box[3]) / 2

    @property
    def foot(self) -> tuple[float, float]:
        return float(self.box[0] + self.box[2]) / 2, float(self.box[3])

    @property
    def width_px(self) -> float:
        return float(self.box[2] - self.box[0])

    @property
    def height_px(self) -> float:
        return float(self.box[3] - self.box[1])

    @property
    def sizes_s(self) -> float:
        """Its speed in its own sizes a second."""
        size = max(1.0, math.sqrt(self.width_px * self.height_px))
        return float(np.hypot(*self.speed_px_s)) / size

    def anchor(self, name: str) -> tuple[float, float]:
        return self.foot if name == "foot" else self.middle


@dataclass
class Track:
    """What the tracker keeps of one; number 0 until it is confirmed."""

    filter: BoxFilter
    born_ns: int
    seen_ns: int
    number: int = 0
    hits: int = 1
    score: float = 0.0
    weights: dict[str, float] = field(default_factory=dict)
    places: deque[tuple[int, float, float, float, float]] = field(
        default_factory=lambda: deque(maxlen=PLACES_KEPT)
    )
    told: bool = False

    def note(self, stamp_ns: int, kind: str, score: float) -> None:
        """It was found in a frame, as of this type."""
        self.seen_ns = stamp_ns
        self.score = score
        self.weights[kind] = self.weights.get(kind, 0.0) + score
        self.remember(stamp_ns)

    def remember(self, stamp_ns: int) -> None:
        x, y, _, high = (float(v) for v in self.filter.place)
        self.places.append((stamp_ns, x, y, x, y + high / 2))

    @property
    def type(self) -> str:
        return max(self.weights, key=lambda kind: self.weights[kind])

    def view(self, stamp_ns: int, found: bool) -> TrackView:
        """What it is now; the first time with all that it has been before."""
        past = tuple(self.places) if not self.told else tuple(self.places)[-2:]
        self.told = True
        return TrackView(
            self.number,
            stamp_ns,
            to_box(self.filter.place),
            self.type,
            self.score,
            (float(self.filter.speed[0]), float(self.filter.speed[1])),
            found,
            past,
        )
