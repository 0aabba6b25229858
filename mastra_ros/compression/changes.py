"""Which tiles of a picture have changed."""

from __future__ import annotations

import cv2
import numpy as np

from .tiles import Image, Mask

CELL_PX = 4
"""Side of the squares over which differences are averaged."""

DEEPER = 257.0
"""Steps of 16 bits in a gray level of 8."""


def changed_tiles(picture: Image, reference: Image, tile_px: int, threshold: float) -> Mask:
    """Mask (rows, columns) of the tiles in which a cell of 4x4 px differs by more than `threshold`.

    The measure is the mean absolute difference in gray levels, of each channel for itself. Over 16
    px the noise of a sensor averages out (sigma 1.5 gives about 1.7 +- 0.3 between two pictures),
    while a spot of 6x6 px fills at least 9 of the 16 wherever it lies; averaged over a tile of
    32x32 px it would drown. Both pictures of one type and shape; `tile_px` a multiple of 4. A
    threshold of 0 takes every pixel that differs at all, as lossless codecs need it.
    """
    if threshold == 0:
        return _differing(picture, reference, tile_px)
    if picture.dtype == np.uint16:  # gray levels of 8 bits, which average as well
        threshold *= DEEPER
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


def _differing(picture: Image, reference: Image, tile_px: int) -> Mask:
    """Mask of the tiles in which any value differs."""
    other = picture != reference
    if other.ndim == 3:
        other = other.any(axis=2)
    height, width = other.shape
    rows = np.logical_or.reduceat(other, np.arange(0, height, tile_px), axis=0)
    return np.asarray(np.logical_or.reduceat(rows, np.arange(0, width, tile_px), axis=1), np.bool_)
