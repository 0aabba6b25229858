"""A source whose frames are drawn when they are read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from typing import Any, Generic, NamedTuple, TypeVar

from numpy.typing import NDArray

from ..config import CameraConfig
from ..errors import SourceError
from ..types import Frame, FrameKey
from .source import Stamper

TRUTHS_KEPT = 4096

Truth = TypeVar("Truth")


class Drawn(NamedTuple):
    """A picture, and the rate of the scene that it is of."""

    image: NDArray[Any]
    encoding: str
    rate_hz: float


class DrawnSource(ABC, Generic[Truth]):
    """Frames without end. The scene's time goes by frames, not by the clock."""

    live = False

    def __init__(self, config: CameraConfig, stream: str, stamper: Stamper) -> None:
        self._config = config
        self._stream = stream
        self._stamper = stamper
        self._index = 0
        self._truths: OrderedDict[FrameKey, Truth] = OrderedDict()
        self._closed = False
        stamper.start_again()

    @abstractmethod
    def draw(self, index: int) -> tuple[Drawn, Truth]:
        """The picture of this number, from 0, and what is to be known of it later."""

    @property
    def rate_hz(self) -> float | None:
        """The rate at which the scene moves as it should; None without a pace."""
        return self._config.rate_hz or None

    def read(self, timeout_s: float) -> Frame:  # noqa: ARG002 - it never waits
        """The next frame."""
        if self._closed:
            raise SourceError("synthetic: the source is closed")
        drawn, truth = self.draw(self._index)
        stamp_ns = self._stamper.stamp(round(self._index * 1e9 / drawn.rate_hz))
        key = FrameKey(self._stream, stamp_ns)
        self._truths[key] = truth
        if len(self._truths) > TRUTHS_KEPT:
            self._truths.popitem(last=False)
        self._index += 1
        return Frame(key, drawn.image, drawn.encoding, self._config.frame_id)

    def due_ns(self) -> int | None:
        """It has a rate, not times."""
        return None

    def known(self, key: FrameKey) -> Truth | None:
        """What is known of a frame, of the latest 4096."""
        return self._truths.get(key)

    def close(self) -> None:
        """Draw no more."""
        self._closed = True
