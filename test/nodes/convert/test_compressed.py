"""Compressed pictures come as their driver meant them, and damaged ones are refused in one line."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

pytest.importorskip("sensor_msgs", reason="needs ROS messages: source env.sh")

from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CompressedImage

from mastra_ros.config.pictures import PictureConfig
from mastra_ros.errors import FrameError
from mastra_ros.nodes import convert
from mastra_ros.pictures import PictureReader
from mastra_ros.types import Frame, FrameKey

KEY = FrameKey("main", 1_700_000_000_123_456_789)
RED_IN_BGR = (20, 40, 200)


def picture(encoding: str = "bgr8") -> Frame:
    """A smooth picture, different in each channel."""
    y, x = np.mgrid[0:48, 0:64]
    image = np.stack([(x * 2) % 256, (y * 3) % 256, x + y], axis=-1).astype(np.uint8)
    if encoding.endswith("16"):
        image = image.astype(np.uint16) * 257 - image
    mono = encoding.startswith("mono")
    return Frame(KEY, image[:, :, 0].copy() if mono else image, encoding, "lens")


def compressed(image: np.ndarray, text: str, ending: str = ".jpg") -> CompressedImage:
    return CompressedImage(format=text, data=cv2.imencode(ending, image)[1].tobytes())


def sent(message: CompressedImage) -> CompressedImage:
    """The message as a subscriber gets it."""
    return deserialize_message(serialize_message(message), CompressedImage)


@pytest.mark.parametrize("encoding", ["mono8", "bgr8", "rgb8"])
def test_png_is_exact_and_jpeg_close(encoding: str) -> None:
    frame = picture(encoding)
    png = convert.compressed_from_ros(sent(convert.compressed_to_ros(frame, "png")), "main")
    jpeg = convert.compressed_from_ros(convert.compressed_to_ros(frame, quality=95), "main")
    expected = frame.image[:, :, ::-1] if encoding == "rgb8" else frame.image
    assert png.key == jpeg.key == KEY
    assert png.frame_id == "lens"
    assert png.encoding == ("mono8" if encoding == "mono8" else "bgr8")
    assert np.array_equal(png.image, expected)
    assert np.abs(jpeg.image.astype(int) - expected).mean() < 4


@pytest.mark.parametrize("encoding", ["mono16", "bgr16", "rgb16"])
def test_png_keeps_all_16_bits_and_jpeg_the_upper_8(encoding: str) -> None:
    frame = picture(encoding)
    png = convert.compressed_from_ros(convert.compressed_to_ros(frame, "png"), "main")
    message = convert.compressed_to_ros(frame, quality=95)
    jpeg = convert.compressed_from_ros(message, "main")
    expected = frame.image[:, :, ::-1] if encoding == "rgb16" else frame.image
    assert png.encoding == encoding.replace("rgb", "bgr")
    assert np.array_equal(png.image, expected)
    assert np.abs(jpeg.image - expected / 257.0).mean() < 4
    assert message.format.startswith(f"{encoding}; jpeg compressed ")


@pytest.mark.parametrize(
    "text",
    [
        "jpeg",
        "JPEG",
        "jpg",
        "",
        "bgr8; jpeg compressed bgr8",
        "rgb8; jpeg compressed bgr8",
        "mjpeg",
    ],
)
def test_the_usual_names_of_drivers_mean_the_colours_of_the_data(text: str) -> None:
    frame = convert.compressed_from_ros(
        compressed(np.full((48, 64, 3), RED_IN_BGR, np.uint8), text), "main"
    )
    assert frame.encoding == "bgr8"
    assert np.abs(frame.image.astype(int) - RED_IN_BGR).max() <= 3


def test_colours_compressed_in_the_order_rgb_come_out_right() -> None:
    swapped = np.full((48, 64, 3), RED_IN_BGR[::-1], np.uint8)  # what OpenCV takes for BGR
    frame = convert.compressed_from_ros(
        compressed(swapped, "rgb8; png compressed rgb8", ".png"), "main"
    )
    assert frame.encoding == "rgb8"
    assert (frame.image == RED_IN_BGR[::-1]).all()


@pytest.mark.parametrize(
    ("text", "image", "expected"),
    [
        ("mono8; jpeg compressed ", np.full((48, 64), 90, np.uint8), "mono8"),
        ("mono8; jpeg compressed mono8", np.full((48, 64, 3), 90, np.uint8), "mono8"),
        ("jpeg", np.full((48, 64), 90, np.uint8), "mono8"),
    ],
)
def test_gray_stays_gray(text: str, image: np.ndarray, expected: str) -> None:
    frame = convert.compressed_from_ros(compressed(image, text), "main")
    assert frame.encoding == expected
    assert np.abs(frame.image.astype(int) - 90).max() <= 1


@pytest.mark.parametrize("text", ["mono16; png compressed ", "16UC1; png compressed mono16", "png"])
def test_a_png_of_16_bits_is_stretched_from_the_depth_of_the_camera(text: str) -> None:
    values = np.tile(np.linspace(0, 4095, 64).astype(np.uint16), (48, 1))
    reader = PictureReader(PictureConfig(bit_depth=12))
    frame = convert.compressed_from_ros(compressed(values, text, ".png"), "main", reader)
    assert frame.encoding == "mono16"
    assert (frame.image.min(), frame.image.max()) == (0, 65535)


def test_a_compressed_bayer_mosaic_gets_its_colours() -> None:
    tile = np.array([[200, 90], [90, 30]], np.uint8)  # rggb
    message = compressed(np.tile(tile, (8, 8)), "bayer_rggb8; png compressed bayer_rggb8", ".png")
    frame = convert.compressed_from_ros(message, "main")
    assert frame.encoding == "bgr8"
    assert frame.image[8, 8].tolist() == [30, 90, 200]


def test_webp_is_read_too() -> None:
    image = np.full((48, 64, 3), RED_IN_BGR, np.uint8)
    data = cv2.imencode(".webp", image, [cv2.IMWRITE_WEBP_QUALITY, 101])[1].tobytes()
    frame = convert.compressed_from_ros(CompressedImage(format="webp", data=data), "main")
    assert (frame.image == RED_IN_BGR).all()


def test_a_padded_picture_from_another_camera_is_read_by_its_bytes() -> None:
    data = cv2.imencode(".jpg", picture().image)[1].tobytes() + b"\0" * 5  # padded, as some do
    frame = convert.compressed_from_ros(CompressedImage(format="jpeg", data=data), "main")
    assert frame.image.shape == (48, 64, 3)


@pytest.mark.parametrize("text", ["16UC1; compressedDepth png", "32FC1; compressedDepth rvl"])
def test_a_depth_image_is_refused_in_one_clear_line(text: str) -> None:
    with pytest.raises(FrameError, match="is a depth image, which is not supported"):
        convert.compressed_from_ros(CompressedImage(format=text, data=bytes(40)), "main")


def jpeg_bytes() -> bytes:
    return cv2.imencode(".jpg", picture().image)[1].tobytes()


def png_bytes() -> bytes:
    return cv2.imencode(".png", picture().image)[1].tobytes()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", r"\('jpeg'\): expected jpeg, png or webp, got bytes $"),
        (b"GIF89a", "expected jpeg, png or webp, got bytes 47 49 46"),
        (jpeg_bytes()[:-300], "jpeg of .* bytes is cut short"),
        (jpeg_bytes()[:-300] + b"\xff\xd9", "jpeg of .* bytes is cut short: a part"),
        (jpeg_bytes()[:-300] + jpeg_bytes(), "jpeg of .* bytes is cut short"),
        (png_bytes()[:-30], "png of .* bytes is cut short"),
        (png_bytes()[:-60] + png_bytes()[-12:], "not a picture that OpenCV can read, or damaged"),
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
