"""Turns a picture as its recording says it is to be shown.

A phone's video lies as the sensor does; a matrix beside it says how to show it (ISO/IEC 14496-12,
8.3.2, the matrix of a track), and FFmpeg hands it on with every picture.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Matrix = Sequence[int]
"""Nine numbers, row by row: (x, y, 1) of the picture times it is the place where it is shown."""

UPRIGHT = (1, 0, 0, 0, 1, 0, 0, 0, 1)
_NINE = struct.Struct("=9i")


def read_matrix(data: bytes) -> Matrix:
    """The matrix in FFmpeg's side data, or the one that turns nothing where there is none."""
    return _NINE.unpack(data) if len(data) == _NINE.size else UPRIGHT


def turn_upright(image: NDArray[Any], matrix: Matrix) -> NDArray[Any]:
    """The picture as it is to be shown: turned by quarters, mirrored, or both.

    Other angles, which no camera writes, are rounded to the nearest quarter.
    """
    a, b, c, d = matrix[0], matrix[1], matrix[3], matrix[4]
    if abs(b) + abs(c) > abs(a) + abs(d):
        image = np.asarray(cv2.transpose(image))  # now x is what y was
        across, down = c < 0, b < 0
    else:
        across, down = a < 0, d < 0
    if across or down:
        image = np.asarray(cv2.flip(image, -1 if across and down else 1 if across else 0))
    return image
