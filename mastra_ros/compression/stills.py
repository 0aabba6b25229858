"""Still pictures to bytes and back. What comes from outside is measured before it is decoded."""

from __future__ import annotations

import cv2
import numpy as np

from ..errors import CodecError, DependencyError
from .headers import StillHeader, read_header
from .tiles import Image

SUFFIXES = {"jpeg": ".jpg", "webp": ".webp", "png": ".png"}


def check_codec(codec: str) -> None:
    """Raise DependencyError where this OpenCV was built without the codec."""
    if not cv2.haveImageWriter(SUFFIXES[codec]):
        raise DependencyError(f"this OpenCV cannot write {codec}; choose another compression.codec")


def encode_still(
    image: Image, encoding: str, codec: str, quality: int, *, smallest: bool = False
) -> bytes:
    """Encode a picture; `smallest` spends about twice the time on 10 % fewer bytes (jpeg)."""
    if encoding == "rgb8":
        image = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2BGR), np.uint8)
    options: list[int] = []
    if codec == "jpeg":
        options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, int(smallest)]
    elif codec == "webp":
        options = [cv2.IMWRITE_WEBP_QUALITY, quality]
    try:
        done, data = cv2.imencode(SUFFIXES[codec], image, options)
    except cv2.error as error:
        raise CodecError(f"{codec}: cannot be encoded: {error.err}") from error
    if not done:
        raise CodecError(f"{codec}: cannot encode {image.shape[1]}x{image.shape[0]} px")
    return data.tobytes()


def decode_still(data: bytes, encoding: str, codec: str, width_px: int, height_px: int) -> Image:
    """Decode a picture that has to be of this codec, encoding and size; else CodecError.

    The sizes in the data's own header are compared before anything is allocated for them.
    """
    gray = encoding == "mono8"
    # WebP knows no gray pictures.
    channels = 1 if gray and codec != "webp" else 3
    expected = StillHeader(codec, width_px, height_px, channels)
    found = read_header(data)
    if found != expected:
        raise CodecError(f"expected {expected}, got {found}")
    flags = cv2.IMREAD_GRAYSCALE if gray else cv2.IMREAD_COLOR
    try:
        buffer = np.frombuffer(data, np.uint8)
        image = cv2.imdecode(buffer, flags | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        raise CodecError(f"{codec}: cannot be decoded: {error.err}") from error
    shape = (height_px, width_px) if gray else (height_px, width_px, 3)
    if image is None or image.shape != shape or image.dtype != np.uint8:
        raise CodecError(f"{codec}: the data is damaged")
    if encoding == "rgb8":
        image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    return np.asarray(image, np.uint8)
