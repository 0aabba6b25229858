"""Pictures, stamps and headers: ROS messages <-> frames.

`stream` names the stream of the frames made from messages: a ROS header knows only the stamp.
"""

from __future__ import annotations

from array import array

import cv2
import numpy as np
from builtin_interfaces.msg import Time
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from mastra_ros.msg import FrameKey as FrameKeyMsg

from ...errors import FrameError, MessageError
from ...types import FRAME_ID, MAX_SIDE_PX, Frame, FrameKey

# ROS encoding -> bytes a pixel, encoding of the frame, OpenCV conversion (None: as it is).
# The Bayer names of OpenCV start at the second pixel of the second row, those of ROS at the first.
_ENCODINGS: dict[str, tuple[int, str, int | None]] = {
    "mono8": (1, "mono8", None),
    "8UC1": (1, "mono8", None),
    "bgr8": (3, "bgr8", None),
    "8UC3": (3, "bgr8", None),
    "rgb8": (3, "rgb8", None),
    "bgra8": (4, "bgr8", cv2.COLOR_BGRA2BGR),
    "8UC4": (4, "bgr8", cv2.COLOR_BGRA2BGR),
    "rgba8": (4, "rgb8", cv2.COLOR_BGRA2BGR),  # drops alpha, keeps the order
    "mono16": (2, "mono8", None),
    "16UC1": (2, "mono8", None),
    "yuv422": (2, "bgr8", cv2.COLOR_YUV2BGR_UYVY),
    "uyvy": (2, "bgr8", cv2.COLOR_YUV2BGR_UYVY),
    "yuv422_yuy2": (2, "bgr8", cv2.COLOR_YUV2BGR_YUY2),
    "yuyv": (2, "bgr8", cv2.COLOR_YUV2BGR_YUY2),
    "bayer_rggb8": (1, "bgr8", cv2.COLOR_BayerBG2BGR),
    "bayer_bggr8": (1, "bgr8", cv2.COLOR_BayerRG2BGR),
    "bayer_gbrg8": (1, "bgr8", cv2.COLOR_BayerGR2BGR),
    "bayer_grbg8": (1, "bgr8", cv2.COLOR_BayerGB2BGR),
}
_SIXTEEN_BIT = ("mono16", "16UC1")
_PAIRED = ("yuv422", "uyvy", "yuv422_yuy2", "yuyv")  # two pixels share their colour

_S = 1_000_000_000


def stamp_to_ros(stamp_ns: int) -> Time:
    """A stamp in ns since the epoch of its clock -> builtin_interfaces/Time."""
    sec, nanosec = divmod(stamp_ns, _S)
    if not -(2**31) <= sec < 2**31:
        raise FrameError(f"stamp: expected less than 2^31 s, got {stamp_ns} ns")
    return Time(sec=sec, nanosec=nanosec)


def stamp_from_ros(msg: Time) -> int:
    """builtin_interfaces/Time -> ns since the epoch of its clock."""
    if msg.nanosec >= _S:
        raise FrameError(f"stamp: expected nanosec below {_S}, got {msg.nanosec}")
    return int(msg.sec) * _S + int(msg.nanosec)


def header_to_ros(key: FrameKey, frame_id: str = "camera") -> Header:
    """The header of a frame; the stream has no place in it."""
    return Header(stamp=stamp_to_ros(key.stamp_ns), frame_id=frame_id)


def key_from_ros(msg: Header, stream: str, frame_id: str = "") -> FrameKey:
    """The key of the frame that a header belongs to; the id stands beside it. Or MessageError."""
    if not FRAME_ID.fullmatch(frame_id):
        raise MessageError(f"id: expected {FRAME_ID.pattern}, got {frame_id[:80]!r}")
    return FrameKey(stream, stamp_from_ros(msg.stamp), frame_id)


def frame_key_to_ros(key: FrameKey, frame_id: str = "camera") -> FrameKeyMsg:
    """FrameKey -> mastra_ros/FrameKey; `frame_id` is that of the header."""
    return FrameKeyMsg(header=header_to_ros(key, frame_id), id=key.id)


def frame_key_from_ros(msg: FrameKeyMsg, stream: str) -> FrameKey:
    """mastra_ros/FrameKey -> FrameKey. Raises MessageError."""
    return key_from_ros(msg.header, stream, msg.id)


def bytes_to_ros(data: bytes | NDArray[np.uint8]) -> array[int]:
    """Bytes as what a uint8[] field takes without looking at each one of them."""
    filled = array("B")
    filled.frombytes(data)  # type: ignore[arg-type]  # numpy arrays are buffers too
    return filled


def frame_to_ros(frame: Frame) -> Image:
    """Frame -> sensor_msgs/Image, one copy of the pixels."""
    image = np.ascontiguousarray(frame.image)
    return Image(
        header=header_to_ros(frame.key, frame.frame_id),
        height=frame.height_px,
        width=frame.width_px,
        encoding=frame.encoding,
        is_bigendian=0,
        step=image.strides[0],
        data=bytes_to_ros(image),
    )


