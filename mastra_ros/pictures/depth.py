"""Bits of a pixel: from the camera's own depth to the full scale of a `Frame`, and to 8 bits.

A sensor of 12 bits fills 16 up to 4095 only, and nothing in the picture says so: taken as it is,
it is nearly black. So whoever makes a `Frame` of 16 bits stretches it to the full scale, once,
and all that comes after needs to know no depth. Models, codecs and viewers take 8 bits: 255/65535
of it, rounded, which is also what cv_bridge gives.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..config.pictures import PictureConfig
from ..errors import ConfigError, FrameError
from ..types import EIGHT_BIT, Frame

WHITE = 65_535
WATCHED_FRAMES = 30
"""So many pictures whose upper bits are 0 make a warning."""

DARK = WHITE >> 2
"""The brightest value of a picture whose two upper bits are 0."""

STRAY_SHARE = 0.001
"""Pixels above the depth given: so few are dead ones, more mean that the depth is wrong."""

Pixels = NDArray[np.uint8] | NDArray[np.uint16]


def eight_bits(frame: Frame) -> Frame:
    """The frame with 8 bits a channel; itself where it has no more."""
    if frame.encoding not in EIGHT_BIT:
        return frame
    image = np.asarray(cv2.convertScaleAbs(frame.image, alpha=255 / WHITE), np.uint8)
    return replace(frame, image=image, encoding=EIGHT_BIT[frame.encoding])


class PictureReader:
    """Brings the values of one stream of pictures to full scale, and notices when they look wrong.

    `doubt` says what looks wrong in a line for people; it is empty while nothing does, and again
    when that is over. ConfigError at birth where the range of floats is none.
    """

    def __init__(self, config: PictureConfig | None = None) -> None:
        config = config or PictureConfig()
        if not config.float_min < config.float_max:
            raise ConfigError(
                f"float_max: expected more than float_min, {config.float_min:g}, "
                f"got {config.float_max:g}"
            )
        self._bits = config.bit_depth
        self._low, self._high = config.float_min, config.float_max
        self._deeper = False  # than the depth given
        self._dark = 0  # pictures in a row
        self._peak = 0  # of those, as it came
        self._bright = False  # seen once
        self.doubt = ""

    def take(self, image: NDArray[Any]) -> Pixels:
        """uint8 as it is; uint16 stretched from `bit_depth`, float32 from its range, to 65535.

        FrameError for another type.
        """
        if image.dtype == np.uint8:
            return image
        if image.dtype == np.uint16:
            return self._stretched(image)
        if image.dtype == np.float32:
            return self._from_floats(image)
        raise FrameError(f"image: expected values of uint8, uint16 or float32, got {image.dtype}")

    def _stretched(self, image: NDArray[np.uint16]) -> NDArray[np.uint16]:
        white = (1 << self._bits) - 1
        if self._bright and (self._bits == 16 or self._deeper):
            return image  # nothing to find out, nothing to do
        peak = int(image.max())
        if peak > white and not self._deeper:
            self._deeper = int(np.count_nonzero(image > white)) > STRAY_SHARE * image.size
        if self._deeper:
            white = WHITE
            self.doubt = (
                f"pictures of 16 bits have values up to {peak}, more than {(1 << self._bits) - 1}, "
                f"the white of bit_depth {self._bits}; they are taken as full 16 bits"
            )
            self._bright = True
            return image
        if not self._bright:
            self._watch(peak, white)
        if white == WHITE:
            return image
        return np.asarray(cv2.addWeighted(image, WHITE / white, image, 0.0, 0.0), np.uint16)

    def _watch(self, peak: int, white: int) -> None:
        if peak * WHITE > DARK * white:
            self._bright = True
            self.doubt = ""
        elif peak:  # with the lid on, there is nothing to learn
            self._dark += 1
            self._peak = max(self._peak, peak)
            if self._dark == WATCHED_FRAMES:
                self.doubt = (
                    f"the upper bits of 16 are 0 in {WATCHED_FRAMES} pictures, which go up to "
                    f"{self._peak} only where {white} is white: set bit_depth to what the camera "
                    "has, such as 10, 12 or 14"
                )

    def _from_floats(self, image: NDArray[np.float32]) -> NDArray[np.uint16]:
        low, high = self._low, self._high
        scale = WHITE / (high - low)
        with np.errstate(invalid="ignore", over="ignore"):
            values = (image - np.float32(low)) * np.float32(scale)
        # NaN becomes black, infinity white or black.
        values = np.clip(np.nan_to_num(values, nan=0.0, posinf=WHITE, neginf=0.0), 0, WHITE)
        outside = np.count_nonzero((image < low) | (image > high)) / image.size
        self.doubt = (
            f"{outside:.0%} of a picture of floats lie outside {low:g} to {high:g}: "
            "set float_min and float_max"
            if outside > 0.5
            else ""
        )
        return np.asarray(np.rint(values), np.uint16)
