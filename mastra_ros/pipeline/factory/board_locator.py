"""Finds the boards in a picture of a belt, by its columns."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

ROWS = 32
"""Rows looked at: enough to tell belt from board, few enough to cost next to nothing."""

BELT_SHARE = 0.8
"""A column is belt when this share of its pixels has the belt's gray level."""

MIN_GAP = 0.01
"""Of the picture's width; a shorter run of belt columns is part of a board."""

MIN_BOARD = 0.05
"""Of the picture's width; a shorter run of board columns is dirt, or a board that has just come."""


@dataclass(frozen=True)
class BoardSpan:
    """Columns x1 to x2 (exclusive) of a picture that show one board.

    cut_left, cut_right: it reaches that border of the picture, so it may go on outside.
    """

    x1: int
    x2: int
    cut_left: bool
    cut_right: bool

    @property
    def width_px(self) -> int:
        return self.x2 - self.x1


def locate_boards(
    image: NDArray[np.uint8], gray_min: int = 12, gray_max: int = 80
) -> list[BoardSpan]:
    """The boards in a picture, from left to right.

    image: uint8 (height, width) gray or (height, width, 3). The belt runs from side to side, and
    between two boards it is seen from top to bottom. Its gray levels lie between `gray_min` and
    `gray_max`; those of a board mostly do not: substrate is brighter, and copper in a
    binarised picture is darker.
    """
    height, width = image.shape[:2]
    rows = image[np.linspace(0, height - 1, min(height, ROWS)).astype(np.intp)]
    gray = cv2.cvtColor(rows, cv2.COLOR_BGR2GRAY) if rows.ndim == 3 else rows
    levels = cv2.inRange(gray, np.array(gray_min), np.array(gray_max))
    belt = cv2.reduce(levels, 0, cv2.REDUCE_AVG, dtype=cv2.CV_32F)[0] >= 255 * BELT_SHARE
    spans = _runs(belt, longer_than=max(2.0, MIN_GAP * width))
    return [
        BoardSpan(x1, x2, x1 == 0, x2 == width) for x1, x2 in spans if x2 - x1 >= MIN_BOARD * width
    ]


def _runs(belt: NDArray[np.bool_], longer_than: float) -> list[tuple[int, int]]:
    """What lies between the runs of belt that are long enough."""
    padded = np.concatenate([[False], belt, [False]])
    edges = np.flatnonzero(padded[1:] != padded[:-1])
    spans, start = [], 0
    for begin, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        # Touching the border, a run of belt may be longer than what is seen of it.
        at_border = begin == 0 or end == len(belt)
        if end - begin >= longer_than or at_border:
            if begin > start:
                spans.append((start, begin))
            start = end
    if start < len(belt):
        spans.append((start, len(belt)))
    return spans
