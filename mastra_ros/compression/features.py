"""Features into packets and back: the int8 tensor at the cut of a split model.

The layout of the payload, version 1; little endian, 40 bytes of header:

    offset  bytes  field
         0      2  magic, "MF"
         2      1  version, 1
         3      1  method: 0 plain, 1 zstd, 2 masked
         4      4  check: CRC-32 of all the other bytes of the payload
         8      1  order: 0 as in the tensor, 1 with its first side (the channels) moved last
         9      1  rank: sides of the tensor, 1 to 4
        10      2  width of the frame, px
        12      2  height of the frame, px
        14      1  zero point, signed
        15      1  bytes of the cut's name, 1 to 255
        16      8  stamp of the frame, ns, signed
        24      8  scale, float64
        32      1  bytes of the bundle's name, 0 to 255
        33      1  bytes of the pair's name, 0 to 255
        34      2  0
        36      4  bytes of the coded mask; 0 unless masked
        40   4 * r sides of the tensor
         …         the three names in UTF-8: cut, bundle, pair
         …         the coded mask, then the coded values to the end

plain: the values as they are. zstd: one Zstandard frame (RFC 8878) of the values. masked: one
frame of a bit a value, highest bit first, 1 where it is not the zero point; and one frame of these
values alone. Each frame states its size, which is held against the sides before anything is
allocated.

After a ReLU most values are the zero point, and what is left clusters either along a row of a
channel or across the channels of a place; which pays more differs from network to network and
from cut to cut (docs/splitting.md has the numbers). Differences between neighbours, which help
with pictures, made every tensor that was tried larger.
"""

from __future__ import annotations

import math
import struct
import zlib
from typing import NamedTuple

import numpy as np
import zstandard
from numpy.typing import NDArray

from ..errors import CodecError
from ..privacy import ClearedFeatures
from ..types import Features, Packet, PacketKind

MAGIC = b"MF"
VERSION = 1
PLAIN, ZSTD, MASKED = 0, 1, 2
AS_IT_IS, CHANNELS_LAST = 0, 1
RANK_MAX = 4
LEVEL = 3
"""Zstandard's level. 9 makes the tensors tried 5 to 10 % smaller and takes ten times as long."""

TRY_EVERY = 32
"""So often all ways of coding are tried anew; in between, the best one is used again."""

TRY_AT = 0.15
"""They are also tried when the size changes by more than this share: the scene is another."""

_HEADER = struct.Struct("<2sBBIBBHHbBqdBBHI")
Bytes = NDArray[np.int8]


class _Way(NamedTuple):
    """One way to code a tensor."""

    method: int
    order: int


_WAYS = tuple(
    _Way(method, order) for order in (AS_IT_IS, CHANNELS_LAST) for method in (ZSTD, MASKED)
)


class FeatureEncoder:
    """Encodes the features of one stream; each packet stands for itself. Not thread-safe."""

    def __init__(self) -> None:
        self._zstd = zstandard.ZstdCompressor(level=LEVEL)
        self._best: _Way | None = None
        self._since = 0
        self._size = 0
        self._of: tuple[object, ...] = ()

    def encode(
        self,
        cleared: ClearedFeatures,
        *,
        encoding: str = "bgr8",
        hard: bool = False,
        late: bool = False,
    ) -> Packet:
        """Encode; `encoding` is that of the frame. CodecError where the layout has no place."""
        features = cleared.features
        return Packet(
            features.key,
            PacketKind.FEATURES,
            self._pack(features),
            features.width_px,
            features.height_px,
            encoding,
            hard=hard,
            late=late,
            meta={
                "model": features.model,
                "cut": features.cut,
                "shape": list(features.tensor.shape),
                "scale": features.scale,
                "zero_point": features.zero_point,
            },
            clearance=cleared.clearance,
        )

    def _pack(self, features: Features) -> bytes:
        names = [text.encode() for text in (features.cut, features.model, features.pair)]
        shape = features.tensor.shape
        if not 1 <= len(shape) <= RANK_MAX:
            raise CodecError(f"features: expected 1 to {RANK_MAX} sides, got {shape}")
        if not names[0] or max(map(len, names)) > 255:
            raise CodecError("features: expected names of at most 255 bytes, and one of the cut")
        way, mask, values = self._smallest(features)
        fields = [
            MAGIC,
            VERSION,
            way.method,
            0,
            way.order,
            len(shape),
            features.width_px,
            features.height_px,
            features.zero_point,
            len(names[0]),
            features.key.stamp_ns,
            features.scale,
            len(names[1]),
            len(names[2]),
            0,
            len(mask),
        ]
        rest = b"".join([struct.pack(f"<{len(shape)}I", *shape), *names, mask, values])
        fields[3] = _check_of(_HEADER.pack(*fields) + rest)
        return _HEADER.pack(*fields) + rest

    def _smallest(self, features: Features) -> tuple[_Way, bytes, bytes]:
        of = (features.cut, features.pair, features.tensor.shape)
        if self._best is None or of != self._of or self._since >= TRY_EVERY:
            way, mask, values = self._tried(features)
        else:
            way = self._best
            mask, values = self._code(features, way)
            self._since += 1
            change = abs(len(mask) + len(values) - self._size)
            if change > TRY_AT * self._size:
                way, mask, values = self._tried(features)
        self._of = of
        if len(mask) + len(values) < features.tensor.size:
            return way, mask, values
        return _Way(PLAIN, AS_IT_IS), b"", np.ascontiguousarray(features.tensor).tobytes()

    def _tried(self, features: Features) -> tuple[_Way, bytes, bytes]:
        """Code in all ways, and remember which is the best."""
        tried = [(way, *self._code(features, way)) for way in _WAYS]
        best = min(tried, key=lambda one: len(one[1]) + len(one[2]))
        self._best, self._since, self._size = best[0], 0, len(best[1]) + len(best[2])
        return best

    def _code(self, features: Features, way: _Way) -> tuple[bytes, bytes]:
        """The coded mask, and the coded values."""
        flat = _ordered(features.tensor, way.order).reshape(-1)
        if way.method == ZSTD:
            return b"", self._zstd.compress(flat.tobytes())
        mask = flat != features.zero_point
        bits = self._zstd.compress(np.packbits(mask).tobytes())
        return bits, self._zstd.compress(flat[mask].tobytes())