def frame_from_ros(msg: Image, stream: str) -> Frame:
    """sensor_msgs/Image -> Frame.

    mono8, 8UC1, bgr8, 8UC3 and rgb8 become a view of the message's bytes, padding of the rows
    left out; the others are converted (16 bit: the upper byte is kept). Raises FrameError.
    """
    if msg.encoding not in _ENCODINGS:
        raise FrameError(
            f"image: expected an encoding out of {', '.join(_ENCODINGS)}, got {msg.encoding!r}"
        )
    pixel_bytes, encoding, conversion = _ENCODINGS[msg.encoding]
    height, width, step = int(msg.height), int(msg.width), int(msg.step)
    if not (0 < width <= MAX_SIDE_PX and 0 < height <= MAX_SIDE_PX):
        raise FrameError(f"image: expected sides of 1 to {MAX_SIDE_PX} px, got {width}x{height} px")
    if msg.encoding in _PAIRED and width % 2:
        raise FrameError(f"image: expected an even width for {msg.encoding}, got {width} px")
    if step < width * pixel_bytes:
        raise FrameError(
            f"image: expected step >= {width * pixel_bytes} bytes for {width} px of "
            f"{msg.encoding}, got {step}"
        )
    flat = np.frombuffer(msg.data, np.uint8)
    if flat.size != step * height:
        raise FrameError(
            f"image: expected {step * height} bytes of data (step {step} x height {height}), "
            f"got {flat.size}"
        )
    rows = flat.reshape(height, step)[:, : width * pixel_bytes]
    image = rows if pixel_bytes == 1 else rows.reshape(height, width, pixel_bytes)
    if msg.encoding in _SIXTEEN_BIT:
        image = np.ascontiguousarray(image[:, :, 0 if msg.is_bigendian else 1])
    elif conversion is not None:
        image = cv2.cvtColor(image, conversion)  # type: ignore[assignment]
    key = key_from_ros(msg.header, stream)
    return Frame(key, image, encoding, frame_id=msg.header.frame_id)


def compressed_to_ros(frame: Frame, codec: str = "jpeg", quality: int = 90) -> CompressedImage:
    """Frame -> sensor_msgs/CompressedImage: codec jpeg (quality 1 to 100) or png."""
    if codec not in ("jpeg", "png"):
        raise FrameError(f"compressed image: expected codec jpeg or png, got {codec!r}")
    image = frame.image
    if frame.encoding == "rgb8":
        image = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)  # type: ignore[assignment]
    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if codec == "jpeg" else []
    done, data = cv2.imencode(f".{codec}", image, options)
    if not done:
        raise FrameError(f"compressed image: {codec} cannot hold {image.shape}")
    inner = "mono8" if frame.encoding == "mono8" else "bgr8"
    return CompressedImage(
        header=header_to_ros(frame.key, frame.frame_id),
        format=f"{frame.encoding}; {codec} compressed {inner}",
        data=bytes_to_ros(data),
    )


def compressed_from_ros(msg: CompressedImage, stream: str) -> Frame:
    """sensor_msgs/CompressedImage (jpeg or png) -> Frame, mono8 or bgr8. Raises FrameError."""
    data = bytes(msg.data)
    width, height = _picture_size(data)
    if not (0 < width <= MAX_SIDE_PX and 0 < height <= MAX_SIDE_PX):
        raise FrameError(
            f"compressed image: expected sides of 1 to {MAX_SIDE_PX} px, got {width}x{height} px"
        )
    grey = msg.format.startswith("mono8")
    flag = cv2.IMREAD_GRAYSCALE if grey else cv2.IMREAD_COLOR
    image = cv2.imdecode(np.frombuffer(data, np.uint8), flag | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        raise FrameError(f"compressed image: {len(data)} bytes of {msg.format!r} are damaged")
    key = key_from_ros(msg.header, stream)
    return Frame(
        key,
        image,  # type: ignore[arg-type]
        "mono8" if grey else "bgr8",
        frame_id=msg.header.frame_id,
    )


def _picture_size(data: bytes) -> tuple[int, int]:
    """Width and height in px that a whole JPEG or PNG states, before anything is allocated.

    A picture without its end is refused here: decoders fill what is missing with grey.
    """
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        if data[12:16] != b"IHDR" or b"IEND" not in data[-16:]:
            raise FrameError(f"compressed image: png of {len(data)} bytes is cut short")
        return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    if data[:3] != b"\xff\xd8\xff":
        raise FrameError(f"compressed image: expected jpeg or png, got bytes {data[:8].hex(' ')}")
    if not data.rstrip(b"\0").endswith(b"\xff\xd9"):
        raise FrameError(f"compressed image: jpeg of {len(data)} bytes is cut short")
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            size = data[at + 5 : at + 9]
            return int.from_bytes(size[2:], "big"), int.from_bytes(size[:2], "big")
        at += 1 if marker == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    raise FrameError("compressed image: jpeg without a size")


def camera_info_to_ros(frame: Frame) -> CameraInfo:
    """The size of the pictures, for viewers; the matrices stay zero: not calibrated."""
    return CameraInfo(
        header=header_to_ros(frame.key, frame.frame_id),
        height=frame.height_px,
        width=frame.width_px,
    )
