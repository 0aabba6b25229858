"""The layout of a picture's payload.

Little endian, 40 bytes of header, then for a delta the mask, then the still picture:

    offset  bytes  field
         0      2  magic, "MC"
         2      1  version, 1
         3      1  kind: 0 key, 1 delta
         4      4  check: CRC-32 of all the other bytes of the payload
         8      1  codec: 0 jpeg, 1 webp, 2 png, 3 jpegls
         9      1  encoding: 0 mono8, 1 bgr8, 2 rgb8, 3 mono16, 4 bgr16, 5 rgb16
        10      2  width of the frame, px
        12      2  height of the frame, px
        14      2  tile_px: side of a tile, a multiple of 8 from 8 to 512; 0 in a key
        16      8  stamp of the frame, ns, signed
        24      8  stamp of the reference, ns, signed; 0 in a key
        32      4  check of the reference's payload; 0 in a key
        36      4  bytes of the still picture; 0 in a delta in which nothing has changed
        40      m  mask, delta only: one bit a tile, row by row, highest bit first, rest 0
      40+m         key: the whole frame; delta: the mosaic of the changed tiles

The check does two things. It finds damage, which a lossy codec would decode into a wrong picture;
and it names the picture: a delta carries its reference's check, that reference's payload carries
the check of its own, and so on back to a key, so equal checks mean the same chain of payloads. The
pixels themselves are no such name, because two builds of a JPEG library may differ by a gray level
when they decode the same bytes.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import numpy as np

from ..errors import CodecError
from ..types import Packet, PacketKind
from .tiles import Mask, grid, mask_bytes, pack_mask, unpack_mask

MAGIC = b"MC"
VERSION = 1
TILE_MAX_PX = 512
TILE_STEP_PX = 8

_HEADER = struct.Struct("<2sBBIBBHHHqqII")
_KINDS = (PacketKind.KEY, PacketKind.DELTA)
_CODECS = ("jpeg", "webp", "png", "jpegls")
_ENCODINGS = ("mono8", "bgr8", "rgb8", "mono16", "bgr16", "rgb16")


@dataclass(frozen=True)
class Payload:
    """A payload in parts. `mask` and the three about the reference belong to deltas only."""

    codec: str
    encoding: str
    width_px: int
    height_px: int
    stamp_ns: int
    still: bytes
    tile_px: int = 0
    reference_ns: int = 0
    reference_check: int = 0
    mask: Mask | None = None

    @property
    def tiles(self) -> int:
        """Changed tiles; 0 in a key."""
        return 0 if self.mask is None else int(np.count_nonzero(self.mask))


def check_of(data: bytes) -> int:
    """The check that belongs into bytes 4 to 7 of a payload."""
    return zlib.crc32(memoryview(data)[8:], zlib.crc32(data[:4]))


def pack(payload: Payload) -> tuple[bytes, int]:
    """The bytes of a payload, and its check."""
    fields = [
        MAGIC,
        VERSION,
        0 if payload.mask is None else 1,
        0,
        _CODECS.index(payload.codec),
        _ENCODINGS.index(payload.encoding),
        payload.width_px,
        payload.height_px,
        payload.tile_px,
        payload.stamp_ns,
        payload.reference_ns,
        payload.reference_check,
        len(payload.still),
    ]
    rest = (b"" if payload.mask is None else pack_mask(payload.mask)) + payload.still
    fields[3] = check = check_of(_HEADER.pack(*fields) + rest)
    return _HEADER.pack(*fields) + rest, check


def unpack(packet: Packet) -> tuple[Payload, int]:
    """Take a packet's payload apart and check it against the packet; also its check.

    Raises:
        CodecError: it is no payload of this version, is damaged, or contradicts the packet.
    """
    data = packet.payload
    if len(data) < _HEADER.size:
        raise CodecError(f"payload: expected at least {_HEADER.size} bytes, got {len(data)}")
    (magic, version, kind, check, codec, encoding, width, height, tile, stamp, *rest) = (
        _HEADER.unpack_from(data)
    )
    reference_ns, reference_check, still_bytes = rest
    if magic != MAGIC or version != VERSION:
        raise CodecError(f"payload: expected {MAGIC!r} version {VERSION}, got {data[:3]!r}")
    if check != check_of(data):
        raise CodecError("payload: its checksum does not fit, the data is damaged")
    if kind >= len(_KINDS) or codec >= len(_CODECS) or encoding >= len(_ENCODINGS):
        raise CodecError(f"payload: unknown kind {kind}, codec {codec} or encoding {encoding}")
    found = (_KINDS[kind], width, height, _ENCODINGS[encoding], stamp, reference_ns)
    said = (
        packet.kind,
        packet.width_px,
        packet.height_px,
        packet.encoding,
        packet.key.stamp_ns,
        packet.reference_ns,
    )
    if found != said:
        raise CodecError(f"payload: it says {found}, its packet says {said}")
    mask: Mask | None = None
    at = _HEADER.size
    if packet.kind is PacketKind.DELTA:
        if tile % TILE_STEP_PX or not TILE_STEP_PX <= tile <= TILE_MAX_PX:
            raise CodecError(f"payload: tiles of {tile} px")
        rows, columns = grid(width, height, tile)
        end = at + mask_bytes(rows, columns)
        if len(data) < end:
            raise CodecError(f"payload: expected {end - at} bytes of mask, got {len(data) - at}")
        mask = unpack_mask(data[at:end], rows, columns)
        if mask is None:
            raise CodecError("payload: the mask names tiles outside the picture")
        at = end
    elif tile or reference_check:
        raise CodecError("payload: a key with a reference")
    if len(data) - at != still_bytes:
        raise CodecError(f"payload: expected {still_bytes} bytes of picture, got {len(data) - at}")
    payload = Payload(
        _CODECS[codec],
        _ENCODINGS[encoding],
        width,
        height,
        stamp,
        data[at:],
        tile,
        reference_ns,
        reference_check,
        mask,
    )
    if mask is not None and (payload.tiles == 0) != (still_bytes == 0):
        raise CodecError(f"payload: {payload.tiles} changed tiles in {still_bytes} bytes")
    return payload, check
