"""Pictures out of anything that FFmpeg can open, through PyAV."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DependencyError, FrameError, SourceEnded, SourceError
from .live import Picture

if TYPE_CHECKING:
    from types import ModuleType

    import av


def import_av() -> ModuleType:
    """PyAV, or DependencyError saying how to install it."""
    try:
        import av
    except ImportError as error:
        raise DependencyError(
            "video files and network cameras need PyAV: pip install av, or apt install python3-av"
        ) from error
    return av


class VideoContainer:
    """An open container and its first video stream; gives bgr8, or mono8 where it is gray.

    Raises SourceError where it cannot be opened or has no video.
    """

    def __init__(
        self,
        address: str,
        name: str,
        *,
        timeouts_s: tuple[float, float] | None = None,
        options: dict[str, str] | None = None,
    ) -> None:
        self._av = import_av()
        self.name = name
        self._waiting: deque[av.VideoFrame] = deque()
        failure = None
        try:
            self._container = self._av.open(address, timeout=timeouts_s, options=options or {})
        except (self._av.error.FFmpegError, OSError, ValueError) as error:
            failure = SourceError(f"cannot be opened: {_reason(error)}")
        if failure is not None:  # raised here, it brings no error along that holds the address
            raise failure
        streams = self._container.streams.video
        if not streams:
            self._container.close()
            raise SourceError("has no video stream")
        self._stream = streams[0]
        rate = self._stream.average_rate or self._stream.guessed_rate
        self.rate_hz: float | None = float(rate) if rate else None
        self._packets = self._container.demux(self._stream)

    def grab(self) -> Picture:
        """The next picture, with its presentation time.

        Raises:
            FrameError: one picture is damaged.
            SourceEnded: after the last picture.
            SourceError: the container cannot be read on.
        """
        while not self._waiting:
            packet = self._next_packet()
            try:
                self._waiting.extend(packet.decode())
            except self._av.error.EOFError:
                raise SourceEnded("the video is at its end") from None
            except self._av.error.FFmpegError as error:
                raise FrameError(f"a picture cannot be decoded: {_reason(error)}") from error
        frame = self._waiting.popleft()
        if frame.is_corrupt:
            raise FrameError("a picture is damaged")
        recorded_ns = None if frame.time is None else round(frame.time * 1e9)
        gray = frame.format.name.startswith("gray")
        image = frame.to_ndarray(format="gray" if gray else "bgr24")
        return Picture(np.asarray(image, np.uint8), "mono8" if gray else "bgr8", recorded_ns)

    def _next_packet(self) -> Any:
        try:
            return next(self._packets)
        except StopIteration:
            failure: SourceError = SourceEnded("the video is at its end")
        except (self._av.error.FFmpegError, OSError) as error:
            failure = SourceError(f"cannot be read: {_reason(error)}")
        raise failure

    def release(self) -> None:
        """Close the container."""
        self._container.close()


def _reason(error: Exception) -> str:
    """FFmpeg's words without Python's number and the address, which may hold a password."""
    return getattr(error, "strerror", None) or type(error).__name__
