"""Pictures survive the way through ROS messages, and bad ones are refused in one clear line."""

from __future__ import annotations

from array import array

import numpy as np
import pytest

pytest.importorskip("sensor_msgs", reason="needs ROS messages: source env.sh")

from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CameraInfo, Image

from mastra_ros.errors import FrameError
from mastra_ros.nodes import convert
from mastra_ros.types import Frame, FrameKey

KEY = FrameKey("main", 1_700_000_000_123_456_789)


def picture(encoding: str = "bgr8", height: int = 48, width: int = 64) -> Frame:
    """A smooth picture, different in each channel."""
    y, x = np.mgrid[0:height, 0:width]
    channels = [(x * 2) % 256, (y * 3) % 256, (x + y) % 256]
    image = np.stack(channels, axis=-1).astype(np.uint8)
    if encoding.endswith("16"):
        image = image.astype(np.uint16) * 257 - image
    return Frame(
        KEY, image[:, :, 0].copy() if encoding.startswith("mono") else image, encoding, "lens"
    )


def sent(message: Image) -> Image:
    """The message as a subscriber gets it."""
    return deserialize_message(serialize_message(message), type(message))


def message(encoding: str, rows: np.ndarray, width: int, *, big: bool = False) -> Image:
    """An Image from rows of bytes, (height, step)."""
    return Image(
        height=rows.shape[0],
        width=width,
        encoding=encoding,
        step=rows.shape[1],
        is_bigendian=int(big),
        data=array("B", rows.tobytes()),
    )


@pytest.mark.parametrize("encoding", ["mono8", "bgr8", "rgb8", "mono16", "bgr16", "rgb16"])
def test_a_frame_comes_back_as_it_went(encoding: str) -> None:
    frame = picture(encoding)
    back = convert.frame_from_ros(sent(convert.frame_to_ros(frame)), "main")
    assert (back.key, back.encoding, back.frame_id) == (KEY, encoding, "lens")
    assert np.array_equal(back.image, frame.image)


def test_pixels_are_viewed_not_copied() -> None:
    ros = sent(convert.frame_to_ros(picture()))
    back = convert.frame_from_ros(ros, "main")
    ros.data[0] ^= 0xFF
    assert back.image[0, 0, 0] == ros.data[0]


def test_a_cut_out_of_a_picture_is_sent_whole() -> None:
    whole = picture()
    part = Frame(KEY, whole.image[3:20, 5:31], "bgr8")
    back = convert.frame_from_ros(convert.frame_to_ros(part), "main")
    assert np.array_equal(back.image, part.image)


@pytest.mark.parametrize(("encoding", "channels"), [("mono8", 1), ("rgb8", 3)])
def test_padding_of_rows_is_left_out(encoding: str, channels: int) -> None:
    frame = picture(encoding)
    rows = frame.image.reshape(48, 64 * channels)
    padded = np.pad(rows, ((0, 0), (0, 7)), constant_values=99)
    back = convert.frame_from_ros(message(encoding, padded, 64), "main")
    assert np.array_equal(back.image, frame.image)


@pytest.mark.parametrize(("ours", "theirs"), [("bgr8", "8UC3"), ("mono8", "8UC1")])
def test_opencv_names_mean_the_same(ours: str, theirs: str) -> None:
    ros = convert.frame_to_ros(picture(ours))
    ros.encoding = theirs
    back = convert.frame_from_ros(ros, "main")
    assert back.encoding == ours
    assert np.array_equal(back.image, picture(ours).image)


def bad(**changes: object) -> Image:
    ros = convert.frame_to_ros(picture())
    for name, value in changes.items():
        setattr(ros, name, value)
    return ros


@pytest.mark.parametrize(
    ("ros", "says"),
    [
        (bad(encoding="64FC1"), "'64FC1' is not supported .*; expected an encoding out of mono8, "),
        (bad(encoding=""), "encoding '' is not supported; expected"),
        (bad(encoding="YUV422"), r"'YUV422' is not supported \(is it yuv422\?\)"),
        (bad(width=0), "expected sides of 1 to 16384 px, got 0x48 px"),
        (bad(height=0, data=array("B")), "got 64x0 px"),
        (bad(width=20_000, step=60_000), "got 20000x48 px"),
        (bad(step=64), "expected step >= 192 bytes for 64 px of bgr8, got 64"),
        (bad(data=array("B", bytes(9215))), r"expected 9216 bytes .*, got 9215"),
        (bad(data=array("B", bytes(9217))), "got 9217"),
        (bad(data=array("B")), "got 0"),
        (bad(step=4_294_967_295), "expected 206158430160 bytes"),
        (bad(encoding="uyvy", step=94), "expected step >= 128 bytes for 64 px of uyvy, got 94"),
    ],
)
def test_a_bad_image_is_one_clear_error(ros: Image, says: str) -> None:
    with pytest.raises(FrameError, match=says):
        convert.frame_from_ros(ros, "main")


def test_an_impossible_stamp_is_refused() -> None:
    ros = convert.frame_to_ros(picture())
    ros.header.stamp.nanosec = 1_000_000_000
    with pytest.raises(FrameError, match="expected nanosec below 1000000000"):
        convert.frame_from_ros(ros, "main")
    with pytest.raises(FrameError, match="expected less than 2\\^31 s"):
        convert.stamp_to_ros(2**31 * 1_000_000_000)


@pytest.mark.parametrize("stamp_ns", [0, 1, 999_999_999, 1_000_000_000, KEY.stamp_ns, -1])
def test_a_stamp_keeps_every_nanosecond(stamp_ns: int) -> None:
    assert convert.stamp_from_ros(convert.stamp_to_ros(stamp_ns)) == stamp_ns


def test_a_header_names_its_frame_and_coordinate_frame() -> None:
    header = convert.header_to_ros(KEY, "lens")
    assert header.frame_id == "lens"
    assert convert.key_from_ros(header, "main") == KEY


def test_camera_info_has_the_size_and_says_not_calibrated() -> None:
    info = convert.camera_info_to_ros(picture())
    assert isinstance(info, CameraInfo)
    assert (info.width, info.height, info.k[0]) == (64, 48, 0.0)
    assert info.header == convert.header_to_ros(KEY, "lens")
