"""The synthetic line as a source."""

from __future__ import annotations

from ..config import CameraConfig
from ..errors import ConfigError
from ..types import FrameKey
from .drawn.board import BoardDefect
from .drawn.line import FrameTruth, Line, LineOptions
from .drawn_source import Drawn, DrawnSource
from .source import Stamper
from .uri import SourceUri

DEFAULT_RATE_HZ = 15.0


class SyntheticSource(DrawnSource[int]):
    """Boards on a belt, without end. The line's time goes by frames, not by the clock.

    With `rate_hz` of 0 in the configuration it has no pace: whoever reads gets frames as fast as
    they are drawn, and on the belt there are 15 to a second.
    """

    def __init__(
        self, options: LineOptions, config: CameraConfig, stream: str, stamper: Stamper
    ) -> None:
        super().__init__(config, stream, stamper)
        self.line = Line(options)

    def draw(self, index: int) -> tuple[Drawn, int]:
        """See DrawnSource; a frame's truth is reckoned from its index when it is asked for."""
        options = self.line.options
        return Drawn(self.line.image(index), options.encoding, options.rate_hz), index

    def truth(self, key: FrameKey) -> FrameTruth | None:
        """What a frame shows, for the latest 4096 frames."""
        index = self.known(key)
        return None if index is None else self.line.truth(index)

    def board_truth(self, number: int) -> tuple[BoardDefect, ...]:
        """The defects of board `number` (from 1), in px of the board."""
        return self.line.board_truth(number)

    def close(self) -> None:
        """Stop drawing boards in advance."""
        super().close()
        self.line.close()


def line_options(uri: SourceUri, config: CameraConfig) -> LineOptions:
    """The options in `uri`; size and rate that it does not name come from the configuration."""
    given = dict(uri.options)
    width = whole_number(given, "width", config.width_px or 640)
    height = whole_number(given, "height", config.height_px or 640)
    return LineOptions(
        seed=whole_number(given, "seed", 1),
        width_px=width,
        height_px=height,
        boards_per_minute=real_number(given, "boards_per_minute", 30.0),
        motion=given.get("motion", "index"),
        gap_px=whole_number(given, "gap_px", 0) if "gap_px" in given else None,
        noise=real_number(given, "noise", 1.5),
        defect_rate=real_number(given, "defect_rate", 0.5),
        encoding=given.get("encoding", "bgr8"),
        rate_hz=config.rate_hz or DEFAULT_RATE_HZ,
    )


def whole_number(given: dict[str, str], name: str, default: int) -> int:
    """An option that is a whole number; ConfigError where it is not."""
    try:
        return int(given.get(name, default))
    except ValueError:
        raise ConfigError(f"source: {name}: expected a whole number, got {given[name]!r}") from None


def real_number(given: dict[str, str], name: str, default: float) -> float:
    """An option that is a number; ConfigError where it is not."""
    try:
        return float(given.get(name, default))
    except ValueError:
        raise ConfigError(f"source: {name}: expected a number, got {given[name]!r}") from None
