"""The payload of video packets: which picture each rests on, by name.

    offset  bytes  field
         0      1  version, 0x56; 0x57 in a key whose codec holds a smaller picture
         1      1  kind in the high half (0 key, 1 inter, 2 repeat), bitstream in the low one
         2      4  check: CRC-32 of all the other bytes, and of what the packet says of the frame
         6      4  check of the packet that this one rests on; not in a key
         6      4  instead, in a key of version 0x57: width and height that the codec holds, px
        10      n  the codec's packet; none in a repeat

Little endian. What the message around it carries (size, encoding, stamps) is not repeated here, but
the check covers it. As with tiles, a check names a state: it covers the check of the packet before,
and so on back to a key, so equal checks mean the same packets since the key, and the same decoder
that has seen them gives the same picture to the last bit, which H.264, VP9 and AV1 demand of all.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum

from ..errors import CodecError
from ..types import Packet, PacketKind
from .codecs import FORMATS

VERSION, VERSION_SCALED = 0x56, 0x57
SCALED = "scaled"
"""What a gateway announces that takes pictures smaller than their frame."""
SIDE_MIN_PX = 16
_HEAD = struct.Struct("<BBI")
_NAME = struct.Struct("<I")
_SIZE = struct.Struct("<HH")
_ABOUT = struct.Struct("<HHBqq")
_ENCODINGS = ("mono8", "bgr8", "rgb8")


class Link(IntEnum):
    """How a packet hangs on the chain."""

    KEY = 0
    INTER = 1
    REPEAT = 2


@dataclass(frozen=True)
class VideoPayload:
    """A payload in parts; `rests_on` is the check of the packet before, 0 in a key.

    coded_px: width and height of the picture in a key, where it is smaller than the frame.
    """

    link: Link
    format: str
    rests_on: int
    data: bytes
    coded_px: tuple[int, int] | None = None


def pack_video(payload: VideoPayload, packet: Packet) -> tuple[bytes, int]:
    """The bytes of a payload for this packet (whose own payload is ignored), and its check."""
    kind = payload.link << 4 | FORMATS.index(payload.format)
    rest = b"" if payload.link is Link.KEY else _NAME.pack(payload.rests_on)
    version = VERSION
    if payload.coded_px is not None:
        version, rest = VERSION_SCALED, _SIZE.pack(*payload.coded_px)
    rest += payload.data
    check = _check(version, kind, rest, packet)
    return _HEAD.pack(version, kind, check) + rest, check


def unpack_video(packet: Packet) -> tuple[VideoPayload, int]:
    """Take a payload apart and check it against its packet; also its check.

    Raises:
        CodecError: it is no payload of this version, is damaged, or contradicts the packet.
    """
    data = packet.payload
    if len(data) < _HEAD.size or data[0] not in (VERSION, VERSION_SCALED):
        raise CodecError(f"video: expected version {VERSION:#x}, got {data[:1]!r}")
    version, kind, check = _HEAD.unpack_from(data)
    rest = data[_HEAD.size :]
    if check != _check(version, kind, rest, packet):
        raise CodecError("video: its checksum does not fit, the data is damaged")
    if kind >> 4 > Link.REPEAT or kind & 15 >= len(FORMATS):
        raise CodecError(f"video: unknown kind {kind >> 4} or bitstream {kind & 15}")
    link, rests_on = Link(kind >> 4), 0
    expected = PacketKind.REPEAT if link is Link.REPEAT else PacketKind.VIDEO
    if packet.kind is not expected or (link is Link.KEY) != (packet.reference_ns == 0):
        raise CodecError(f"video: a {link.name.lower()} in a packet of kind {packet.kind.value}")
    if link is not Link.KEY:
        if len(rest) < _NAME.size:
            raise CodecError("video: it names nothing that it rests on")
        (rests_on,) = _NAME.unpack_from(rest)
        rest = rest[_NAME.size :]
    coded_px = None
    if version == VERSION_SCALED:
        coded_px, rest = _coded_px(link, rest, packet)
    if (link is Link.REPEAT) != (not rest):
        raise CodecError(f"video: a {link.name.lower()} with {len(rest)} bytes")
    return VideoPayload(link, FORMATS[kind & 15], rests_on, rest, coded_px), check


def _coded_px(link: Link, rest: bytes, packet: Packet) -> tuple[tuple[int, int], bytes]:
    """The size that the codec holds, and what follows it."""
    if link is not Link.KEY or len(rest) < _SIZE.size:
        raise CodecError("video: expected a key that says the size of its picture")
    width, height = _SIZE.unpack_from(rest)
    fits = SIDE_MIN_PX <= width <= packet.width_px and SIDE_MIN_PX <= height <= packet.height_px
    if not fits:
        raise CodecError(
            f"video: expected a picture of {SIDE_MIN_PX} px to {packet.width_px}x"
            f"{packet.height_px} px, got {width}x{height} px"
        )
    return (width, height), rest[_SIZE.size :]


def _check(version: int, kind: int, rest: bytes, packet: Packet) -> int:
    if packet.encoding not in _ENCODINGS:
        raise CodecError(f"video: expected one of {_ENCODINGS}, got {packet.encoding!r:.40}")
    about = _ABOUT.pack(
        packet.width_px,
        packet.height_px,
        _ENCODINGS.index(packet.encoding),
        packet.key.stamp_ns,
        packet.reference_ns,
    )
    return zlib.crc32(rest, zlib.crc32(about + bytes((version, kind))))
