"""Puts frames into the tensor that a model wants."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..types import Frame, FrameKey
from .bundle import BundleInput
from .contract import Feed
from .engines.engine import Tensor
from .preprocess import Transform, fill, fit, value_table


class Feeder:
    """What `spec` says of a model's input, applied to frames."""

    def __init__(self, spec: BundleInput, feed: Feed) -> None:
        self._spec, self._feed = spec, feed
        self._table = value_table(spec, feed.spec)

    def batch(self, frames: Sequence[Frame], size: int) -> tuple[Tensor, list[Transform]]:
        """A tensor of `size` places, the last of them empty where there are fewer frames."""
        tensor = np.zeros((size, *self._feed.item_shape), self._feed.spec.dtype)
        transforms = []
        for place, frame in zip(tensor, frames, strict=False):
            image, transform = fit(frame, self._spec)
            fill(image, self._table, place, self._feed.layout)
            transforms.append(transform)
        return tensor, transforms

    def empty_frame(self) -> Frame:
        """A black frame of the model's size, to warm up with."""
        picture = np.zeros((self._spec.height_px, self._spec.width_px), np.uint8)
        return Frame(FrameKey("warm-up", 0), picture, "mono8")
