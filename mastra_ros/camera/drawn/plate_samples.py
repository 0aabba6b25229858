"""Pictures with one drawn plate in a known place, to measure what can be rebuilt of it."""

from __future__ import annotations

import cv2
import numpy as np

from .plate_drawn import SIZE_PX, Image, draw_plate, draw_text

WIDE_PX = 128
"""Width of the plate; wide enough that each letter can be read with ease."""
WIDE_SHARE = 0.8
"""At most this share of the picture's width or height is the plate's."""

Box = tuple[int, int, int, int]
"""Left, top, right, bottom, px."""


class PlateSamples:
    """Pictures (height, width, 3), blue green red, each drawn anew by its number.

    All plates are of one country and lie in one place: to know it makes rebuilding easier.
    """

    def __init__(self, width_px: int, height_px: int, seed: int = 1) -> None:
        self.width_px, self.height_px, self._seed = width_px, height_px, seed
        ratio = SIZE_PX[1] / SIZE_PX[0]
        wide = int(min(WIDE_PX, WIDE_SHARE * width_px, WIDE_SHARE * height_px / ratio))
        high = max(1, round(wide * ratio))
        left, top = (width_px - wide) // 2, (height_px - high) // 2
        self.box: Box = (left, top, left + wide, top + high)

    def draw(self, number: int) -> tuple[Image, str]:
        """The picture of this number, and what stands on its plate."""
        rng = np.random.default_rng((self._seed, number))
        text = draw_text(rng)
        coarse = rng.integers(30, 220, (5, 7, 3)).astype(np.uint8)
        picture = cv2.resize(coarse, (self.width_px, self.height_px)).astype(np.float32)
        left, top, right, bottom = self.box
        size = (right - left, bottom - top)
        picture[top:bottom, left:right] = cv2.resize(
            draw_plate(text), size, interpolation=cv2.INTER_AREA
        )
        picture = picture * rng.uniform(0.6, 1.0) + rng.normal(0.0, 2.0, picture.shape)
        return np.asarray(np.clip(picture, 0, 255), np.uint8), text
