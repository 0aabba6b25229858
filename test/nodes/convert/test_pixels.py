"""Every encoding that drivers send gives the colours that it means, worked out here anew."""

from __future__ import annotations

import importlib.util
import sys
from array import array
from types import ModuleType

import numpy as np
import pytest

pytest.importorskip("sensor_msgs", reason="needs ROS messages: source env.sh")

from sensor_msgs.msg import Image

from mastra_ros.config.pictures import PictureConfig
from mastra_ros.errors import FrameError
from mastra_ros.nodes import convert
from mastra_ros.nodes.convert.pixels import SUPPORTED
from mastra_ros.pictures import PictureReader, eight_bits

HEIGHT, WIDTH = 12, 16
BGR = (40, 120, 220)


def message(encoding: str, data: np.ndarray, height: int = HEIGHT, width: int = WIDTH) -> Image:
    """An Image from the rows of its first plane, padded as `data` is wide; more rows may follow."""
    raw = np.ascontiguousarray(data)
    return Image(
        height=height,
        width=width,
        encoding=encoding,
        step=raw.strides[0],
        data=array("B", raw.tobytes()),
    )


def rgb_of(luma: float, u: float, v: float) -> list[int]:
    """Red, green and blue of ITU-R BT.601 YUV with the narrow range, to a gray level."""
    luma, u, v = int(luma), int(u), int(v)
    y = 1.164383 * (luma - 16)
    colours = (y + 1.596027 * (v - 128), y - 0.391762 * (u - 128) - 0.812968 * (v - 128))
    red, green = colours
    return [round(min(max(c, 0), 255)) for c in (red, green, y + 2.017232 * (u - 128))]


