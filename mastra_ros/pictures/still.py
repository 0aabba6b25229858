"""Still pictures out of the bytes of a file or message: whole, or refused.

Decoders are made to show what there is of a damaged picture. OpenCV says nothing when a JPEG ends
early, as long as it has an end mark: the rest is gray, or what was in the row before. A camera's
picture must be whole, so JPEG is looked at closely in `jpeg.py`; of the other formats OpenCV
itself refuses a part.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import FrameError
from .jpeg import decode_jpeg, read_layout

PNG = b"\x89PNG\r\n\x1a\n"
AS_STORED = cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH


def still_size(data: bytes) -> tuple[int, int]:
    """Width and height in px that a JPEG, PNG or WebP states, before anything is allocated.

    FrameError where it is none of these, or its end is missing.
    """
    if data[:8] == PNG:
        if data[12:16] != b"IHDR" or b"IEND" not in data[-16:]:
            raise FrameError(f"png of {len(data)} bytes is cut short")
        return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp_size(data)
    if data[:3] != b"\xff\xd8\xff":
        raise FrameError(f"expected jpeg, png or webp, got bytes {data[:8].hex(' ')}")
    layout = read_layout(data)
    return layout.width_px, layout.height_px


def decode_still_file(data: bytes, *, upright: bool = True) -> NDArray[Any]:
    """A picture as uint8, uint16 or float32: gray (height, width), else BGR (height, width, 3).

    upright: turned as its EXIF orientation says. Raises FrameError: it is no picture that OpenCV
    can read, is cut short, or damaged.
    """
    flags = AS_STORED | (0 if upright else cv2.IMREAD_IGNORE_ORIENTATION)
    image = decode_jpeg(data, flags) if data[:3] == b"\xff\xd8\xff" else _decode(data, flags)
    if image is None:
        raise FrameError(f"not a picture that OpenCV can read, or damaged ({len(data)} bytes)")
    white = _netpbm_white(data)
    if white and image.dtype in (np.uint8, np.uint16):  # OpenCV leaves the file's own scale
        full = np.iinfo(image.dtype).max
        image = np.asarray(cv2.addWeighted(image, full / white, image, 0.0, 0.0), image.dtype)
    return np.asarray(image)


def _decode(data: bytes, flags: int) -> Any:
    if not data:
        return None
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise FrameError(f"cannot be decoded: {error.err}") from error


def _webp_size(data: bytes) -> tuple[int, int]:
    if len(data) < 30 or int.from_bytes(data[4:8], "little") + 8 > len(data):
        raise FrameError(f"webp of {len(data)} bytes is cut short")
    kind = data[12:16]
    if kind == b"VP8X":
        wide, high = int.from_bytes(data[24:27], "little"), int.from_bytes(data[27:30], "little")
        return wide + 1, high + 1
    if kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    wide, high = int.from_bytes(data[26:28], "little"), int.from_bytes(data[28:30], "little")
    return wide & 0x3FFF, high & 0x3FFF


def _netpbm_white(data: bytes) -> int:
    """The value that a PGM or PPM calls white, where that is not its type's largest; else 0."""
    if data[:2] not in (b"P2", b"P3", b"P5", b"P6"):
        return 0
    words: list[bytes] = []
    for line in data[2:1024].split(b"\n"):
        words += line.partition(b"#")[0].split()
        if len(words) >= 3:
            break
    white = int(words[2]) if len(words) >= 3 and words[2].isdigit() else 0
    return white if 0 < white < 65_535 and white != 255 else 0
