"""As much of the bitstreams as it takes to know that a packet holds one picture.

H.264: ITU-T H.264, 7.3 and annex B. VP9: its specification, annex B. AV1: its specification, 5.3.
A few bytes are a whole picture of skipped blocks, so a packet of some megabytes could keep a
processor busy for minutes.
"""

from __future__ import annotations

import re

from ...errors import CodecError
from .sps import check_references

_START = re.compile(rb"\x00\x00\x01(.)(.)", re.DOTALL)
_SLICES = {1, 5}  # of a picture, of one that is a key
_PARTITIONS = {2, 3, 4}
_PARAMETERS = 7
_NALS_MAX = 1024
_DELIMITER, _HEADER, _FRAME = 2, 3, 6  # units of AV1
_SUPERFRAME_MAX = 2
"""VP9 and AV1 may carry a picture that is not shown beside the one that is."""


def check_one_picture(video_format: str, data: bytes) -> None:
    """CodecError where a packet holds more than one picture, or cannot be read so far."""
    if video_format == "h264":
        _check_h264(data)
    elif video_format == "vp9":
        _check_vp9(data)
    else:
        _check_av1(data)


def _check_h264(data: bytes) -> None:
    pictures = 0
    for number, unit in enumerate(_START.finditer(data)):
        if number >= _NALS_MAX:
            raise CodecError(f"h264: expected at most {_NALS_MAX} units in a packet")
        kind = unit[1][0] & 0x1F
        if kind in _PARTITIONS:
            raise CodecError("h264: slices in partitions are not taken")
        if kind == _PARAMETERS:
            check_references(data[unit.end() - 1 :])
        # The number of a slice's first block, 0 where a picture begins, is one bit: 1.
        if kind in _SLICES and unit[2][0] & 0x80:
            pictures += 1
    if pictures != 1:
        raise CodecError(f"h264: expected one picture in a packet, got {pictures}")


def _check_vp9(data: bytes) -> None:
    """A superframe names its pictures in its last byte."""
    last = data[-1]
    if last & 0xE0 == 0xC0:
        frames = (last & 7) + 1
        if frames > _SUPERFRAME_MAX:
            raise CodecError(f"vp9: expected one picture in a packet, got {frames}")


def _check_av1(data: bytes) -> None:
    """One temporal unit of at most two pictures, in units that say their sizes."""
    at, delimiters, pictures = 0, 0, 0
    while at < len(data):
        head = data[at]
        if head & 0x82 != 0x02:  # the forbidden bit, and that a size follows
            raise CodecError("av1: expected units with their sizes")
        size, at = _leb128(data, at + (2 if head & 0x04 else 1))
        at += size
        kind = head >> 3 & 15
        delimiters += kind == _DELIMITER
        pictures += kind in (_HEADER, _FRAME)
    if at != len(data) or delimiters > 1 or not 1 <= pictures <= _SUPERFRAME_MAX:
        raise CodecError(f"av1: expected one picture in a packet, got {pictures}")


def _leb128(data: bytes, at: int) -> tuple[int, int]:
    """A size, and where what has that size begins."""
    size = 0
    for shift in range(0, 35, 7):
        if at >= len(data):
            break
        byte = data[at]
        at += 1
        size |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return size, at
    raise CodecError("av1: a unit is cut short")
