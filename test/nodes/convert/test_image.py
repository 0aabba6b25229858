"""Pictures survive the way through ROS messages, and bad ones are refused in one clear line."""

from __future__ import annotations

from array import array

import numpy as np
import pytest

pytest.importorskip("sensor_msgs", reason="needs ROS messages: source env.sh")

import cv2
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from mastra_ros.errors import FrameError
from mastra_ros.nodes import convert
from mastra_ros.types import Frame, FrameKey

KEY = FrameKey("main", 1_700_000_000_123_456_789)


def picture(encoding: str = "bgr8", height: int = 48, width: int = 64) -> Frame:
    """A smooth picture, different in each channel."""
    y, x = np.mgrid[0:height, 0:width]
    channels = [(x * 2) % 256, (y * 3) % 256, (x + y) % 256]
    image = np.stack(channels, axis=-1).astype(np.uint8)
    return Frame(KEY, image[:, :, 0].copy() if encoding == "mono8" else image, encoding, "lens")


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


@pytest.mark.parametrize("encoding", ["mono8", "bgr8", "rgb8"])
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


@pytest.mark.parametrize(
    ("encoding", "expected"), [("bgra8", "bgr8"), ("8UC4", "bgr8"), ("rgba8", "rgb8")]
)
def test_alpha_is_dropped_and_the_order_kept(encoding: str, expected: str) -> None:
    colours = picture().image
    with_alpha = np.dstack([colours, np.full((48, 64), 7, np.uint8)])
    back = convert.frame_from_ros(message(encoding, with_alpha.reshape(48, -1), 64), "main")
    assert back.encoding == expected
    assert np.array_equal(back.image, colours)


@pytest.mark.parametrize("encoding", ["mono16", "16UC1"])
@pytest.mark.parametrize("big", [False, True])
def test_sixteen_bit_keeps_the_upper_byte(encoding: str, big: bool) -> None:
    values = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64) * 21
    raw = values.astype(">u2" if big else "<u2").view(np.uint8).reshape(48, 128)
    back = convert.frame_from_ros(message(encoding, raw, 64, big=big), "main")
    assert back.encoding == "mono8"
    assert np.array_equal(back.image, (values >> 8).astype(np.uint8))


@pytest.mark.parametrize(
    ("encoding", "luma"), [("yuv422", 1), ("uyvy", 1), ("yuv422_yuy2", 0), ("yuyv", 0)]
)
def test_grey_in_yuv422_stays_grey(encoding: str, luma: int) -> None:
    grey = picture("mono8").image // 2 + 40
    raw = np.full((48, 64, 2), 128, np.uint8)
    raw[:, :, luma] = grey
    back = convert.frame_from_ros(message(encoding, raw.reshape(48, 128), 64), "main")
    spread = back.image.max(axis=2).astype(int) - back.image.min(axis=2)
    assert back.encoding == "bgr8"
    assert spread.max() <= 1
    expected = (grey.astype(float) - 16) * 255 / 219
    assert np.abs(back.image[:, :, 1] - expected).max() < 2


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
def test_bayer_patterns_give_the_colours_that_they_show(pattern: str) -> None:
    blue_green_red = {"b": 30, "g": 90, "r": 200}
    tile = np.array([blue_green_red[c] for c in pattern], np.uint8).reshape(2, 2)
    back = convert.frame_from_ros(message(f"bayer_{pattern}8", np.tile(tile, (8, 8)), 16), "main")
    assert back.image[8, 8].tolist() == [30, 90, 200]


def bad(**changes: object) -> Image:
    ros = convert.frame_to_ros(picture())
    for name, value in changes.items():
        setattr(ros, name, value)
    return ros


@pytest.mark.parametrize(
    ("ros", "says"),
    [
        (bad(encoding="32FC1"), "expected an encoding out of mono8, .* got '32FC1'"),
        (bad(encoding=""), "got ''"),
        (bad(width=0), "expected sides of 1 to 16384 px, got 0x48 px"),
        (bad(height=0, data=array("B")), "got 64x0 px"),
        (bad(width=20_000, step=60_000), "got 20000x48 px"),
        (bad(step=64), "expected step >= 192 bytes for 64 px of bgr8, got 64"),
        (bad(step=0), "expected step >= 192 bytes .* got 0"),
        (bad(data=array("B", bytes(9215))), r"expected 9216 bytes .*, got 9215"),
        (bad(data=array("B", bytes(9217))), "got 9217"),
        (bad(data=array("B")), "got 0"),
        (bad(step=4_294_967_295), "expected 206158430160 bytes"),
        (bad(encoding="uyvy", width=63), "expected an even width for uyvy, got 63 px"),
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


@pytest.mark.parametrize("encoding", ["mono8", "bgr8", "rgb8"])
def test_png_is_exact_and_jpeg_close(encoding: str) -> None:
    frame = picture(encoding)
    png = convert.compressed_from_ros(sent(convert.compressed_to_ros(frame, "png")), "main")
    jpeg = convert.compressed_from_ros(convert.compressed_to_ros(frame, quality=95), "main")
    expected = frame.image[:, :, ::-1] if encoding == "rgb8" else frame.image
    assert png.key == jpeg.key == KEY
    assert png.encoding == ("mono8" if encoding == "mono8" else "bgr8")
    assert np.array_equal(png.image, expected)
    assert np.abs(jpeg.image.astype(int) - expected).mean() < 4


def test_a_compressed_image_from_another_camera_is_read_by_its_bytes() -> None:
    data = cv2.imencode(".jpg", picture().image)[1].tobytes() + b"\0" * 5  # padded, as some do
    frame = convert.compressed_from_ros(CompressedImage(format="jpeg", data=data), "main")
    assert frame.image.shape == (48, 64, 3)


def jpeg_bytes() -> bytes:
    return cv2.imencode(".jpg", picture().image)[1].tobytes()


def png_bytes() -> bytes:
    return cv2.imencode(".png", picture().image)[1].tobytes()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "expected jpeg or png, got bytes $"),
        (b"GIF89a", "expected jpeg or png, got bytes 47 49 46"),
        (jpeg_bytes()[:-300], "jpeg of .* bytes is cut short"),
        (png_bytes()[:-30], "png of .* bytes is cut short"),
        (b"\xff\xd8\xff\xd9", "jpeg without a size"),
        (b"\xff\xd8\xff\xe0\x00\x00\xff\xd9", "jpeg without a size"),
        (png_bytes()[:16] + b"\x00\x01\x00\x00" * 2 + png_bytes()[24:], "got 65536x65536 px"),
        (png_bytes()[:40] + bytes(400) + png_bytes()[-12:], "damaged"),
    ],
)
def test_a_damaged_compressed_image_is_one_clear_error(data: bytes, says: str) -> None:
    with pytest.raises(FrameError, match=says):
        convert.compressed_from_ros(CompressedImage(format="jpeg", data=data), "main")


def test_random_bytes_behind_a_true_start_never_get_further_than_a_frame_error() -> None:
    rng = np.random.default_rng(7)
    for start in (jpeg_bytes()[:20], jpeg_bytes()[:200], png_bytes()[:33]):
        for _ in range(50):
            noise = rng.integers(0, 256, int(rng.integers(0, 400)), np.uint8).tobytes()
            data = start + noise + b"\xff\xd9"
            try:
                frame = convert.compressed_from_ros(CompressedImage(data=data), "main")
            except FrameError:
                continue
            assert frame.image.size


def test_an_unknown_codec_is_refused() -> None:
    with pytest.raises(FrameError, match="expected codec jpeg or png, got 'gif'"):
        convert.compressed_to_ros(picture(), "gif")
