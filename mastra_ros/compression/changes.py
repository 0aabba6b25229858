"""Which tiles of a picture have changed."""

from __future__ import annotations

import cv2
import numpy as np

from .tiles import Image, Mask

CELL_PX = 4
"""Side of the squares over which differences are averaged."""


def changed_tiles(picture: Image, reference: Image, tile_px: int, threshold: float) -> Mask:
    """Mask (rows, columns) of the tiles in which a cell of 4x4 px differs by more than `threshold`.

    The measure is the mean absolute difference in gray levels, of each channel for itself. Over 16
    px the noise of a sensor averages out (sigma 1.5 gives about 1.7 +- 0.3 between two pictures),
    while a spot of 6x6 px fills at least 9 of the 16 wherever it lies; averaged over a tile of
    32x32 px it would drown. Both pictures uint8 and of one shape; `tile_px` a multiple of 4.
    """
    difference = cv2.absdiff(picture, reference)
    height, width = difference.shape[:2]
    bottom, right = -height % CELL_PX, -width % CELL_PX
    if bottom or right:
        difference = cv2.copyMakeBorder(difference, 0, bottom, 0, right, cv2.BORDER_REPLICATE)
    for _ in range(2):  # halving twice is several times as fast as one step to a quarter
        half = (difference.shape[1] // 2, difference.shape[0] // 2)
        difference = cv2.resize(difference, half, interpolation=cv2.INTER_AREA)
    cells = difference.reshape(difference.shape[0], -1)
    channels = cells.shape[1] * CELL_PX // (width + right)
    step = tile_px // CELL_PX
    rows = np.maximum.reduceat(cells, np.arange(0, cells.shape[0], step), axis=0)
    peaks = np.maximum.reduceat(rows, np.arange(0, cells.shape[1], step * channels), axis=1)
    return np.asarray(peaks > threshold, np.bool_)
