"""JPEG-LS (ITU-T T.87) by CharLS: lossless, or no pixel further off than a declared error.

Two things make it smaller than the standard's own use, both undone exactly by the decoder:

- Colour: blue and red travel as their differences from green, modulo the scale, where nothing may
  be lost; the planes of a photograph then took 680 kB instead of 1,030 (PNG: 1,261). A decoder
  knows it by three channels and an error of 0.
- Depth: 10 to 15 bits that were stretched to the full scale of 16 (see `pictures.depth`) travel
  with the bits that they had: the precision in the header says how many. The error allowed counts
  in steps of that depth.
"""

from __future__ import annotations

import functools
import importlib
import struct
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import CodecError, DependencyError

WHITE = 65_535
ERROR_MAX = 255
_STRIDE = 16  # of the pixels that are looked at first
_START, _FRAME, _SCAN, _PRESET = b"\xff\xd8", b"\xff\xf7", b"\xff\xda", b"\xff\xf8"
_END = b"\xff\xd9"


def load_charls() -> Any:
    """The library. DependencyError where it is not installed."""
    try:
        return importlib.import_module("jpeg_ls.CharLS")
    except ImportError as error:
        raise DependencyError(
            "compression.codec jpegls needs pyjpegls: pip install pyjpegls"
        ) from error


def encode_jpegls(image: NDArray[Any], error: int) -> bytes:
    """uint8 or uint16, (height, width) or (height, width, 3), to bytes.

    error: most that a pixel may be off, in gray levels (of 16 bits: in steps of the depth that
    the values have).
    """
    bits = 8
    if image.dtype == np.uint16:
        bits, image = _narrowed(image)
    if image.ndim == 3:
        image = np.ascontiguousarray(np.moveaxis(image, 2, 0))
        if error == 0:
            mask = image.dtype.type((1 << bits) - 1)
            image[0] = (image[0] - image[1]) & mask
            image[2] = (image[2] - image[1]) & mask
    height, width = image.shape[-2:]
    try:
        data = load_charls().encode_buffer(
            image.tobytes(), height, width, 3 if image.ndim == 3 else 1, bits, error, 0
        )
    except (ValueError, RuntimeError) as fault:
        raise CodecError(f"jpegls: cannot be encoded: {fault}") from fault
    return bytes(data)


def decode_jpegls(data: bytes, width_px: int, height_px: int, channels: int) -> NDArray[Any]:
    """The picture, uint8 or uint16; its header was read and compared before (`read_jpegls`)."""
    bits, error = _depth_and_error(data)
    if not data.endswith(_END):  # CharLS looks for it for seconds, beyond the end of what there is
        raise CodecError("jpegls: the data ends early")
    try:
        pixels, _ = load_charls().decode_buffer(data)
    except (ValueError, RuntimeError) as fault:
        raise CodecError(f"jpegls: cannot be decoded: {fault}") from fault
    kind = np.dtype("<u2") if bits > 8 else np.dtype(np.uint8)
    if len(pixels) != width_px * height_px * channels * kind.itemsize:
        raise CodecError("jpegls: the data is damaged")
    image = np.frombuffer(bytes(pixels), kind)
    if channels == 3:
        planes = image.reshape(3, height_px, width_px).copy()
        if error == 0:
            mask = planes.dtype.type((1 << bits) - 1)
            planes[0] = (planes[0] + planes[1]) & mask
            planes[2] = (planes[2] + planes[1]) & mask
        image = np.ascontiguousarray(np.moveaxis(planes, 0, 2))
    else:
        image = image.reshape(height_px, width_px)
    if bits in (8, 16):
        return np.asarray(image, np.uint16 if bits == 16 else np.uint8)
    return np.asarray(_stretched(bits)[image], np.uint16)


def read_jpegls(data: bytes) -> tuple[int, int, int, int]:
    """Width, height, channels and bits that a header states.

    CodecError, struct.error or IndexError where it is none that this encoder writes.
    """
    length, bits, height, width, channels = struct.unpack_from(">HBHHB", data, 4)
    if data[2:4] != _FRAME or length != 8 + 3 * channels or channels not in (1, 3):
        raise CodecError("jpegls: expected a frame of one or three channels")
    if not 8 <= bits <= 16:
        raise CodecError(f"jpegls: expected 8 to 16 bits, got {bits}")
    for channel in range(channels):
        if data[13 + 3 * channel] != 0x11:
            raise CodecError("jpegls: expected channels of one size")
    _scan(data)
    return width, height, channels, bits


def _depth_and_error(data: bytes) -> tuple[int, int]:
    return data[6], _scan(data)


def _scan(data: bytes) -> int:
    """The error allowed in the first scan, which follows the header at once or after a preset."""
    at = 4 + struct.unpack_from(">H", data, 4)[0]
    if data[at : at + 2] == _PRESET:
        if struct.unpack_from(">HB", data, at + 2) != (13, 1):
            raise CodecError("jpegls: expected thresholds alone")
        at += 15
    if data[at : at + 2] != _SCAN or struct.unpack_from(">HB", data, at + 2) != (8, 1):
        raise CodecError("jpegls: expected a scan of one channel")
    return int(data[at + 7])


def _narrowed(image: NDArray[np.uint16]) -> tuple[int, NDArray[np.uint16]]:
    """The least depth from which a stretch to 16 bits gives just these values, and the values."""
    few = image[::_STRIDE, ::_STRIDE]
    for bits in range(9, 16):
        if _fits(few, bits) is not None and (values := _fits(image, bits)) is not None:
            return bits, values
    return 16, image


def _fits(image: NDArray[np.uint16], bits: int) -> NDArray[np.uint16] | None:
    white = (1 << bits) - 1
    values = ((image.astype(np.uint32) * white + WHITE // 2) // WHITE).astype(np.uint16)
    return values if np.array_equal(_stretched(bits)[values], image) else None


@functools.lru_cache(maxsize=16)
def _stretched(bits: int) -> NDArray[np.uint16]:
    """What `pictures.depth` makes of each value of so many bits."""
    white = (1 << bits) - 1
    values = np.arange(white + 1, dtype=np.uint16)[None]
    stretched = cv2.addWeighted(values, WHITE / white, values, 0.0, 0.0)
    return np.asarray(stretched, np.uint16).reshape(-1)
