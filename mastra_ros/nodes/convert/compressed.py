"""Compressed pictures: sensor_msgs/CompressedImage <-> frames.

The field `format` is written by image_transport as `rgb8; jpeg compressed bgr8`: the encoding of
the picture at the driver, the codec, and the order of the colours in the compressed data. Many
drivers write `jpeg` only. The codec is told from the bytes.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage

from ...errors import FrameError
from ...pictures import PictureReader, decode_still_file, eight_bits, still_size
from ...types import MAX_SIDE_PX, Frame
from .image import bytes_to_ros, header_to_ros, key_from_ros
from .pixels import mosaic_to_bgr


def compressed_to_ros(frame: Frame, codec: str = "jpeg", quality: int = 90) -> CompressedImage:
    """Frame -> sensor_msgs/CompressedImage: jpeg (quality 1 to 100; 8 bits) or png (all bits)."""
    if codec not in ("jpeg", "png"):
        raise FrameError(f"compressed image: expected codec jpeg or png, got {codec!r}")
    shown = eight_bits(frame) if codec == "jpeg" else frame
    image = shown.image
    if shown.encoding.startswith("rgb"):
        image = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if codec == "jpeg" else []
    done, data = cv2.imencode(f".{codec}", image, options)
    if not done:
        raise FrameError(f"compressed image: {codec} cannot hold {image.shape}")
    return CompressedImage(
        header=header_to_ros(frame.key, frame.frame_id),
        format=f"{frame.encoding}; {codec} compressed {shown.encoding.replace('rgb', 'bgr')}",
        data=bytes_to_ros(data),
    )


def compressed_from_ros(
    msg: CompressedImage, stream: str, reader: PictureReader | None = None
) -> Frame:
    """sensor_msgs/CompressedImage (jpeg, png or webp) -> Frame. Raises FrameError.

    Gray and colour as the data is, gray too where the driver says so; a PNG of 16 bits goes
    through `reader`. The orientation that a picture may name is left alone, as by image_transport.
    """
    source, codec, order = _parts(msg.format)
    if codec.startswith("compresseddepth"):
        raise FrameError(
            f"compressed image: {msg.format!r} is a depth image, which is not supported; "
            "use the topic image_raw"
        )
    data = bytes(msg.data)
    try:
        width, height = still_size(data)
        if not (0 < width <= MAX_SIDE_PX and 0 < height <= MAX_SIDE_PX):
            raise FrameError(f"expected sides of 1 to {MAX_SIDE_PX} px, got {width}x{height} px")
        stored = decode_still_file(data, upright=False)
        image: NDArray[Any] = (reader or PictureReader()).take(stored)
    except FrameError as error:
        named = f" ({msg.format!r})" if msg.format else ""
        raise FrameError(f"compressed image{named}: {error}") from error
    colours = mosaic_to_bgr(image, source) if image.ndim == 2 else None
    if colours is not None:
        image = colours
    elif image.ndim == 3 and source.startswith("mono"):
        image = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), image.dtype)
    bits = "16" if image.dtype == np.uint16 else "8"
    # Some drivers compress RGB as if it were BGR, and say so.
    name = "mono" if image.ndim == 2 else "rgb" if order.startswith("rgb") else "bgr"
    key = key_from_ros(msg.header, stream)
    return Frame(key, image, name + bits, frame_id=msg.header.frame_id)


def _parts(text: str) -> tuple[str, str, str]:
    """`rgb8; jpeg compressed bgr8` -> encoding at the driver, codec, encoding compressed."""
    source, semicolon, rest = text.partition(";")
    words = rest.split() if semicolon else source.split()
    codec = words[0].lower() if words else ""
    order = words[-1] if len(words) > 2 and words[1] == "compressed" else ""
    return (source.strip() if semicolon else "", codec, order)
