"""Video files."""

from __future__ import annotations

from pathlib import Path

from ..config import CameraConfig
from ..errors import SourceEnded, SourceError
from ..types import Frame, FrameKey
from .container import VideoContainer
from .drawn.line import FrameTruth
from .source import Stamper


class VideoSource:
    """The frames of a file in order; recorded stamps are the container's presentation times."""

    live = False

    def __init__(self, path: str, config: CameraConfig, stream: str, stamper: Stamper) -> None:
        if not Path(path).is_file():
            raise SourceError(f"{path}: no such file")
        self._path = path
        self._config = config
        self._stream = stream
        self._stamper = stamper
        self._container = VideoContainer(path, path)
        self._given = 0  # frames since the file was last opened
        self._closed = False

    @property
    def rate_hz(self) -> float | None:
        """Mean frames a second of the file."""
        return self._container.rate_hz

    def read(self, timeout_s: float) -> Frame:  # noqa: ARG002 - a file has its frames at hand
        """The next frame; with `loop`, the first again after the last."""
        if self._closed:
            raise SourceError(f"{self._path}: the source is closed")
        try:
            picture = self._container.grab()
        except SourceEnded:
            if not self._config.loop or not self._given:
                raise
            self._container.release()
            self._container = VideoContainer(self._path, self._path)
            self._given = 0
            picture = self._container.grab()
        if not self._given:
            self._stamper.start_again(picture.recorded_ns or 0)
        self._given += 1
        key = FrameKey(self._stream, self._stamper.stamp(picture.recorded_ns))
        return Frame(key, picture.image, picture.encoding, self._config.frame_id)

    def truth(self, key: FrameKey) -> FrameTruth | None:  # noqa: ARG002
        """A file does not say what it shows."""
        return None

    def close(self) -> None:
        """Close the file."""
        if not self._closed:
            self._closed = True
            self._container.release()
