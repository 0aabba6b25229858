"""The synthetic line as a source."""

from __future__ import annotations

from collections import OrderedDict

from ..config import CameraConfig
from ..errors import ConfigError, SourceError
from ..types import Frame, FrameKey
from .drawn.board import BoardDefect
from .drawn.line import FrameTruth, Line, LineOptions
from .source import Stamper
from .uri import SourceUri

DEFAULT_RATE_HZ = 15.0
TRUTHS_KEPT = 4096


class SyntheticSource:
    """Boards on a belt, without end. The line's time goes by frames, not by the clock.

    With `rate_hz` of 0 in the configuration it has no pace: whoever reads gets frames as fast as
    they are drawn, and on the belt there are 15 to a second.
    """

    live = False

    def __init__(
        self, options: LineOptions, config: CameraConfig, stream: str, stamper: Stamper
    ) -> None:
        self.line = Line(options)
        self._config = config
        self._stream = stream
        self._stamper = stamper
        self._index = 0
        self._indices: OrderedDict[FrameKey, int] = OrderedDict()
        self._closed = False
        stamper.start_again()

    @property
    def rate_hz(self) -> float | None:
        """The rate at which the belt moves as its options say; None without a pace."""
        return self._config.rate_hz or None

    def read(self, timeout_s: float) -> Frame:  # noqa: ARG002 - it never waits
        """The next frame of the line."""
        if self._closed:
            raise SourceError("synthetic: the source is closed")
        image = self.line.image(self._index)
        stamp_ns = self._stamper.stamp(round(self._index * 1e9 / self.line.options.rate_hz))
        key = FrameKey(self._stream, stamp_ns)
        self._indices[key] = self._index
        if len(self._indices) > TRUTHS_KEPT:
            self._indices.popitem(last=False)
        self._index += 1
        return Frame(key, image, self.line.options.encoding, self._config.frame_id)

    def due_ns(self) -> int | None:
        """The line has a rate, not times."""
        return None

    def truth(self, key: FrameKey) -> FrameTruth | None:
        """What a frame shows, for the latest 4096 frames."""
        index = self._indices.get(key)
        return None if index is None else self.line.truth(index)

    def board_truth(self, number: int) -> tuple[BoardDefect, ...]:
        """The defects of board `number` (from 1), in px of the board."""
        return self.line.board_truth(number)

    def close(self) -> None:
        """Stop drawing boards in advance."""
        self._closed = True
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
