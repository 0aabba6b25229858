"""Puts frames into the tensor that a model wants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..types import Frame, FrameKey
from .bundle import BundleInput
from .contract import Feed
from .engines.engine import Tensor
from .preprocess import Pixels, Transform, fill, fit, value_table


@dataclass(frozen=True)
class Fitted:
    """A frame in the size and colour of a model: what takes long of a large picture is done."""

    image: Pixels
    transform: Transform


class Feeder:
    """What `spec` says of a model's input, applied to frames."""

    def __init__(self, spec: BundleInput, feed: Feed) -> None:
        self._spec, self._feed = spec, feed
        self._table = value_table(spec, feed.spec)

    def fit(self, frame: Frame) -> Fitted:
        """What `batch` does first, for any thread to do."""
        return Fitted(*fit(frame, self._spec))

    def batch(self, frames: Sequence[Frame | Fitted], size: int) -> tuple[Tensor, list[Transform]]:
        """A tensor of `size` places, the last of them empty where there are fewer frames."""
        tensor = np.zeros((size, *self._feed.item_shape), self._feed.spec.dtype)
        transforms = []
        for place, frame in zip(tensor, frames, strict=False):
            fitted = frame if isinstance(frame, Fitted) else self.fit(frame)
            fill(fitted.image, self._table, place, self._feed.layout)
            transforms.append(fitted.transform)
        return tensor, transforms

    def empty_frame(self) -> Frame:
        """A black frame of the model's size, to warm up with."""
        picture = np.zeros((self._spec.height_px, self._spec.width_px), np.uint8)
        return Frame(FrameKey("warm-up", 0), picture, "mono8")
