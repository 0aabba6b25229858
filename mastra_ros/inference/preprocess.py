"""From a frame to the tensor that a model wants. Pure functions.

Normalising, and quantising for int8 models, is one look into a table of 256 entries a channel.

Pictures are enlarged, and shrunk by less than two, bilinearly (OpenCV's default, which the
training used too). Shrinking by more would alias thin lines away, so the picture is first
halved by exact 2x2 means; on one core 1920x1080 gray to 640x360 takes 0.3 ms so, where
INTER_AREA takes 0.9 to 3 ms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..pictures import eight_bits
from ..types import Frame
from .bundle import BundleInput
from .engines.engine import Tensor, TensorSpec

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]

_CONVERSIONS = {
    ("bgr8", "gray"): cv2.COLOR_BGR2GRAY,
    ("rgb8", "gray"): cv2.COLOR_RGB2GRAY,
    ("mono8", "rgb"): cv2.COLOR_GRAY2RGB,
    ("mono8", "bgr"): cv2.COLOR_GRAY2BGR,
    ("bgr8", "rgb"): cv2.COLOR_BGR2RGB,
    ("rgb8", "bgr"): cv2.COLOR_RGB2BGR,
}


@dataclass(frozen=True)
class Transform:
    """How a frame lies in the model's input: input = frame * scale + offset, per axis in px."""

    scale_x: float
    scale_y: float
    offset_x: float
    offset_y: float
    width_px: int  # of the frame
    height_px: int

    def to_frame(self, boxes: Floats) -> Floats:
        """Boxes (n, 4) x1 y1 x2 y2 in px of the input -> px of the frame, clipped to it."""
        return to_frames(boxes, [len(boxes)], [self])


def to_frames(boxes: Floats, counts: Sequence[int], transforms: Sequence[Transform]) -> Floats:
    """As `Transform.to_frame`, of many frames at once: so many of the boxes are of each."""
    places = [_place(one) for one in transforms]
    if all(place is places[0] for place in places):
        offset, scale, limit = places[0]
    else:
        offset, scale, limit = (
            np.repeat(np.stack([place[n] for place in places]), counts, axis=0) for n in range(3)
        )
    mapped: Floats = np.minimum(np.maximum((boxes - offset) / scale, np.float32(0)), limit)
    return mapped


@lru_cache(maxsize=256)
def _place(one: Transform) -> tuple[Floats, Floats, Floats]:
    """Offset, scale and limit of the sides of a box."""
    pairs = (
        (one.offset_x, one.offset_y),
        (one.scale_x, one.scale_y),
        (one.width_px, one.height_px),
    )
    offset, scale, limit = (np.array(pair * 2, np.float32) for pair in pairs)
    return offset, scale, limit


@lru_cache(maxsize=256)
def transform_for(spec: BundleInput, width_px: int, height_px: int) -> Transform:
    """Where a frame of this size comes to lie; a letterboxed one lies in the middle."""
    scale_x, scale_y = spec.width_px / width_px, spec.height_px / height_px
    if spec.resize == "stretch":
        return Transform(scale_x, scale_y, 0.0, 0.0, width_px, height_px)
    scale = min(scale_x, scale_y)
    width, height = max(1, round(width_px * scale)), max(1, round(height_px * scale))
    # Rounding to whole pixels makes the two scales differ a little: keep what is really drawn.
    return Transform(
        width / width_px,
        height / height_px,
        float((spec.width_px - width) // 2),
        float((spec.height_px - height) // 2),
        width_px,
        height_px,
    )


def convert_colour(image: Pixels, encoding: str, colour: str) -> Pixels:
    """A picture in one of the encodings of `Frame` -> gray (h, w), rgb or bgr (h, w, 3)."""
    code = _CONVERSIONS.get((encoding, colour))
    return image if code is None else np.asarray(cv2.cvtColor(image, code), np.uint8)


def resize(image: Pixels, width_px: int, height_px: int) -> Pixels:
    """Resize without aliasing; see the module for how."""
    height, width = image.shape[:2]
    while width >= 2 * width_px and height >= 2 * height_px and width % 2 == height % 2 == 0:
        width, height = width // 2, height // 2
        image = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA))
    if (width, height) == (width_px, height_px):
        return image
    shrunk_much = width >= 2 * width_px and height >= 2 * height_px  # but of odd size
    how = cv2.INTER_AREA if shrunk_much else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width_px, height_px), interpolation=how), np.uint8)


def fit(frame: Frame, spec: BundleInput) -> tuple[Pixels, Transform]:
    """The frame in the model's size and colour, as uint8, and where it lies in there."""
    frame = eight_bits(frame)
    transform = transform_for(spec, frame.width_px, frame.height_px)
    gray = spec.colour == "gray"
    image = convert_colour(frame.image, frame.encoding, spec.colour) if gray else frame.image
    width = round(frame.width_px * transform.scale_x)
    height = round(frame.height_px * transform.scale_y)
    image = resize(image, width, height)
    if not gray:  # three channels are converted when the picture is small
        image = convert_colour(image, frame.encoding, spec.colour)
    left, top = int(transform.offset_x), int(transform.offset_y)
    right, bottom = spec.width_px - width - left, spec.height_px - height - top
    if left or top or right or bottom:
        border = (spec.pad_value,) * 3
        image = np.asarray(
            cv2.copyMakeBorder(image, top, bottom, left, right, cv2.BORDER_CONSTANT, value=border),
            np.uint8,
        )
    return image, transform


def pixel_values(spec: BundleInput) -> NDArray[np.float64]:
    """What each pixel value becomes in a real number: (256, channels)."""
    pixels = np.arange(256, dtype=np.float64)[:, None]
    values: NDArray[np.float64] = (pixels - np.array(spec.mean)) / np.array(spec.std)
    return values


def value_table(spec: BundleInput, tensor: TensorSpec) -> Tensor:
    """What each pixel value becomes in the tensor: (256, channels), of the tensor's dtype.

    Integers without a scale are the numbers themselves.
    """
    values = pixel_values(spec)
    if tensor.dtype.kind != "f":
        limits = np.iinfo(tensor.dtype)
        values = np.rint(values / (tensor.scale or 1.0)) + tensor.zero_point
        values = np.clip(values, limits.min, limits.max)
    table: NDArray[Any] = values.astype(tensor.dtype)
    return table


def fill(image: Pixels, table: Tensor, out: Tensor, layout: str) -> None:
    """Write a fitted picture through the table into one item of a batch.

    `out` is (channels, height, width) for the layout nchw and (height, width, channels) for
    nhwc, C-contiguous.
    """
    if table.dtype == np.float16:  # a look into a table moves bits, and not every OpenCV has halves
        table, out = table.view(np.int16), out.view(np.int16)
    if image.ndim == 2:
        cv2.LUT(image, np.ascontiguousarray(table[:, 0]), out.reshape(image.shape))
    elif layout == "nhwc":
        cv2.LUT(image, table.reshape(1, 256, -1), out)
    else:
        for channel, plane in enumerate(cv2.split(image)):
            cv2.LUT(plane, np.ascontiguousarray(table[:, channel]), out[channel])
