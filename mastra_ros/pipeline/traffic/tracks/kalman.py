"""A Kalman filter of a box: middle and size, each with its speed; frames may come at any times.

All four run through the same filter of place and speed (white noise of acceleration), and only
their scale differs, so one covariance of 2 x 2 serves all.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MEASURED = 0.04
"""Error of a found box, as a share of its size."""
PUSH = 1.6
"""Acceleration in sizes a second squared."""
FIRST_SPEED = 2.5
"""Speed that a new one may have, in sizes a second."""


@dataclass
class BoxFilter:
    """place: (4,) middle x, y, width, height in px; speed: (4,) px/s."""

    place: Floats
    speed: Floats = field(default_factory=lambda: np.zeros(4))
    p00: float = MEASURED**2
    p01: float = 0.0
    p11: float = FIRST_SPEED**2

    @classmethod
    def of(cls, box: Floats) -> BoxFilter:
        """Begin with a box x1 y1 x2 y2."""
        return cls(to_place(box))

    def ahead(self, dt_s: float) -> Floats:
        """The box that is expected so much later; changes nothing."""
        place = self.place + self.speed * dt_s
        place[2:] = np.maximum(place[2:], 0.4 * self.place[2:])
        return to_box(place)

    def predict(self, dt_s: float) -> None:
        """Go on to the time of the next frame."""
        self.place = self.place + self.speed * dt_s
        self.place[2:] = np.maximum(self.place[2:], 1.0)
        noise = PUSH**2
        self.p00 += 2 * dt_s * self.p01 + dt_s**2 * self.p11 + noise * dt_s**4 / 4
        self.p01 += dt_s * self.p11 + noise * dt_s**3 / 2
        self.p11 += noise * dt_s**2

    def update(self, box: Floats, trust: float = 1.0) -> None:
        """Take in what was found; trust below 1: of low score, or cut by the border."""
        apart = to_place(box) - self.place
        spread = self.p00 + (MEASURED / max(trust, 0.1)) ** 2
        gain0, gain1 = self.p00 / spread, self.p01 / spread
        self.place = self.place + gain0 * apart
        self.speed = self.speed + gain1 * apart
        self.speed[2:] = np.clip(self.speed[2:], -self.place[2:], self.place[2:])
        self.p11 -= gain1 * self.p01
        self.p01 -= gain0 * self.p01
        self.p00 -= gain0 * self.p00


def to_place(box: Floats) -> Floats:
    x1, y1, x2, y2 = (float(v) for v in box)
    return np.array([(x1 + x2) / 2, (y1 + y2) / 2, max(x2 - x1, 1.0), max(y2 - y1, 1.0)])


def to_box(place: Floats) -> Floats:
    x, y, w, h = (float(v) for v in place)
    return np.array([x - w / 2, y - h / 2, x + w / 2, y + h / 2])
