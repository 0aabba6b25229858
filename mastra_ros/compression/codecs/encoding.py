"""Encoders of PyAV: software and hardware alike."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from ...errors import CodecError
from .interface import Coded, Image
from .planes import even, to_planes
from .quiet import quiet_codecs, told
from .registry import CodecSpec
from .strain import Strain

_NEVER = 1 << 30
"""Pictures until a key frame that nobody asked for."""
_RATE = Fraction(30)
_TICK = Fraction(1, 30)


class PyavEncoder:
    """A `VideoEncoder` around one of FFmpeg's; opened anew where the size changes, or the quality
    of one that cannot change it from frame to frame."""

    def __init__(self, spec: CodecSpec) -> None:
        self.spec = spec
        self._context: Any = None
        self._made_for: tuple[int, int, int] = (0, 0, 0)
        self._count = 0
        self._offset = 0.0
        self._strain = Strain()

    @property
    def format(self) -> str:
        """See VideoEncoder."""
        return self.spec.format

    def encode(self, image: Image, encoding: str, *, key: bool, quality: int) -> Coded:
        """See VideoEncoder."""
        height, width = image.shape[:2]
        if min(width, height) < self.spec.side_min_px:
            raise CodecError(
                f"{self.spec.name}: expected sides of at least {self.spec.side_min_px} px, "
                f"got {width}x{height} px"
            )
        planes = to_planes(image, encoding)
        made_for = (even(width), even(height), self.spec.rate_of(quality))
        live = self.spec.live_range > 0 and made_for[:2] == self._made_for[:2]
        live = live and (self.spec.live_keys or not key)
        if made_for != self._made_for and not live:
            self._context = None
        self._offset = (made_for[2] - self._made_for[2]) / self.spec.live_range if live else 0.0
        try:
            return self._encode(planes, made_for, key=key)
        except Exception as error:
            self._context = None
            if isinstance(error, CodecError):
                raise
            raise CodecError(f"{self.spec.name}: does not work here ({told(error)})") from error

    def _encode(self, planes: Image, made_for: tuple[int, int, int], *, key: bool) -> Coded:
        fresh = self._context is None
        if fresh:
            self._open(made_for)
        coded = self._one(planes, key=key or fresh)
        if key and not coded.key:  # it does not take the wish: a new one begins with a key
            self._open(made_for)
            coded = self._one(planes, key=True)
        if (key or fresh) and not coded.key:
            raise CodecError(f"{self.spec.name}: makes no key frame when it is asked for one")
        return coded

    def _open(self, made_for: tuple[int, int, int]) -> None:
        import av

        with quiet_codecs():
            context: Any = av.CodecContext.create(self.spec.encoder, "w")
            context.width, context.height, rate = made_for
            context.pix_fmt = "yuv420p"
            context.time_base = _TICK
            context.framerate = _RATE
            context.max_b_frames = 0
            context.gop_size = _NEVER
            context.thread_count = 1
            context.options = {**self.spec.options, self.spec.rate: str(rate)}
            context.open()
        self._context, self._made_for, self._count = context, made_for, 0
        self._offset = 0.0

    def _one(self, planes: Image, *, key: bool) -> Coded:
        from av.video.frame import PictureType

        frame = _frame_of(planes)
        frame.pts = self._count
        frame.time_base = _TICK
        frame = self._strain.on(frame, self._offset)
        if key:
            frame.pict_type = PictureType.I
        self._count += 1
        packets = [packet for packet in self._context.encode(frame) if packet.size]
        if len(packets) != 1:
            raise CodecError(f"{self.spec.name}: expected one packet a picture, got {len(packets)}")
        return Coded(bytes(packets[0]), bool(packets[0].is_keyframe))


def _frame_of(planes: Image) -> Any:
    """FFmpeg's frame of planes as `to_planes` makes them. PyAV's own way takes five times as long:
    rows of a frame are padded, and it copies them one by one."""
    import av

    frame: Any = av.VideoFrame(planes.shape[1], planes.shape[0] * 2 // 3, "yuv420p")
    flat, begin = planes.reshape(-1), 0
    for plane in frame.planes:
        size = plane.width * plane.height
        rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
        rows[: plane.height, : plane.width] = flat[begin : begin + size].reshape(-1, plane.width)
        begin += size
    return frame
