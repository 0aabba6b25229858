"""Video files."""

from __future__ import annotations

from pathlib import Path

from ..config import CameraConfig
from ..errors import FrameError, MastraError, SourceEnded, SourceError
from ..pictures import PictureReader
from ..types import Frame, FrameKey
from .container import VideoContainer
from .drawn.line import FrameTruth
from .extent import without_index
from .live import Picture
from .source import Stamper


class VideoSource:
    """The frames of a file in order; recorded stamps are the container's presentation times.

    A file that ends before its header says so is a SourceError at its end; in a loop, a FrameError
    the first time.
    """

    live = False

    def __init__(
        self,
        path: str,
        config: CameraConfig,
        stream: str,
        stamper: Stamper,
        reader: PictureReader | None = None,
    ) -> None:
        if not Path(path).is_file():
            raise SourceError(f"{path}: no such file")
        self._path = path
        self._config = config
        self._stream = stream
        self._stamper = stamper
        self._reader = reader or PictureReader(config)
        self._container = self._open()
        self._ahead: Picture | MastraError | None = None  # what comes next, once looked at
        self._given = 0  # frames since the file was last opened
        self._told_missing = False
        self._offset_ns = 0  # from the file's times to those of all its rounds
        self._due_ns: int | None = None  # of the frame given last
        self._step_ns = 0
        self._closed = False

    @property
    def rate_hz(self) -> float | None:
        """Mean frames a second of the file."""
        return self._container.rate_hz

    def read(self, timeout_s: float) -> Frame:  # noqa: ARG002 - a file has its frames at hand
        """The next frame; with `loop`, the first again after the last."""
        if self._closed:
            raise SourceError(f"{self._path}: the source is closed")
        picture = self._next()
        self._ahead = None
        if isinstance(picture, MastraError):
            raise picture
        if not self._given:
            self._stamper.start_again(picture.recorded_ns or 0)
        self._given += 1
        due_ns = self._due_of(picture)
        if due_ns is not None:
            self._step_ns = due_ns - (due_ns if self._due_ns is None else self._due_ns)
            self._due_ns = due_ns
        key = FrameKey(self._stream, self._stamper.stamp(picture.recorded_ns))
        return picture.frame(key, self._config.frame_id, self._reader)

    def due_ns(self) -> int | None:
        """The presentation time of the next frame; round after round it goes on."""
        picture = None if self._closed else self._next()
        return self._due_of(picture) if isinstance(picture, Picture) else None

    def truth(self, key: FrameKey) -> FrameTruth | None:  # noqa: ARG002
        """A file does not say what it shows."""
        return None

    def close(self) -> None:
        """Close the file."""
        if not self._closed:
            self._closed = True
            self._container.release()

    def _open(self) -> VideoContainer:
        try:
            # Without the prefix FFmpeg takes what stands before a colon for a protocol.
            return VideoContainer(f"file:{self._path}", self._path)
        except SourceError as error:
            raise SourceError(f"{error}{without_index(Path(self._path))}") from error

    def _due_of(self, picture: Picture) -> int | None:
        return None if picture.recorded_ns is None else picture.recorded_ns + self._offset_ns

    def _next(self) -> Picture | MastraError:
        """What comes next, without taking it: a picture, or the error that `read` will raise."""
        if self._ahead is None:
            try:
                self._ahead = self._grab()
            except (FrameError, SourceError) as error:
                self._ahead = error
        return self._ahead

    def _grab(self) -> Picture:
        try:
            return self._container.grab()
        except SourceEnded:
            missing = self._container.missing()
            if missing and not self._told_missing:
                self._told_missing = True
                line = f"the video is cut short: {missing}"
                if self._config.loop and self._given:
                    raise FrameError(line) from None
                raise SourceError(line) from None
            if not self._config.loop or not self._given:
                raise
        self._container.release()
        self._container = self._open()
        self._given = 0
        picture = self._container.grab()
        if self._due_ns is not None and picture.recorded_ns is not None:
            self._offset_ns = self._due_ns + self._step_ns - picture.recorded_ns
        return picture
