"""Pictures to the planes that video codecs take, and back.

I420 by OpenCV (BT.601, 16 to 235) on both ends: the conversion of swscale with its defaults costs
several points of agreement with the detections on raw pictures. Sides are made even by repeating
the last row and column.
"""

from __future__ import annotations

import cv2
import numpy as np

from ...errors import CodecError
from .interface import Image

_FROM = {"bgr8": cv2.COLOR_BGR2YUV_I420, "rgb8": cv2.COLOR_RGB2YUV_I420}
GRAY_CHROMA = 128


def even(px: int) -> int:
    """The side that a codec sees."""
    return px + px % 2


def to_planes(image: Image, encoding: str) -> Image:
    """uint8 (height * 3/2, width) of even sides: Y, then U and V of half the sides."""
    height, width = image.shape[:2]
    if height % 2 or width % 2:
        image = np.asarray(
            cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE), np.uint8
        )
    if encoding == "mono8":
        chroma = np.full((image.shape[0] // 2, image.shape[1]), GRAY_CHROMA, np.uint8)
        return np.concatenate((image, chroma))
    if encoding not in _FROM:
        raise CodecError(f"expected mono8, bgr8 or rgb8, got {encoding}")
    return np.asarray(cv2.cvtColor(image, _FROM[encoding]), np.uint8)


def from_planes(planes: Image, encoding: str, width_px: int, height_px: int) -> Image:
    """The picture in planes as `to_planes` makes them."""
    if encoding == "mono8":
        return np.ascontiguousarray(planes[:height_px, :width_px])
    code = cv2.COLOR_YUV2RGB_I420 if encoding == "rgb8" else cv2.COLOR_YUV2BGR_I420
    image = np.asarray(cv2.cvtColor(planes, code), np.uint8)
    return np.ascontiguousarray(image[:height_px, :width_px])
