"""Values of pictures come to full scale by the depth given, and what looks wrong is noticed."""

from __future__ import annotations

import numpy as np
import pytest

from mastra_ros.config.pictures import PictureConfig
from mastra_ros.errors import ConfigError, FrameError
from mastra_ros.pictures import PictureReader, eight_bits
from mastra_ros.pictures.depth import WATCHED_FRAMES
from mastra_ros.types import Frame, FrameKey

KEY = FrameKey("main", 1)


def reader(**values: float) -> PictureReader:
    return PictureReader(PictureConfig(**values))


@pytest.mark.parametrize("bits", range(8, 17))
def test_every_value_of_a_depth_is_stretched_to_within_one_of_65535(bits: int) -> None:
    white = 2**bits - 1
    values = np.arange(white + 1, dtype=np.uint16).reshape(1, -1)
    stretched = reader(bit_depth=bits).take(values)
    assert stretched.dtype == np.uint16
    exact = np.arange(white + 1) * 65535 / white
    assert np.abs(stretched[0] - exact).max() <= 1
    assert (stretched[0, 0], stretched[0, -1]) == (0, 65535)


@pytest.mark.parametrize(
    ("encoding", "shown", "shape"),
    [
        ("mono16", "mono8", (256, 256)),
        ("bgr16", "bgr8", (256, 256, 3)),
        ("rgb16", "rgb8", (256, 256, 3)),
    ],
)
def test_eight_bits_are_the_nearest_of_256_levels(
    encoding: str, shown: str, shape: tuple[int, ...]
) -> None:
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    image = values if len(shape) == 2 else np.repeat(values[:, :, None], 3, axis=2)
    frame = eight_bits(Frame(KEY, image, encoding, "lens"))
    assert (frame.key, frame.encoding, frame.frame_id) == (KEY, shown, "lens")
    expected = [(2 * value * 255 + 65535) // (2 * 65535) for value in range(65536)]
    assert np.array_equal(frame.image.reshape(65536, -1)[:, 0], expected)


def test_a_frame_of_eight_bits_is_left_alone() -> None:
    frame = Frame(KEY, np.zeros((4, 4), np.uint8), "mono8")
    assert eight_bits(frame) is frame


@pytest.mark.parametrize(
    ("image", "encoding", "says"),
    [
        (np.zeros((4, 4), np.uint8), "mono16", "expected uint16 for mono16, got uint8"),
        (np.zeros((4, 4), np.uint16), "mono8", "expected uint8 for mono8, got uint16"),
        (np.zeros((4, 4), np.uint16), "bgr16", r"shape \(4, 4\) does not fit encoding bgr16"),
    ],
)
def test_a_frame_holds_what_its_encoding_says(image: np.ndarray, encoding: str, says: str) -> None:
    with pytest.raises(FrameError, match=says):
        Frame(KEY, image, encoding)


@pytest.mark.parametrize(("peak", "depth"), [(1023, 16), (4095, 16), (16383, 16), (900, 12)])
def test_upper_bits_that_stay_0_are_told_once_and_not_any_more_when_they_come(
    peak: int, depth: int
) -> None:
    taking = reader(bit_depth=depth)
    dark = np.full((4, 4), peak, np.uint16)
    told = []
    for _ in range(WATCHED_FRAMES + 20):
        taking.take(dark)
        told.append(taking.doubt)
    assert not any(told[: WATCHED_FRAMES - 1])
    assert len(set(told[WATCHED_FRAMES:])) == 1
    assert f"go up to {peak} only" in told[-1]
    assert "set bit_depth" in told[-1]
    taking.take(np.full((4, 4), 2**depth - 1, np.uint16))
    assert taking.doubt == ""
    for _ in range(2 * WATCHED_FRAMES):  # a dark hour later is no news
        taking.take(dark)
    assert taking.doubt == ""


def test_neither_a_closed_lid_nor_pictures_of_8_bits_raise_a_doubt() -> None:
    taking = reader()
    for _ in range(2 * WATCHED_FRAMES):
        taking.take(np.zeros((4, 4), np.uint16))
        taking.take(np.full((4, 4), 9, np.uint8))
    assert taking.doubt == ""


def test_the_right_depth_raises_no_doubt() -> None:
    taking = reader(bit_depth=12)
    for _ in range(2 * WATCHED_FRAMES):
        assert int(taking.take(np.full((4, 4), 3000, np.uint16)).max()) == 48011
    assert taking.doubt == ""


def test_pictures_deeper_than_said_are_taken_as_they_are_and_told() -> None:
    taking = reader(bit_depth=12)
    image = np.full((10, 10), 40_000, np.uint16)
    assert np.array_equal(taking.take(image), image)
    assert "values up to 40000, more than 4095, the white of bit_depth 12" in taking.doubt
    dark = np.full((10, 10), 100, np.uint16)
    assert np.array_equal(taking.take(dark), dark)  # nothing changes from picture to picture


def test_a_dead_pixel_is_white_and_changes_nothing_else() -> None:
    taking = reader(bit_depth=12)
    image = np.full((100, 100), 4095, np.uint16)
    image[3, 3] = 65535
    assert (taking.take(image) == 65535).all()
    assert taking.doubt == ""


def test_floats_outside_their_range_are_cut_off_and_told_when_they_are_many() -> None:
    taking = reader()
    assert (taking.take(np.full((4, 4), 7.0, np.float32)) == 65535).all()
    assert "100% of a picture of floats lie outside 0 to 1: set float_min" in taking.doubt
    taking.take(np.full((4, 4), 0.2, np.float32))
    assert taking.doubt == ""


def test_a_range_without_extent_is_refused() -> None:
    with pytest.raises(ConfigError, match="float_max: expected more than float_min, 2, got 2"):
        reader(float_min=2.0, float_max=2.0)


def test_values_of_another_type_are_refused() -> None:
    with pytest.raises(FrameError, match="expected values of uint8, uint16 or float32, got int16"):
        reader().take(np.zeros((4, 4), np.int16))
