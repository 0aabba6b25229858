"""Still pictures to bytes and back. What comes from outside is measured before it is decoded."""

from __future__ import annotations

import cv2
import numpy as np

from ..errors import CodecError, DependencyError
from ..types import CHANNELS, EIGHT_BIT
from .headers import StillHeader, read_header
from .jpegls import decode_jpegls, encode_jpegls, load_charls
from .tiles import Image

SUFFIXES = {"jpeg": ".jpg", "webp": ".webp", "png": ".png"}
"""Those of OpenCV; `jpegls` has its own library."""

JPEGLS = "jpegls"
LOSSLESS = ("png", JPEGLS)
"""Those that carry 16 bits."""

DEEP = "16bit"
"""What a gateway announces that takes pictures of 16 bits."""


def readable_stills() -> tuple[str, ...]:
    """What this machine decodes that older versions do not, as it is announced."""
    try:
        load_charls()
    except DependencyError:
        return (DEEP,)
    return (DEEP, JPEGLS)


def check_codec(codec: str) -> None:
    """Raise DependencyError where this machine lacks the codec."""
    if codec == JPEGLS:
        load_charls()
    elif not cv2.haveImageWriter(SUFFIXES[codec]):
        raise DependencyError(f"this OpenCV cannot write {codec}; choose another compression.codec")


def encode_still(
    image: Image,
    encoding: str,
    codec: str,
    quality: int,
    *,
    smallest: bool = False,
    error_max: int = 0,
) -> bytes:
    """Encode a picture; `smallest` spends about twice the time on 10 % fewer bytes (jpeg).

    error_max: gray levels that jpegls may be off. Pixels of 16 bits need a lossless codec.
    """
    if encoding in EIGHT_BIT and codec not in LOSSLESS:
        raise CodecError(f"{codec}: expected pixels of 8 bits, got {encoding}")
    if codec == JPEGLS:
        return encode_jpegls(image, error_max)
    if encoding in ("rgb8", "rgb16"):
        image = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2BGR), image.dtype)
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
    gray, deep = CHANNELS[encoding] == 1, encoding in EIGHT_BIT
    # WebP knows no gray pictures.
    channels = 1 if gray and codec != "webp" else 3
    expected = StillHeader(codec, width_px, height_px, channels, 16 if deep else 8)
    found = read_header(data)
    if found != expected:
        raise CodecError(f"expected {expected}, got {found}")
    if codec == JPEGLS:
        return decode_jpegls(data, width_px, height_px, channels)
    flags = cv2.IMREAD_GRAYSCALE if gray else cv2.IMREAD_COLOR
    flags |= cv2.IMREAD_ANYDEPTH if deep else 0
    try:
        buffer = np.frombuffer(data, np.uint8)
        image = cv2.imdecode(buffer, flags | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        raise CodecError(f"{codec}: cannot be decoded: {error.err}") from error
    shape = (height_px, width_px) if gray else (height_px, width_px, 3)
    kind = np.uint16 if deep else np.uint8
    if image is None or image.shape != shape or image.dtype != kind:
        raise CodecError(f"{codec}: the data is damaged")
    if encoding in ("rgb8", "rgb16"):
        image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    return np.asarray(image, kind)
