"""Size and kind of a still picture, read from its first bytes without decoding it.

Only what our encoder writes is accepted: baseline JPEG (ITU-T T.81), PNG of 8 or 16 bits without
interlacing (W3C PNG, critical chunks alone), still WebP (RFC 9649) and JPEG-LS (ITU-T T.87). The
rest of these formats (progressive scans, compressed text, animations) only helps those who want to
keep a decoder busy.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from ..errors import CodecError
from .jpegls import read_jpegls

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_CHANNELS = {0: 1, 2: 3}  # colour type: gray, true colour
_JPEG_STANDALONE = {0x01, *range(0xD0, 0xD8)}
_JPEG_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_BASELINE = {0xC0, 0xC1}


@dataclass(frozen=True)
class StillHeader:
    """What the header of a still picture says."""

    codec: str
    width_px: int
    height_px: int
    channels: int
    bits: int = 8  # 8 or 16: what it is decoded to

    def __str__(self) -> str:
        deep = " of 16 bits" if self.bits == 16 else ""
        size = f"{self.width_px}x{self.height_px} px"
        return f"{self.codec} of {size}, {self.channels} channels{deep}"


def read_header(data: bytes) -> StillHeader:
    """Read the header, or raise CodecError where it is of none of the accepted kinds."""
    try:
        if data.startswith(b"\xff\xd8\xff\xf7"):
            width, height, channels, bits = read_jpegls(data)
            return StillHeader("jpegls", width, height, channels, 8 if bits == 8 else 16)
        if data.startswith(b"\xff\xd8"):
            return _jpeg(data)
        if data.startswith(_PNG):
            return _png(data)
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return _webp(data)
    except (struct.error, IndexError):
        raise CodecError(f"a picture of {len(data)} bytes ends in its header") from None
    raise CodecError(f"expected a JPEG, PNG, WebP or JPEG-LS picture, got {data[:12]!r}")


def _jpeg(data: bytes) -> StillHeader:
    at = 2
    while True:
        if data[at] != 0xFF:
            raise CodecError(f"jpeg: expected a marker at byte {at}")
        marker = data[at + 1]
        if marker == 0xFF or marker in _JPEG_STANDALONE:
            at += 1 if marker == 0xFF else 2
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        if marker in _JPEG_FRAMES:
            bits, height, width, components = struct.unpack_from(">BHHB", data, at + 4)
            if marker not in _JPEG_BASELINE or bits != 8:
                raise CodecError(f"jpeg: expected baseline of 8 bits, got SOF{marker - 0xC0}")
            return StillHeader("jpeg", width, height, components)
        if marker in (0xD9, 0xDA):
            raise CodecError("jpeg: no frame header before the data")
        if length < 2:
            raise CodecError(f"jpeg: a segment of {length} bytes")
        at += 2 + length


def _png(data: bytes) -> StillHeader:
    length, name, width, height, bits, colour, _, _, interlace = struct.unpack_from(
        ">I4sIIBBBBB", data, 8
    )
    if name != b"IHDR" or length != 13 or bits not in (8, 16) or interlace:
        raise CodecError("png: expected 8 or 16 bits without interlacing")
    if colour not in _PNG_CHANNELS:
        raise CodecError("png: expected gray or true colour")
    at, last = 8, b""
    while at < len(data):
        length, last = struct.unpack_from(">I4s", data, at)
        if last not in (b"IHDR", b"IDAT", b"IEND"):
            raise CodecError(f"png: unexpected chunk {last!r}")
        at += 12 + length
    if last != b"IEND" or at != len(data):
        raise CodecError("png: the data is cut short")
    return StillHeader("png", width, height, _PNG_CHANNELS[colour], bits)


def _webp(data: bytes) -> StillHeader:
    (riff_bytes,) = struct.unpack_from("<I", data, 4)
    name, chunk_bytes = struct.unpack_from("<4sI", data, 12)
    if riff_bytes + 8 != len(data) or 20 + chunk_bytes > len(data):
        raise CodecError("webp: the data is cut short")
    if name == b"VP8 ":
        if data[23:26] != b"\x9d\x01\x2a":
            raise CodecError("webp: expected a key frame")
        width, height = struct.unpack_from("<HH", data, 26)
        return StillHeader("webp", width & 0x3FFF, height & 0x3FFF, 3)
    if name == b"VP8L":
        if data[20] != 0x2F:
            raise CodecError("webp: the lossless header is damaged")
        (bits,) = struct.unpack_from("<I", data, 21)
        return StillHeader("webp", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, 3)
    raise CodecError(f"webp: expected a plain still picture, got {name!r}")
