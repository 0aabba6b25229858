"""Pictures are turned as the matrix beside them says, for all eight ways of holding a camera."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from mastra_ros.camera.upright import UPRIGHT, read_matrix, turn_upright

ONE = 1 << 16
HEIGHT, WIDTH = 4, 6
# The first two rows of the matrix: where the picture's x goes, and where its y goes.
WAYS = {
    "as it is": ((1, 0), (0, 1)),
    "quarter clockwise": ((0, 1), (-1, 0)),
    "half": ((-1, 0), (0, -1)),
    "quarter back": ((0, -1), (1, 0)),
    "mirrored across": ((-1, 0), (0, 1)),
    "mirrored down": ((1, 0), (0, -1)),
    "transposed": ((0, 1), (1, 0)),
    "transposed the other way": ((0, -1), (-1, 0)),
}


def shown(image: np.ndarray, x_goes: tuple[int, int], y_goes: tuple[int, int]) -> np.ndarray:
    """Every pixel put where the matrix says, one by one."""
    height, width = image.shape[:2]
    places = {}
    for y in range(height):
        for x in range(width):
            to = (x * x_goes[0] + y * y_goes[0], x * x_goes[1] + y * y_goes[1])
            places[to] = image[y, x]
    left, top = min(x for x, _ in places), min(y for _, y in places)
    across, down = {x for x, _ in places}, {y for _, y in places}
    result = np.zeros((len(down), len(across), *image.shape[2:]), image.dtype)
    for (x, y), value in places.items():
        result[y - top, x - left] = value
    return result


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("way", WAYS)
def test_every_pixel_comes_where_the_matrix_puts_it(way: str, kind: type, channels: int) -> None:
    image = np.arange(HEIGHT * WIDTH * channels).astype(kind).reshape(HEIGHT, WIDTH, channels)
    image = image[:, :, 0] if channels == 1 else image
    (a, b), (c, d) = WAYS[way]
    matrix = (a * ONE, b * ONE, 0, c * ONE, d * ONE, 0, 12 * ONE, 0, 1 << 30)
    turned = turn_upright(image, matrix)
    assert turned.flags.c_contiguous
    assert np.array_equal(turned, shown(image, (a, b), (c, d)))


def test_another_angle_is_rounded_to_the_nearest_quarter() -> None:
    image = np.arange(24, dtype=np.uint8).reshape(4, 6)
    few_degrees = (65000, 6000, 0, -6000, 65000, 0, 0, 0, 1 << 30)
    assert np.array_equal(turn_upright(image, few_degrees), image)


def test_side_data_of_another_length_turns_nothing() -> None:
    assert read_matrix(struct.pack("=9i", *range(9))) == tuple(range(9))
    assert read_matrix(b"") == read_matrix(b"abc") == UPRIGHT
