"""Pictures, stamps and headers: ROS messages <-> frames.

`stream` names the stream of the frames made from messages: a ROS header knows only the stamp.
"""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from mastra_ros.msg import FrameKey as FrameKeyMsg

from ...errors import FrameError, MessageError
from ...pictures import PictureReader
from ...types import FRAME_ID, Frame, FrameKey
from .pixels import pixels_from_ros

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


def bytes_to_ros(data: bytes | NDArray[Any]) -> array[int]:
    """Bytes as what a uint8[] field takes without looking at each one of them."""
    filled = array("B")
    filled.frombytes(data)  # type: ignore[arg-type]  # numpy arrays are buffers too
    return filled


def frame_to_ros(frame: Frame) -> Image:
    """Frame -> sensor_msgs/Image, one copy of the pixels."""
    image = np.ascontiguousarray(frame.image)
    if image.dtype == np.uint16:
        image = image.astype("<u2", copy=False).view(np.uint8)
    # The constructor copies an array twice; the setter takes it as it is, if it is to look at it.
    message = Image(
        header=header_to_ros(frame.key, frame.frame_id),
        height=frame.height_px,
        width=frame.width_px,
        encoding=frame.encoding,
        is_bigendian=0,
        step=image.strides[0],
        check_fields=True,
    )
    message.data = bytes_to_ros(image)
    return message


def frame_from_ros(msg: Image, stream: str, reader: PictureReader | None = None) -> Frame:
    """sensor_msgs/Image -> Frame; see `pixels` for the encodings. Raises FrameError.

    `reader` knows the depth of pictures of more than 8 bits; without one, 16 bits are all used.
    """
    image, encoding = pixels_from_ros(msg, reader or PictureReader())
    key = key_from_ros(msg.header, stream)
    return Frame(key, image, encoding, frame_id=msg.header.frame_id)


def camera_info_to_ros(frame: Frame) -> CameraInfo:
    """The size of the pictures, for viewers; the matrices stay zero: not calibrated."""
    return CameraInfo(
        header=header_to_ros(frame.key, frame.frame_id),
        height=frame.height_px,
        width=frame.width_px,
    )