def planes(height: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Luma of every pixel, and u and v of every 2x2 px, all different."""
    y, x = np.mgrid[0:height, 0:width]
    luma = (40 + 7 * x + 5 * y).astype(np.uint8)
    high, wide = -(-height // 2), -(-width // 2)
    y, x = np.mgrid[0:high, 0:wide]
    return luma, (90 + 9 * x).astype(np.uint8), (150 - 6 * y).astype(np.uint8)


def interleaved(first: np.ndarray, second: np.ndarray, step: int) -> np.ndarray:
    rows = np.stack([first, second], axis=-1).reshape(len(first), -1)
    return np.pad(rows, ((0, 0), (0, step - rows.shape[1])))


@pytest.mark.parametrize("encoding", ["nv12", "nv21"])
@pytest.mark.parametrize(
    ("height", "width", "step"),
    [(12, 16, 16), (12, 16, 24), (11, 15, 16), (11, 15, 15), (2, 2, 2), (1, 1, 4)],
)
def test_two_planes_give_each_pixel_its_luma_and_its_block_its_colour(
    encoding: str, height: int, width: int, step: int
) -> None:
    luma, u, v = planes(height, width)
    colours = interleaved(*((u, v) if encoding == "nv12" else (v, u)), max(step, 2 * u.shape[1]))
    first = np.pad(luma, ((0, 0), (0, step - width)), constant_values=99)
    data = first.tobytes() + colours.tobytes()
    ros = Image(height=height, width=width, encoding=encoding, step=step, data=array("B", data))
    frame = convert.frame_from_ros(ros, "main")
    assert (frame.encoding, frame.image.shape) == ("bgr8", (height, width, 3))
    for y in range(height):
        for x in range(width):
            expected = rgb_of(luma[y, x], u[y // 2, x // 2], v[y // 2, x // 2])
            assert frame.image[y, x, ::-1].tolist() == pytest.approx(expected, abs=2), (y, x)


@pytest.mark.parametrize("padding", [0, 8])
@pytest.mark.parametrize(("height", "width"), [(12, 16), (11, 15)])
def test_nv24_has_a_colour_for_every_pixel(height: int, width: int, padding: int) -> None:
    y, x = np.mgrid[0:height, 0:width]
    luma, u, v = 50 + 6 * x, 90 + 8 * y, 160 - 3 * x
    step = width + width % 2 + padding
    first = np.pad(luma.astype(np.uint8), ((0, 0), (0, step - width)))
    colours = interleaved(u.astype(np.uint8), v.astype(np.uint8), 2 * step)
    data = first.tobytes() + colours.tobytes()
    ros = Image(height=height, width=width, encoding="nv24", step=step, data=array("B", data))
    frame = convert.frame_from_ros(ros, "main")
    assert frame.image.shape == (height, width, 3)
    for row, column in ((0, 0), (5, 7), (height - 1, width - 1)):
        expected = rgb_of(luma[row, column], u[row, column], v[row, column])
        assert frame.image[row, column, ::-1].tolist() == pytest.approx(expected, abs=2)


@pytest.mark.parametrize(
    ("encoding", "order"),
    [("yuv422", "uyvy"), ("uyvy", "uyvy"), ("yuv422_yuy2", "yuyv"), ("yuyv", "yuyv")],
)
@pytest.mark.parametrize(("width", "padding"), [(16, 0), (15, 0), (16, 12)])
def test_pairs_of_pixels_share_their_colour(
    encoding: str, order: str, width: int, padding: int
) -> None:
    luma, u, v = planes(2 * HEIGHT, width + width % 2)
    luma = luma[:HEIGHT]
    rows = np.zeros((HEIGHT, luma.shape[1] // 2, 4), np.uint8)
    for place, name in enumerate(order):
        first = order.index("y") == place
        rows[:, :, place] = (
            {"u": u, "v": v}[name] if name != "y" else luma[:, 0 if first else 1 :: 2]
        )
    data = np.pad(rows.reshape(HEIGHT, -1), ((0, 0), (0, padding)))
    frame = convert.frame_from_ros(message(encoding, data, width=width), "main")
    assert frame.image.shape == (HEIGHT, width, 3)
    for y, x in ((0, 0), (3, 5), (HEIGHT - 1, width - 1)):
        expected = rgb_of(luma[y, x], u[y, x // 2], v[y, x // 2])
        assert frame.image[y, x, ::-1].tolist() == pytest.approx(expected, abs=2), (y, x)


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("big", [False, True])
def test_bayer_patterns_give_the_colours_that_they_show(pattern: str, bits: int, big: bool) -> None:
    values = {"b": 30, "g": 90, "r": 200}
    scale = 1 if bits == 8 else 256
    tile = np.array([values[c] * scale for c in pattern]).reshape(2, 2)
    kind = "u1" if bits == 8 else ">u2" if big else "<u2"
    mosaic = np.tile(tile, (HEIGHT // 2, WIDTH // 2)).astype(kind).view(np.uint8)
    ros = message(f"bayer_{pattern}{bits}", np.pad(mosaic, ((0, 0), (0, 6))))
    ros.is_bigendian = int(big)
    frame = convert.frame_from_ros(ros, "main")
    assert frame.encoding == f"bgr{bits}"
    assert frame.image[6, 6].tolist() == [30 * scale, 90 * scale, 200 * scale]


@pytest.mark.parametrize(
    ("encoding", "channels", "expected"),
    [
        ("bgr8", "bgr", "bgr8"),
        ("8UC3", "bgr", "bgr8"),
        ("rgb8", "rgb", "rgb8"),
        ("bgra8", "bgra", "bgr8"),
        ("8UC4", "bgra", "bgr8"),
        ("rgba8", "rgba", "rgb8"),
        ("bgr16", "bgr", "bgr16"),
        ("16UC3", "bgr", "bgr16"),
        ("rgb16", "rgb", "rgb16"),
        ("bgra16", "bgra", "bgr16"),
        ("16UC4", "bgra", "bgr16"),
        ("rgba16", "rgba", "rgb16"),
    ],
)
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("padding", [0, 5])
def test_colours_keep_their_place_and_alpha_goes(
    encoding: str, channels: str, expected: str, big: bool, padding: int
) -> None:
    deep = expected.endswith("16")
    values = dict(zip("bgra", (*BGR, 7), strict=True))
    pixel = [values[c] * (257 if deep else 1) for c in channels]
    kind = (">u2" if big else "<u2") if deep else "u1"
    rows = np.tile(np.array(pixel), (HEIGHT, WIDTH)).astype(kind).view(np.uint8)
    ros = message(encoding, np.pad(rows, ((0, 0), (0, padding))))
    ros.is_bigendian = int(big)
    frame = convert.frame_from_ros(ros, "main")
    assert (frame.encoding, frame.image.shape) == (expected, (HEIGHT, WIDTH, 3))
    assert (frame.image == pixel[:3]).all()
    shown = eight_bits(frame)
    order = BGR if expected.startswith("bgr") else BGR[::-1]
    assert (shown.image == order).all()


@pytest.mark.parametrize("encoding", ["mono16", "16UC1"])
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("bits", [10, 12, 14, 16])
@pytest.mark.parametrize("padding", [0, 3])
def test_sixteen_bits_are_kept_and_stretched_from_the_depth_of_the_camera(
    encoding: str, big: bool, bits: int, padding: int
) -> None:
    white = 2**bits - 1
    values = np.linspace(0, white, HEIGHT * WIDTH).astype(np.uint16).reshape(HEIGHT, WIDTH)
    raw = values.astype(">u2" if big else "<u2").view(np.uint8)
    ros = message(encoding, np.pad(raw, ((0, 0), (0, padding))))
    ros.is_bigendian = int(big)
    frame = convert.frame_from_ros(ros, "main", PictureReader(PictureConfig(bit_depth=bits)))
    assert (frame.encoding, frame.image.dtype) == ("mono16", np.uint16)
    expected = values.astype(float) * 65535 / white
    assert np.abs(frame.image - expected).max() <= 0.51
    assert np.abs(eight_bits(frame).image - values * 255.0 / white).max() <= 0.51
    assert eight_bits(frame).image.max() == 255


@pytest.mark.parametrize("big", [False, True])
def test_floats_are_mapped_from_their_range_and_what_is_no_number_is_black(big: bool) -> None:
    values = np.full((HEIGHT, WIDTH), 3.0, np.float32)
    values[0, :6] = (2.0, 4.0, np.nan, np.inf, -np.inf, 2.5)
    ros = message("32FC1", values.astype(">f4" if big else "<f4").view(np.uint8))
    ros.is_bigendian = int(big)
    reader = PictureReader(PictureConfig(float_min=2.0, float_max=4.0))
    frame = convert.frame_from_ros(ros, "main", reader)
    assert frame.encoding == "mono16"
    assert frame.image[0, :7].tolist() == [0, 65535, 0, 65535, 0, 16384, 32768]
    assert reader.doubt == ""


def test_without_a_range_floats_go_from_0_to_1() -> None:
    values = np.full((HEIGHT, WIDTH), 0.5, np.float32)
    frame = convert.frame_from_ros(message("32FC1", values.view(np.uint8)), "main")
    assert (eight_bits(frame).image == 128).all()


def test_the_padding_of_the_last_row_may_be_missing() -> None:
    rows = np.tile(np.array(BGR, np.uint8), (HEIGHT, WIDTH))
    ros = message("bgr8", np.pad(rows, ((0, 0), (0, 9))))
    ros.data = ros.data[:-9]
    assert (convert.frame_from_ros(ros, "main").image == BGR).all()


def test_a_step_of_0_means_rows_without_padding() -> None:
    ros = message("bgr8", np.tile(np.array(BGR, np.uint8), (HEIGHT, WIDTH)))
    ros.step = 0
    assert (convert.frame_from_ros(ros, "main").image == BGR).all()
    ros.data = ros.data[:-1]
    with pytest.raises(FrameError, match="expected step >= 48 bytes for 16 px of bgr8, got 0"):
        convert.frame_from_ros(ros, "main")


@pytest.mark.parametrize(
    ("encoding", "says"),
    [("nv12", "expected 288 bytes .* and colours.*, got 192"), ("nv24", "expected 576 .* got 192")],
)
def test_a_plane_that_is_missing_is_said(encoding: str, says: str) -> None:
    with pytest.raises(FrameError, match=says):
        convert.frame_from_ros(message(encoding, np.zeros((HEIGHT, WIDTH), np.uint8)), "main")


@pytest.mark.parametrize("encoding", SUPPORTED)
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 2), (2, 1), (3, 5)])
def test_the_smallest_pictures_come_through_or_are_a_frame_error(
    encoding: str, height: int, width: int
) -> None:
    step = 16 * width
    ros = message(encoding, np.zeros((3 * height + 3, step), np.uint8), height, width)
    for size in (height * step, height * step + -(-height // 2) * step, 3 * height * step):
        ros.data = array("B", bytes(size))
        try:
            frame = convert.frame_from_ros(ros, "main")
        except FrameError:
            continue
        assert frame.image.shape[:2] == (height, width)
        return
    pytest.fail("refused with every size of its data")


class StandIn(ModuleType):
    """What this package uses of cv_bridge, without it."""

    class CvBridgeError(TypeError):
        pass

    class CvBridge:
        def imgmsg_to_cv2(self, msg: Image, desired_encoding: str) -> np.ndarray:
            if msg.encoding != "8UC2":
                raise StandIn.CvBridgeError(f"unknown {msg.encoding}")
            assert desired_encoding == "bgr8"
            return np.full((msg.height, msg.width, 3), BGR, np.uint8)


def test_cv_bridge_is_asked_for_what_is_not_known_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv_bridge", StandIn("cv_bridge"))
    ros = message("8UC2", np.zeros((HEIGHT, 2 * WIDTH), np.uint8))
    frame = convert.frame_from_ros(ros, "main")
    assert frame.encoding == "bgr8"
    assert (frame.image == BGR).all()
    ros.encoding = "8SC2"
    with pytest.raises(FrameError, match="'8SC2' is not supported"):
        convert.frame_from_ros(ros, "main")


def test_a_cv_bridge_that_cannot_be_imported_is_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv_bridge", ModuleType("cv_bridge"))  # without CvBridge
    with pytest.raises(FrameError, match="'8UC2' is not supported"):
        convert.frame_from_ros(message("8UC2", np.zeros((HEIGHT, 2 * WIDTH), np.uint8)), "main")


@pytest.mark.skipif(
    importlib.util.find_spec("cv_bridge") is None, reason="cv_bridge is not installed"
)
@pytest.mark.parametrize(
    "encoding",
    [
        *("mono8", "bgr8", "rgb8", "bgra8", "rgba8", "mono16", "bgr16", "rgb16", "bgra16"),
        *(f"bayer_{p}{bits}" for p in ("rggb", "bggr", "gbrg", "grbg") for bits in (8, 16)),
        *("yuv422", "yuv422_yuy2"),
    ],
)
def test_cv_bridge_gives_the_same_pixels(encoding: str) -> None:
    from cv_bridge import CvBridge

    row_bytes = WIDTH * {"mono": 1, "baye": 1, "yuv4": 2}.get(encoding[:4], 3 + ("a" in encoding))
    row_bytes *= 2 if encoding.endswith("16") else 1
    noise = np.random.default_rng(1).integers(0, 256, (HEIGHT, row_bytes), np.uint8)
    ros = message(encoding, noise)
    ours = eight_bits(convert.frame_from_ros(ros, "main"))
    theirs = CvBridge().imgmsg_to_cv2(ros, ours.encoding)
    assert np.array_equal(ours.image, theirs)
