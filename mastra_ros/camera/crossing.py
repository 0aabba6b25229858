"""The drawn crossing as a source."""

from __future__ import annotations

from ..config import CameraConfig
from ..types import FrameKey
from .drawn.crossing import Crossing, CrossingOptions, CrossingTruth
from .drawn.line import FrameTruth
from .drawn_source import Drawn, DrawnSource
from .source import Stamper
from .synthetic import DEFAULT_RATE_HZ, real_number, whole_number
from .uri import SourceUri


class CrossingSource(DrawnSource[CrossingTruth]):
    """Traffic over a crossing, without end. Its time goes by frames, not by the clock."""

    def __init__(
        self, options: CrossingOptions, config: CameraConfig, stream: str, stamper: Stamper
    ) -> None:
        super().__init__(config, stream, stamper)
        self.crossing = Crossing(options)

    def draw(self, index: int) -> tuple[Drawn, CrossingTruth]:
        """See DrawnSource."""
        image, truth = self.crossing.frame(index)
        return Drawn(image, "bgr8", self.crossing.options.rate_hz), truth

    def truth(self, key: FrameKey) -> FrameTruth | None:  # noqa: ARG002
        """It shows no boards; see `crossing_truth`."""
        return None

    def crossing_truth(self, key: FrameKey) -> CrossingTruth | None:
        """What a frame shows, for the latest 4096 frames."""
        return self.known(key)


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
