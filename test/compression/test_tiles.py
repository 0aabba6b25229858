"""The grid, the mosaic and the search for changes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mastra_ros.compression.changes import changed_tiles
from mastra_ros.compression.tiles import (
    cut,
    grid,
    layout,
    mask_bytes,
    pack_mask,
    paste,
    unpack_mask,
)

SIDES = st.integers(1, 90)


@given(SIDES, SIDES, st.sampled_from([8, 16, 24, 32]), st.booleans(), st.integers(0, 2**32 - 1))
def test_what_is_cut_out_and_pasted_replaces_the_masked_tiles_and_nothing_else(
    width: int, height: int, tile: int, gray: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    shape = (height, width) if gray else (height, width, 3)
    old, new = (rng.integers(0, 256, shape, dtype=np.uint8) for _ in range(2))
    mask = rng.random(grid(width, height, tile)) < 0.5
    mask[0, 0] = True
    mosaic = cut(new, mask, tile)
    rows, columns = layout(int(mask.sum()), tile)
    assert mosaic.shape[:2] == (rows * tile, columns * tile)
    before = old.copy()
    pasted = paste(mosaic, mask, old, tile)
    pixels = mask.repeat(tile, axis=0).repeat(tile, axis=1)[:height, :width]
    assert np.array_equal(pasted[pixels], new[pixels])
    assert np.array_equal(pasted[~pixels], old[~pixels])
    assert np.array_equal(old, before)
    assert not np.shares_memory(pasted, old)


def test_pictures_that_are_not_contiguous_are_cut_and_pasted_alike() -> None:
    rng = np.random.default_rng(0)
    old, new = (rng.integers(0, 256, (64, 128, 3), dtype=np.uint8)[:, ::2] for _ in range(2))
    mask = np.ones((2, 2), bool)
    assert np.array_equal(paste(cut(new, mask, 32), mask, old, 32), new)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_a_mask_survives_packing(rows: int, columns: int, seed: int) -> None:
    mask = np.random.default_rng(seed).random((rows, columns)) < 0.3
    packed = pack_mask(mask)
    assert len(packed) == mask_bytes(rows, columns)
    unpacked = unpack_mask(packed, rows, columns)
    assert unpacked is not None
    assert np.array_equal(unpacked, mask)


def test_a_mask_with_bits_beyond_the_last_tile_is_refused() -> None:
    assert unpack_mask(b"\x01", 1, 7) is None


@pytest.mark.parametrize("sigma", [0.5, 1.5, 3.0])
@pytest.mark.parametrize("shape", [(640, 640), (480, 640, 3)])
def test_the_noise_of_a_sensor_is_no_change(sigma: float, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(1)
    clean = rng.integers(20, 236, shape)
    a, b = (
        np.clip(np.rint(clean + rng.normal(0, sigma, shape)), 0, 255).astype(np.uint8)
        for _ in range(2)
    )
    assert not changed_tiles(a, b, 32, 10.0).any()


def test_a_spot_of_six_pixels_is_found_wherever_it_lies_in_its_tile_and_only_there() -> None:
    """In 32x32 px it changes the mean by 1 gray level, less than the noise of a sensor does."""
    rng = np.random.default_rng(2)
    reference = rng.integers(100, 110, (128, 128), dtype=np.uint8)
    for y in range(32, 59):
        for x in range(32, 59):
            spotted = reference.copy()
            spotted[y : y + 6, x : x + 6] += 30
            changed = changed_tiles(spotted, reference, 32, 10.0)
            assert changed[1, 1]
            assert changed.sum() == 1, (y, x)


def test_a_change_of_colour_alone_is_found() -> None:
    """Red and green of one brightness: a camera sees a lamp change."""
    red, green = np.zeros((2, 64, 64, 3), np.uint8)
    red[..., 2] = 150
    green[..., 1] = 76  # 0.299 * 150 = 0.587 * 76
    assert changed_tiles(red, green, 32, 10.0).all()


@given(SIDES, SIDES, st.sampled_from([8, 24, 32]), st.booleans(), st.data())
def test_a_large_change_of_one_pixel_marks_the_tile_that_holds_it(
    width: int, height: int, tile: int, gray: bool, data: st.DataObject
) -> None:
    x, y = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    reference = np.zeros((height, width) if gray else (height, width, 3), np.uint8)
    picture = reference.copy()
    picture[y, x] = 255
    changed = changed_tiles(picture, reference, tile, 10.0)
    assert changed.shape == grid(width, height, tile)
    assert np.argwhere(changed).tolist() == [[y // tile, x // tile]]
