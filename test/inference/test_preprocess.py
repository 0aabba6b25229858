"""Where a frame comes to lie in the model's input, and with which values."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mastra_ros.inference import BundleInput, TensorSpec
from mastra_ros.inference.preprocess import (
    convert_colour,
    fill,
    fit,
    resize,
    transform_for,
    value_table,
)
from mastra_ros.types import Frame, FrameKey

KEY = FrameKey("test", 1)
GRAY = BundleInput(64, 48, "gray", "letterbox", 7, (0.0,), (255.0,))
STRETCHED = BundleInput(64, 48, "gray", "stretch", 7, (0.0,), (255.0,))
COLOURED = BundleInput(64, 48, "rgb", "letterbox", 7, (10.0, 20.0, 30.0), (1.0, 2.0, 4.0))

sides = st.integers(1, 300)


def gray_frame(width: int, height: int, value: int = 100) -> Frame:
    return Frame(KEY, np.full((height, width), value, np.uint8), "mono8")


@given(sides, sides, st.sampled_from([GRAY, STRETCHED]), st.integers(0, 2**32 - 1))
def test_boxes_come_back_to_the_frame_within_a_pixel(
    width: int, height: int, spec: BundleInput, seed: int
) -> None:
    transform = transform_for(spec, width, height)
    x = np.sort(np.random.default_rng(seed).uniform(0, width, 2))
    y = np.sort(np.random.default_rng(seed + 1).uniform(0, height, 2))
    box = np.array([[x[0], y[0], x[1], y[1]]], np.float32)
    scale = np.array([transform.scale_x, transform.scale_y] * 2)
    offset = np.array([transform.offset_x, transform.offset_y] * 2)
    there = (box * scale + offset).astype(np.float32)
    assert (there >= 0).all()
    assert (there[0, 2:] <= [spec.width_px + 0.01, spec.height_px + 0.01]).all()
    np.testing.assert_allclose(transform.to_frame(there), box, atol=0.01)
    shrunk = max(1.0, *(1 / transform.scale_x, 1 / transform.scale_y))
    rounded = transform.to_frame(np.rint(there).astype(np.float32))
    np.testing.assert_allclose(rounded, box, atol=0.51 * shrunk)


@given(sides, sides, st.sampled_from([GRAY, STRETCHED, COLOURED]))
@settings(max_examples=50)
def test_every_size_of_frame_fits(width: int, height: int, spec: BundleInput) -> None:
    image, transform = fit(gray_frame(width, height), spec)
    assert image.shape[:2] == (48, 64)
    assert image.ndim == (3 if spec.channels == 3 else 2)
    left, top = int(transform.offset_x), int(transform.offset_y)
    drawn_width = round(width * transform.scale_x)
    drawn_height = round(height * transform.scale_y)
    assert (image[top : top + drawn_height, left : left + drawn_width] == 100).all()
    border = image.copy()
    border[top : top + drawn_height, left : left + drawn_width] = 7
    assert (border == 7).all()


def test_a_letterboxed_frame_keeps_its_shape_and_lies_in_the_middle() -> None:
    transform = transform_for(GRAY, 64, 24)
    assert (transform.scale_x, transform.scale_y) == (1.0, 1.0)
    assert (transform.offset_x, transform.offset_y) == (0.0, 12.0)


def test_a_stretched_frame_fills_the_input() -> None:
    transform = transform_for(STRETCHED, 128, 24)
    assert (transform.scale_x, transform.scale_y) == (0.5, 2.0)
    assert (transform.offset_x, transform.offset_y) == (0.0, 0.0)


def test_boxes_are_clipped_to_the_frame() -> None:
    transform = transform_for(GRAY, 64, 24)
    boxes = np.array([[-5, -5, 100, 100]], np.float32)
    np.testing.assert_array_equal(transform.to_frame(boxes), [[0, 0, 64, 24]])


@pytest.mark.parametrize(
    ("width", "height"), [(1920, 1080), (1280, 720), (1919, 1079), (4000, 700)]
)
def test_thin_lines_survive_shrinking(width: int, height: int) -> None:
    """A line of one pixel is as dark as its share of the area, wherever it lies."""
    totals = []
    for at in range(200, 216):
        image = np.zeros((height, width), np.uint8)
        image[:, at] = 255
        small = resize(image, 320, round(height * 320 / width))
        totals.append(small.sum(axis=1, dtype=np.int64).mean())
    expected = 255 * 320 / width
    assert max(totals) < 1.5 * expected
    assert min(totals) > 0.5 * expected


def test_a_frame_of_the_right_size_is_not_touched() -> None:
    image = np.random.default_rng(1).integers(0, 256, (48, 64)).astype(np.uint8)
    fitted, _ = fit(Frame(KEY, image, "mono8"), GRAY)
    np.testing.assert_array_equal(fitted, image)


PIXEL = {"mono8": 90, "bgr8": (10, 60, 200), "rgb8": (200, 60, 10)}


@pytest.mark.parametrize("encoding", sorted(PIXEL))
@pytest.mark.parametrize("colour", ["gray", "rgb", "bgr"])
def test_colours_arrive_in_the_order_that_the_model_wants(encoding: str, colour: str) -> None:
    shape = (4, 4) if encoding == "mono8" else (4, 4, 3)
    image = np.broadcast_to(np.array(PIXEL[encoding], np.uint8), shape).copy()
    got = convert_colour(image, encoding, colour)
    if encoding == "mono8":
        wanted = 90 if colour == "gray" else (90, 90, 90)
    else:
        gray = round(0.299 * 200 + 0.587 * 60 + 0.114 * 10)
        wanted = {"gray": gray, "rgb": (200, 60, 10), "bgr": (10, 60, 200)}[colour]
    np.testing.assert_array_equal(got[0, 0], wanted)


def test_values_are_normalised_per_channel_as_floats() -> None:
    table = value_table(COLOURED, TensorSpec("x", (1, 3, 48, 64), np.dtype(np.float32)))
    assert table.shape == (256, 3)
    np.testing.assert_allclose(table[50], [40.0, 15.0, 5.0])


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
def test_values_are_quantised_as_the_tensor_says_and_never_wrap(dtype: type) -> None:
    """The quantised value stands for the real one within half a step, or is at the end."""
    limits = np.iinfo(dtype)
    spec = TensorSpec("x", (1, 48, 64, 3), np.dtype(dtype), scale=0.7, zero_point=5)
    table = value_table(COLOURED, spec)
    assert table.dtype == dtype
    real = (np.arange(256)[:, None] - np.array(COLOURED.mean)) / np.array(COLOURED.std)
    back = (table.astype(float) - 5) * 0.7
    inside = (table > limits.min) & (table < limits.max)
    assert np.abs(back - real)[inside].max() <= 0.351
    assert (np.diff(table.astype(int), axis=0) >= 0).all()


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("spec", [GRAY, COLOURED], ids=["gray", "colour"])
@pytest.mark.parametrize("dtype", [np.float32, np.int8, np.uint8])
def test_filling_is_looking_each_pixel_up(layout: str, spec: BundleInput, dtype: type) -> None:
    rng = np.random.default_rng(3)
    channels = spec.channels
    image = rng.integers(0, 256, (48, 64, channels)).astype(np.uint8)
    table = rng.integers(0, 100, (256, channels)).astype(dtype)
    wanted = np.stack([table[image[..., c], c] for c in range(channels)], axis=-1)
    shape = (channels, 48, 64) if layout == "nchw" else (48, 64, channels)
    batch = np.zeros((2, *shape), dtype)
    fill(image[..., 0] if channels == 1 else image, table, batch[1], layout)
    got = batch[1].transpose(1, 2, 0) if layout == "nchw" else batch[1]
    np.testing.assert_array_equal(got, wanted)
    assert not batch[0].any()


def test_halving_first_differs_little_from_the_exact_mean() -> None:
    """A picture with natural smoothness, against OpenCV's exact area mean."""
    rng = np.random.default_rng(4)
    image = cv2.GaussianBlur(rng.integers(0, 256, (1080, 1920)).astype(np.uint8), (0, 0), 4)
    ours = resize(image, 640, 360).astype(int)
    exact = cv2.resize(image, (640, 360), interpolation=cv2.INTER_AREA).astype(int)
    assert np.abs(ours - exact).mean() < 1.0


@pytest.mark.parametrize(
    ("deep", "shallow"), [("mono16", "mono8"), ("bgr16", "bgr8"), ("rgb16", "rgb8")]
)
@pytest.mark.parametrize("spec", [GRAY, COLOURED])
def test_a_frame_of_16_bits_gives_what_its_upper_8_would(
    deep: str, shallow: str, spec: BundleInput
) -> None:
    shape = (90, 120) if deep == "mono16" else (90, 120, 3)
    image = np.random.default_rng(3).integers(0, 256, shape, np.uint8)
    tensor, transform = fit(Frame(KEY, image.astype(np.uint16) * 257, deep), spec)
    expected, where = fit(Frame(KEY, image, shallow), spec)
    assert transform == where
    assert np.array_equal(tensor, expected)
