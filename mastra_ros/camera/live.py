"""What all live sources share: a thread that drains the device, and only the newest frame."""

from __future__ import annotations

import threading
import time
from typing import Any, NamedTuple, Protocol

import numpy.typing as npt

from ..config import CameraConfig
from ..errors import FrameError, SourceError, SourceStalled
from ..pictures import PictureReader
from ..types import Frame, FrameKey
from .drawn.line import FrameTruth
from .source import Stamper

CLOSE_WAIT_S = 0.2
"""How long `close` waits for the device to be let go; a blocked read is left to its own timeout."""


class Picture(NamedTuple):
    """What a capture gives: the picture and, where it knows it, the stamp of the recording.

    `full_scale`: the capture knows its depth, so that white is the largest value of the type.
    """

    image: npt.NDArray[Any]
    encoding: str
    recorded_ns: int | None
    full_scale: bool = False

    def frame(self, key: FrameKey, frame_id: str, reader: PictureReader) -> Frame:
        """The frame of this picture (FrameError: it cannot be one)."""
        image = self.image if self.full_scale else reader.take(self.image)
        return Frame(key, image, self.encoding, frame_id)


class Capture(Protocol):
    """A device or connection that gives pictures as they come."""

    name: str
    rate_hz: float | None

    def grab(self) -> Picture:
        """Wait for the next picture (FrameError: a bad one; SourceError: broken, ended)."""

    def release(self) -> None:
        """Let it go; called by the thread that grabs."""


class LiveSource:
    """Drains a capture on a thread of its own, so that a slow reader gets the newest frame."""

    live = True

    def __init__(
        self,
        capture: Capture,
        config: CameraConfig,
        stream: str,
        stamper: Stamper,
        reader: PictureReader | None = None,
    ) -> None:
        self._capture = capture
        self._frame_id = config.frame_id
        self._stream = stream
        self._stamper = stamper
        self._reader = reader or PictureReader(config)
        self._news = threading.Condition()
        self._newest: Frame | FrameError | None = None
        self._broken: SourceError | None = None
        self._closed = False
        self.overtaken = 0  # frames that a newer one replaced before they were read
        stamper.start_again()
        self._thread = threading.Thread(target=self._drain, name="capture", daemon=True)
        self._thread.start()

    @property
    def rate_hz(self) -> float | None:
        """What the device says of itself."""
        return self._capture.rate_hz

    def read(self, timeout_s: float) -> Frame:
        """The newest frame not yet read, waiting at most `timeout_s` for one."""
        deadline = time.monotonic() + timeout_s
        with self._news:
            while self._newest is None:
                if self._closed:
                    raise SourceError(f"{self._capture.name}: the source is closed")
                if self._broken is not None:
                    raise self._broken
                left = deadline - time.monotonic()
                if left <= 0:
                    raise SourceStalled(f"no frame for {timeout_s:g} s")
                self._news.wait(left)
            newest, self._newest = self._newest, None
        if isinstance(newest, FrameError):
            raise newest
        return newest

    def due_ns(self) -> int | None:
        """The world has no due times."""
        return None

    def truth(self, key: FrameKey) -> FrameTruth | None:  # noqa: ARG002
        """Nobody knows what a camera sees."""
        return None

    def close(self) -> None:
        """Wake the reader and let the device go."""
        with self._news:
            self._closed = True
            self._news.notify_all()
        if self._thread is not threading.current_thread():
            self._thread.join(CLOSE_WAIT_S)

    def _drain(self) -> None:
        try:
            while not self._closed:
                self._put(self._grab())
        except SourceError as error:
            with self._news:
                self._broken = error
                self._news.notify_all()
        finally:
            self._capture.release()

    def _grab(self) -> Picture | FrameError:
        try:
            return self._capture.grab()
        except FrameError as error:
            return error

    def _put(self, news: Picture | FrameError) -> None:
        with self._news:
            if self._closed:
                return
            if isinstance(news, Picture):
                if isinstance(self._newest, Frame):
                    self.overtaken += 1
                self._newest = self._frame(news)
            elif self._newest is None:  # a bad frame never replaces a good one
                self._newest = news
            self._news.notify_all()

    def _frame(self, picture: Picture) -> Frame | FrameError:
        key = FrameKey(self._stream, self._stamper.stamp(picture.recorded_ns))
        try:
            return picture.frame(key, self._frame_id, self._reader)
        except FrameError as error:
            return error
