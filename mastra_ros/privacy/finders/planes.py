"""Pictures as networks take them, in memory that is used again.

New memory for each frame costs more than filling it: the system gives it out a page at a time.
"""

from __future__ import annotations

import cv2
import numpy as np

from .boxes import Floats
from .region import Image


class Planes:
    """For one network and one thread. multiple: of which the sides are, by black right and below.

    red_first: the colours turned round.
    """

    def __init__(self, multiple: int, *, red_first: bool = False) -> None:
        self._multiple = multiple
        self._order = (2, 1, 0) if red_first else (0, 1, 2)
        self._memory: Floats = np.empty(0, np.float32)

    def of(self, image: Image) -> Floats:
        """(1, 3, height, width) float32 of a picture of three colours; good until the next call."""
        high, wide = image.shape[:2]
        tall, across = high + -high % self._multiple, wide + -wide % self._multiple
        count = 3 * tall * across
        if self._memory.size < count:
            self._memory = np.empty(count, np.float32)
        made = self._memory[:count].reshape(1, 3, tall, across)
        colours = cv2.split(image)
        for plane, colour in zip(made[0], self._order, strict=True):
            plane[:high, :wide] = colours[colour]
            plane[high:] = 0.0
            plane[:, wide:] = 0.0
        return made
