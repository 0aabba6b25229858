"""Decoders of FFmpeg for packets that nobody has looked at yet.

Whoever sends a packet is authenticated, and may be taken over all the same. So: three decoders
and no others, each in the thread that asks; a size that was agreed before and more than which is
never allocated; one picture a packet, counted before H.264 is decoded, since that decoder goes
through a whole packet at once; and a decoder that has met a fault is of no more use.
"""

from __future__ import annotations

from typing import Any

from ...errors import CodecError
from .bitstream import check_one_picture
from .interface import Image
from .planes import even, from_planes
from .quiet import quiet_codecs, told
from .registry import FORMATS
from .sps import REFERENCES_MAX

_DECODERS = {"h264": "h264", "vp9": "vp9", "av1": "libdav1d"}
_OPTIONS = {"av1": {"max_frame_delay": "1", "alllayers": "0"}}
PICTURES_KEPT = {"h264": REFERENCES_MAX + 3, "vp9": 10, "av1": 12}
"""Most pictures that a decoder holds: the references of the format, and those in work."""
_BLOCK_PX = 128
"""Codecs hold whole blocks; none of these has larger ones."""
_LOW_DELAY = 1 << 19  # AV_CODEC_FLAG_LOW_DELAY


class PyavDecoder:
    """A `VideoDecoder` around FFmpeg's, for pictures of one size."""

    def __init__(self, video_format: str, encoding: str, width_px: int, height_px: int) -> None:
        """Raises CodecError where this PyAV has no such decoder."""
        if video_format not in FORMATS:
            raise CodecError(f"expected one of {', '.join(FORMATS)}, got {video_format!r}")
        self.format = video_format
        self._encoding = encoding
        self._size = (width_px, height_px)
        self._block_px = _blocks(width_px) * _blocks(height_px)
        self._bytes_max = 4096 + 3 * width_px * height_px
        self._count = 0
        self._context: Any = self._open()

    @property
    def bytes_kept(self) -> int:
        """See VideoDecoder."""
        return PICTURES_KEPT[self.format] * self._block_px * 3 // 2

    def decode(self, data: bytes) -> Image:
        """See VideoDecoder."""
        if self._context is None:
            raise CodecError(f"{self.format}: this decoder has met a fault before")
        context, self._context = self._context, None
        if not data or len(data) > self._bytes_max:
            raise CodecError(
                f"{self.format}: expected 1 to {self._bytes_max} bytes, got {len(data)}"
            )
        check_one_picture(self.format, data)
        try:
            planes = self._one(context, data)
        except CodecError:
            raise
        except Exception as error:  # whatever FFmpeg says of data from outside
            raise CodecError(f"{self.format}: not decoded ({told(error)})") from None
        self._context = context
        return from_planes(planes, self._encoding, *self._size)

    def _open(self) -> Any:
        import av

        with quiet_codecs():
            try:
                context: Any = av.CodecContext.create(_DECODERS[self.format], "r")
                context.thread_count = 1
                context.flags |= _LOW_DELAY
                context.options = {
                    "max_pixels": str(self._block_px),
                    "err_detect": "explode",
                    **_OPTIONS.get(self.format, {}),
                }
                context.open()
            except Exception as error:
                raise CodecError(f"{self.format}: cannot be decoded here ({told(error)})") from None
        return context

    def _one(self, context: Any, data: bytes) -> Image:
        import av

        packet = av.Packet(data)
        packet.pts = packet.dts = self._count
        frames = context.decode(packet)
        if len(frames) != 1:
            raise CodecError(f"{self.format}: expected one picture, got {len(frames)}")
        frame = frames[0]
        found = (frame.width, frame.height, frame.format.name)
        expected = (even(self._size[0]), even(self._size[1]), "yuv420p")
        if found != expected:
            raise CodecError(f"{self.format}: expected a picture {expected}, got {found}")
        if frame.pts != self._count:
            raise CodecError(f"{self.format}: got another picture than the one of this packet")
        if frame.is_corrupt:
            raise CodecError(f"{self.format}: the picture is damaged")
        self._count += 1
        planes: Image = frame.to_ndarray()
        return planes


def _blocks(px: int) -> int:
    return -(-px // _BLOCK_PX) * _BLOCK_PX
