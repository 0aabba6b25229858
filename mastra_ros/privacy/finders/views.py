"""The part of a picture around what was taken for a plate, as the network that looks twice sees it.

All views have one size, so that many go through the network at once; a plate of any proportions
lies whole in its view, with some of what is around it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .region import Image, Region

VIEW_PX = (96, 48)
"""Width and height of a view."""
SPREAD = 1.8
"""A view is so many times as wide as the plate in it, or as LONG times its height."""
LONG = 1.6


@dataclass(frozen=True)
class View:
    """A rectangle of a picture about x, y; `step`: px of the picture a px of the view."""

    x: float
    y: float
    step: float

    @classmethod
    def of(cls, r: Region) -> View:
        """Around a region."""
        wide = SPREAD * max(r.width, LONG * r.height)
        return cls(r.x + r.width / 2, r.y + r.height / 2, wide / VIEW_PX[0])

    def cut(self, image: Image) -> NDArray[np.uint8]:
        """(48, 96, 3) of a picture of three colours; its border goes on beyond it."""
        wide, high = VIEW_PX
        step = self.step
        if step > 1.0:  # made smaller by means over areas, or the letters become noise
            left, top = self.x - wide * step / 2, self.y - high * step / 2
            a, b = round(left), round(top)
            c, d = round(left + wide * step), round(top + high * step)
            tall, across = image.shape[:2]
            part = image[max(0, b) : max(0, d), max(0, a) : max(0, c)]
            pads = (max(0, -b), max(0, d - tall), max(0, -a), max(0, c - across))
            if any(pads) and part.size:
                part = np.asarray(cv2.copyMakeBorder(part, *pads, cv2.BORDER_REPLICATE), np.uint8)
            if part.size:
                return np.asarray(cv2.resize(part, VIEW_PX, interpolation=cv2.INTER_AREA), np.uint8)
        move = np.array(
            [
                [step, 0, self.x - (wide / 2) * step + (step - 1) / 2],
                [0, step, self.y - (high / 2) * step + (step - 1) / 2],
            ]
        )
        made = cv2.warpAffine(
            image,
            move,
            VIEW_PX,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return np.asarray(made, np.uint8)

    def placed(self, corners: NDArray[np.float32]) -> NDArray[np.float32]:
        """Points (..., 2), in shares of half a view from its middle, as px of the picture."""
        half = np.array(VIEW_PX, np.float32) / 2 * self.step
        return np.asarray(corners * half + np.array((self.x, self.y)), np.float32)
