"""What a finder gives: regions of a picture, and the interface of those who find them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ...errors import FrameError

Image = NDArray[np.uint8]
"""(height, width) gray or (height, width, 3) in the order blue, green, red."""

FACE, PLATE, HEAD, BAND, PERSON, VEHICLE = "face", "plate", "head", "band", "person", "vehicle"
"""Kinds of regions. face, plate, head: found by their own look. person, vehicle: objects of the
task's own detector, of which `bands.py` makes a head or a band where nothing was found inside."""


@dataclass(frozen=True)
class Region:
    """A rectangle in px of the picture; it may reach beyond its borders. `score`: 0 to 1.

    FrameError for what is no rectangle (NaN, infinite, without area): a finder that says such a
    thing is broken, and the frame is not to be believed clean.
    """

    x: float
    y: float
    width: float
    height: float
    kind: str
    score: float = 1.0

    def __post_init__(self) -> None:
        sides = (self.x, self.y, self.width, self.height)
        if not all(math.isfinite(side) for side in sides):
            raise FrameError(f"region: expected finite px, got {sides}")
        if self.width <= 0 or self.height <= 0:
            raise FrameError(f"region: expected an area, got {self.width:g}x{self.height:g} px")
        if not 0.0 <= self.score <= 1.0:
            raise FrameError(f"region: expected a score of 0 to 1, got {self.score}")

    @property
    def area_px(self) -> float:
        """Its area, what lies beyond the picture's borders included."""
        return self.width * self.height

    def widened(self, share: float) -> Region:
        """Grown about its middle by this share of its sides."""
        grown_x, grown_y = share * self.width, share * self.height
        return Region(
            self.x - grown_x / 2,
            self.y - grown_y / 2,
            self.width + grown_x,
            self.height + grown_y,
            self.kind,
            self.score,
        )

    def overlap_px(self, other: Region) -> float:
        """The area that both share."""
        wide = min(self.x + self.width, other.x + other.width) - max(self.x, other.x)
        high = min(self.y + self.height, other.y + other.height) - max(self.y, other.y)
        return max(0.0, wide) * max(0.0, high)

    def iou(self, other: Region) -> float:
        """Intersection over union, 0 to 1."""
        both = self.overlap_px(other)
        return both / (self.area_px + other.area_px - both)


WHOLE_RATIO, PART_RATIO = 2.0, 3.3
"""A plate between these, as multiples of its height, may be one of two to one of which a line of
words above or below was not seen; more than that is one long line."""


def mask_of(r: Region, widen: float) -> Region:
    """What is hidden for a region that was found: a little more than it.

    A plate is made as high as one of its width has to be, where a line of it may have been missed.
    """
    if r.kind == PLATE and WHOLE_RATIO < r.width / r.height < PART_RATIO:
        high = r.width / WHOLE_RATIO
        r = Region(r.x, r.y - (high - r.height) / 2, r.width, high, r.kind, r.score)
    return r.widened(widen)


class Finder(Protocol):
    """Finds what is private in one picture.

    `find` takes uint8, (height, width, 3) BGR or (height, width) gray, and must not change or keep
    it. It is called from one thread at a time, which need not be the one that made it. Whatever it
    raises, the frame does not leave; so it may raise whatever it likes. It gives the boxes as
    found, from `score_min` on: widening them is the gate's affair.
    """

    name: str
    """As `privacy.finders` names it."""
    digest: str
    """Of what decides its answers (its model file's SHA-256 will do): a part of the clearance."""

    def find(self, image: Image) -> list[Region]:
        """All that it finds, in px of `image`."""

    def close(self) -> None:
        """Free the model; called once, and never during `find`."""
