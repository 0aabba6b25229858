"""The drawn crossing as a source."""

from __future__ import annotations

from collections import OrderedDict

from ..config import CameraConfig
from ..errors import SourceError
from ..types import Frame, FrameKey
from .drawn.crossing import Crossing, CrossingOptions, CrossingTruth
from .drawn.line import FrameTruth
from .source import Stamper
from .synthetic import DEFAULT_RATE_HZ, TRUTHS_KEPT, real_number, whole_number
from .uri import SourceUri


class CrossingSource:
    """Traffic over a crossing, without end. Its time goes by frames, not by the clock."""

    live = False

    def __init__(
        self, options: CrossingOptions, config: CameraConfig, stream: str, stamper: Stamper
    ) -> None:
        self.crossing = Crossing(options)
        self._config = config
        self._stream = stream
        self._stamper = stamper
        self._index = 0
        self._truths: OrderedDict[FrameKey, CrossingTruth] = OrderedDict()
        self._closed = False
        stamper.start_again()

    @property
    def rate_hz(self) -> float | None:
        """The rate at which traffic moves as it should; None without a pace."""
        return self._config.rate_hz or None

    def read(self, timeout_s: float) -> Frame:  # noqa: ARG002 - it never waits
        """The next frame of the crossing."""
        if self._closed:
            raise SourceError("synthetic: the source is closed")
        image, truth = self.crossing.frame(self._index)
        stamp_ns = self._stamper.stamp(round(self._index * 1e9 / self.crossing.options.rate_hz))
        key = FrameKey(self._stream, stamp_ns)
        self._truths[key] = truth
        if len(self._truths) > TRUTHS_KEPT:
            self._truths.popitem(last=False)
        self._index += 1
        return Frame(key, image, "bgr8", self._config.frame_id)

    def due_ns(self) -> int | None:
        """The crossing has a rate, not times."""
        return None

    def truth(self, key: FrameKey) -> FrameTruth | None:  # noqa: ARG002
        """It shows no boards; see `crossing_truth`."""
        return None

    def crossing_truth(self, key: FrameKey) -> CrossingTruth | None:
        """What a frame shows, for the latest 4096 frames."""
        return self._truths.get(key)

    def close(self) -> None:
        """Draw no more."""
        self._closed = True


def crossing_options(uri: SourceUri, config: CameraConfig) -> CrossingOptions:
    """The options in `uri`; size and rate that it does not name come from the configuration."""
    given = dict(uri.options)
    return CrossingOptions(
        seed=whole_number(given, "seed", 1),
        width_px=whole_number(given, "width", config.width_px or 640),
        height_px=whole_number(given, "height", config.height_px or 360),
        vehicles_per_minute=real_number(given, "vehicles_per_minute", 45.0),
        light=given.get("light", "day"),
        rate_hz=config.rate_hz or DEFAULT_RATE_HZ,
        encoding=given.get("encoding", "bgr8"),
    )
