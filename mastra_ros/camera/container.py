"""Pictures out of anything that FFmpeg can open, through PyAV."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DependencyError, FrameError, SourceEnded, SourceError
from .extent import Extent
from .live import Picture
from .upright import UPRIGHT, Matrix, read_matrix, turn_upright

if TYPE_CHECKING:
    from types import ModuleType

    import av

RATE_MAX_HZ = 240.0
"""Headers claim 1000 frames/s where they mean ms; above this a rate must come with a count."""


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
    """An open container and its first video stream; gives pictures upright.

    They are bgr8, or mono8 where they are gray; with more than 8 bits gray is mono16, and RGB of
    16 bits is rgb16. Raises SourceError where it cannot be opened or has no video.
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
        if self._stream.codec_context.name == "mjpeg":
            # Or what is missing of a picture is painted green.
            self._stream.codec_context.options = {"err_detect": "explode"}
        self._extent = Extent() if timeouts_s else Extent.of(self._container, self._stream)
        self.rate_hz: float | None = self._extent.rate_hz or _claimed_rate_hz(self._stream)
        streams_read = () if self._extent.shared else (self._stream,)
        self._packets = self._container.demux(*streams_read)

    def grab(self) -> Picture:
        """The next picture, with its presentation time.

        Raises:
            FrameError: one picture is damaged.
            SourceEnded: after the last picture.
            SourceError: the container cannot be read on.
        """
        while not self._waiting:
            packet = self._next_packet()
            if packet.stream.index != self._stream.index:
                self._extent.add_other(packet)
                continue
            self._extent.add(packet)
            try:
                self._waiting.extend(packet.decode())
            except self._av.error.EOFError:
                raise SourceEnded("the video is at its end") from None
            except self._av.error.FFmpegError as error:
                raise FrameError(f"a picture cannot be decoded: {_reason(error)}") from error
        frame = self._waiting.popleft()
        if frame.is_corrupt:
            raise FrameError("a picture is damaged")
        return _picture(frame)

    def missing(self) -> str:
        """At the end: what the file promised and did not give, in a line; empty if it is whole."""
        return self._extent.missing()

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


def _picture(frame: av.VideoFrame) -> Picture:
    recorded_ns = None if frame.time is None else round(frame.time * 1e9)
    kind, encoding, full_scale = _target(frame.format)
    image = turn_upright(np.asarray(frame.to_ndarray(format=kind)), _matrix(frame))
    return Picture(image, encoding, recorded_ns, full_scale)


def _target(pixels: av.VideoFormat) -> tuple[str, str, bool]:
    """FFmpeg's format to convert to, the frame's encoding, and whether its white is full scale."""
    bits = pixels.components[0].bits if pixels.components else 8
    if pixels.name.startswith("gray"):
        if 8 < bits <= 16:  # below 16 the format says the depth, and FFmpeg stretches it
            return "gray16le", "mono16", bits < 16
        return "gray", "mono8", True
    if pixels.is_rgb and bits == 16:
        return "rgb48le", "rgb16", False
    return "bgr24", "bgr8", True


def _matrix(frame: av.VideoFrame) -> Matrix:
    # By name: what iterating gives differs between the versions of PyAV.
    sides: Any = frame.side_data
    side = sides.get(_kind_of_side_data("DISPLAYMATRIX"))
    return UPRIGHT if side is None else read_matrix(bytes(side))


def _kind_of_side_data(name: str) -> Any:
    """PyAV's own name of a kind of data beside a picture."""
    from av.sidedata.sidedata import Type

    return Type[name]


def _claimed_rate_hz(stream: Any) -> float | None:
    rate = float(stream.average_rate or stream.guessed_rate or 0)
    return rate if 0 < rate <= RATE_MAX_HZ else None


def _reason(error: Exception) -> str:
    """FFmpeg's words without Python's number and the address, which may hold a password."""
    return getattr(error, "strerror", None) or type(error).__name__
