"""Whether a JPEG is whole, found out while it is decoded (ITU-T T.81).

A JPEG that was cut short and ended with an end mark (by the driver, or a proxy) looks whole, and
libjpeg only warns, where OpenCV does not listen. So the end mark is taken away and some bits are
put in its place that are no code: a picture that is whole is decoded before they matter; in one
that is not the decoder runs out of data in some row, and OpenCV gives no picture. That costs
nothing, and finds what lacks more than one block of 16x16 px. Older versions of OpenCV (4.8 does)
leave the missing rows as they are; there that picture is compared with the plain one.

A progressive picture cannot be decoded without its end mark. Its scans must bring all bits of all
coefficients, and random bits before the end mark must change nothing, which takes three decodings
(and libjpeg tells of them on standard error).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np

from ..errors import FrameError

NO_CODE = b"\xff\x00" * 8
"""All ones are no Huffman code; 64 of them fill what the decoder reads ahead."""

NOISE = bytes(np.random.default_rng(1).integers(0, 255, 256, np.uint8))
END = b"\xff\xd9"
BASELINE = (0xC0, 0xC1)
PROGRESSIVE = 0xC2
_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = frozenset(range(0xD0, 0xDA))
_COEFFICIENTS = 64
HEAD_BYTES_MAX = 2048
HEADS_MAX = 8
_heads: tuple[tuple[bytes, int, int], ...] = ()
"""What stood before the data of whole baseline pictures, with width and height in px."""
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
"""One that ends the data of a scan."""


@dataclass(frozen=True)
class JpegLayout:
    """What the markers of a JPEG say."""

    width_px: int
    height_px: int
    one_scan: bool  # baseline, all components in one scan
    end: int  # of the last scan


def read_layout(data: bytes) -> JpegLayout:
    """Walk the markers. FrameError: cut short, without a size, or a scan is missing."""
    for head, width_px, height_px in _heads:  # what an encoder writes before its data, again
        if data.startswith(head):
            end = _scan_end(data, len(head))
            if data[end : end + 2] == END:
                return JpegLayout(width_px, height_px, True, end)
            break
    return _walked(data)


def _remember(head: bytes, size: tuple[int, int]) -> None:
    """Of a whole picture: all up to the data of its one scan."""
    global _heads  # replaced whole, for other threads look through it
    if len(head) <= HEAD_BYTES_MAX:
        _heads = ((head, *size), *_heads[: HEADS_MAX - 1])


def _walked(data: bytes) -> JpegLayout:
    """See `read_layout`."""
    at, start, end, size, kind = 2, 0, 0, (0, 0), 0
    components: tuple[int, ...] = ()
    scans = _Scans()
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # fill
            at += 1
            continue
        if marker in _WITHOUT_LENGTH:
            break
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        body = data[at + 4 : at + 2 + length]
        at += 2 + length
        if marker in _SIZES and len(body) >= 6:
            kind = marker
            size = int.from_bytes(body[3:5], "big"), int.from_bytes(body[1:3], "big")
            components = tuple(body[6::3][: body[5]])
        elif marker == 0xDA:
            scans.add(body)
            start = min(at, len(data))
            at = end = _scan_end(data, start)
        if length < 2:
            break
    while data[at : at + 2] == b"\xff\xff":
        at += 1
    ended = data[at : at + 2] == END
    if not size[0] or not size[1]:
        if size == (0, 0) and not ended and scans.count == 0 and END not in data:
            raise FrameError(f"jpeg of {len(data)} bytes is cut short")
        raise FrameError("jpeg without a size")
    one_scan = kind in BASELINE and scans.count == 1 and scans.holds(components)
    if not ended and not one_scan:
        raise FrameError(f"jpeg of {len(data)} bytes is cut short")
    if not ended and END not in data[at:]:
        raise FrameError(f"jpeg of {len(data)} bytes is cut short")
    if not scans.complete(components, progressive=kind == PROGRESSIVE):
        raise FrameError(f"jpeg of {len(data)} bytes is cut short: it ends before its last scan")
    if one_scan and data[end : end + 2] == END:
        _remember(data[:start], size)
    return JpegLayout(*size, one_scan, end)


def decode_jpeg(data: bytes, flags: int) -> Any:
    """The picture, None where OpenCV cannot decode it; FrameError where a part is missing."""
    layout = read_layout(data)
    if layout.one_scan and _missing_rows_fail():
        image = _decode(data[: layout.end] + NO_CODE, flags)
        if image is None and _decode(data, flags) is not None:
            raise FrameError(_cut_short(data))
        return image
    image = _decode(data, flags)
    if image is not None and not _stays_the_same(data, layout):
        raise FrameError(_cut_short(data))
    return image


def _cut_short(data: bytes) -> str:
    return f"jpeg of {len(data)} bytes is cut short: a part of the picture is missing"


def _decode(data: bytes, flags: int) -> Any:
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise FrameError(f"cannot be decoded: {error.err}") from error


def _scan_end(data: bytes, start: int) -> int:
    """Where the first marker behind a scan's data is; restart markers belong to the data."""
    found = _MARKER.search(data, start)
    end = found.start() if found else len(data)
    while end > start and data[end - 1] == 0xFF:  # fill before the marker
        end -= 1
    return end


def _stays_the_same(data: bytes, layout: JpegLayout) -> bool:
    """Whether the picture is the same with other bits behind it."""
    if layout.one_scan:
        flags, behind = cv2.IMREAD_REDUCED_GRAYSCALE_2, NO_CODE
    else:
        flags, behind = cv2.IMREAD_GRAYSCALE, NOISE + END
    plain = _decode(data[: layout.end] + END, flags)
    other = _decode(data[: layout.end] + behind, flags)
    return plain is not None and other is not None and np.array_equal(plain, other)


@cache
def _missing_rows_fail() -> bool:
    """Whether this OpenCV gives no picture where rows are missing: tried once."""
    image = np.random.default_rng(1).integers(0, 256, (128, 128), np.uint8)
    data = cv2.imencode(".jpg", image)[1].tobytes()
    return _decode(data[: len(data) // 2] + NO_CODE, cv2.IMREAD_GRAYSCALE) is None


class _Scans:
    """Which coefficients of which components have come, to the last bit."""

    def __init__(self) -> None:
        self.count = 0
        self._seen: set[int] = set()
        self._low: dict[int, list[int]] = {}  # component -> bits still missing, a coefficient

    def add(self, body: bytes) -> None:
        """The header of a scan."""
        self.count += 1
        number = body[0] if body else 0
        if len(body) < 4 + 2 * number:
            return
        first, last, bits = body[1 + 2 * number : 4 + 2 * number]
        for component in body[1 : 1 + 2 * number : 2]:
            self._seen.add(component)
            low = self._low.setdefault(component, [255] * _COEFFICIENTS)
            for k in range(first, min(last, _COEFFICIENTS - 1) + 1):
                low[k] = bits & 15

    def holds(self, components: tuple[int, ...]) -> bool:
        return set(components) == self._seen

    def complete(self, components: tuple[int, ...], *, progressive: bool) -> bool:
        if not self.holds(components):
            return False
        return not progressive or not any(any(low) for low in self._low.values())