def decode_features(packet: Packet, values_max: int = 16_777_216) -> Features:
    """The features in a packet of at most `values_max` values.

    Raises:
        CodecError: the packet holds no features, is damaged, too large, or contradicts itself.
    """
    if packet.kind is not PacketKind.FEATURES:
        raise CodecError(f"expected features, got {packet.kind.value}")
    data = packet.payload
    if len(data) < _HEADER.size:
        raise CodecError(f"features: expected at least {_HEADER.size} bytes, got {len(data)}")
    (magic, version, method, check, order, rank, width, height, zero, *rest) = _HEADER.unpack_from(
        data
    )
    cut_bytes, stamp_ns, scale, model_bytes, pair_bytes, nothing, mask_bytes = rest
    if magic != MAGIC or version != VERSION:
        raise CodecError(f"features: expected {MAGIC!r} version {VERSION}, got {data[:3]!r}")
    if check != _check_of(data):
        raise CodecError("features: the checksum does not fit, the data is damaged")
    if method > MASKED or order > CHANNELS_LAST or not 1 <= rank <= RANK_MAX or nothing:
        raise CodecError(f"features: unknown method {method}, order {order} or rank {rank}")
    said = (packet.width_px, packet.height_px, packet.key.stamp_ns)
    if (width, height, stamp_ns) != said:
        raise CodecError(f"features: they say {(width, height, stamp_ns)}, the packet says {said}")
    sizes = (4 * rank, cut_bytes, model_bytes, pair_bytes, mask_bytes)
    ends = [_HEADER.size]
    for size in sizes:
        ends.append(ends[-1] + size)
    if ends[-1] > len(data) or not cut_bytes or (method != MASKED and mask_bytes):
        raise CodecError(f"features: {len(data)} bytes are too few for what they should hold")
    parts = [data[start:end] for start, end in zip(ends, [*ends[1:], len(data)], strict=True)]
    shape = struct.unpack(f"<{rank}I", parts[0])
    count = math.prod(shape)
    if not 0 < count <= values_max:
        raise CodecError(f"features: expected 1 to {values_max} values, got {shape}")
    try:
        cut, model, pair = (part.decode() for part in parts[1:4])
        flat = _values(method, zero, count, parts[4], parts[5])
        tensor = _restored(flat, shape, order)
        return Features(packet.key, cut, tensor, scale, zero, width, height, model, pair)
    except ValueError as error:  # names that are no UTF-8, a scale that is no number
        raise CodecError(f"features: {error}") from error


def _values(method: int, zero: int, count: int, mask: bytes, values: bytes) -> Bytes:
    """The values in the order in which they were coded."""
    if method == PLAIN:
        if len(values) != count:
            raise CodecError(f"features: expected {count} bytes of values, got {len(values)}")
        return np.frombuffer(values, np.int8)
    if method == ZSTD:
        return np.frombuffer(_unpacked(values, count), np.int8)
    packed = np.frombuffer(_unpacked(mask, -(-count // 8)), np.uint8)
    bits = np.unpackbits(packed)
    if bits[count:].any():
        raise CodecError("features: the mask names values outside the tensor")
    chosen = bits[:count].view(np.bool_)
    flat = np.full(count, zero, np.int8)
    flat[chosen] = np.frombuffer(_unpacked(values, int(np.count_nonzero(chosen))), np.int8)
    return flat


def _unpacked(data: bytes, size: int) -> bytes:
    """The content of a Zstandard frame that holds exactly `size` bytes."""
    try:
        stated = zstandard.frame_content_size(data)
        if stated != size:
            raise CodecError(f"features: expected {size} bytes in a frame, it states {stated}")
        content: bytes = zstandard.ZstdDecompressor().decompress(data) if size else b""
    except zstandard.ZstdError as error:
        raise CodecError(f"features: {error}") from error
    if len(content) != size:
        raise CodecError(f"features: expected {size} bytes in a frame, got {len(content)}")
    return content


def _ordered(tensor: Bytes, order: int) -> Bytes:
    if order == CHANNELS_LAST:
        tensor = np.moveaxis(tensor, 0, -1)
    return np.ascontiguousarray(tensor)


def _restored(flat: Bytes, shape: tuple[int, ...], order: int) -> Bytes:
    if order == CHANNELS_LAST:
        return np.ascontiguousarray(np.moveaxis(flat.reshape(*shape[1:], shape[0]), -1, 0))
    return flat.reshape(shape)


def _check_of(data: bytes) -> int:
    """The check that belongs into bytes 4 to 7 of a payload."""
    return zlib.crc32(memoryview(data)[8:], zlib.crc32(data[:4]))
