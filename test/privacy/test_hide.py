"""What is hidden cannot be read back: at most 8 blocks, counted over the whole region."""

from __future__ import annotations

import numpy as np
import pytest

from mastra_ros.privacy.hide import LEAST_BLOCK_PX, hide_inside, mosaic
from mastra_ros.privacy.region import Region

from .conftest import noise


@pytest.mark.parametrize("shape", [(200, 300), (200, 300, 3)])
@pytest.mark.parametrize(("wide", "high"), [(40, 40), (100, 23), (7, 160), (9, 9), (299, 199)])
def test_a_mosaic_has_at_most_eight_blocks_across(
    shape: tuple[int, ...], wide: int, high: int
) -> None:
    image = noise(shape)
    hidden = hide_inside(image, [Region(1, 1, wide, high, "plate")], "mosaic", 8)
    part = hidden[1 : 1 + high, 1 : 1 + wide].reshape(high, wide, -1)
    assert len(np.unique(part[0], axis=0)) <= 8
    assert len(np.unique(part[:, 0], axis=0)) <= 8


def test_half_a_face_at_the_border_has_half_of_the_blocks() -> None:
    hidden = hide_inside(noise((100, 100)), [Region(-40, 10, 80, 80, "face")], "mosaic", 8)
    assert len(np.unique(hidden[10, :40])) <= 4


@pytest.mark.parametrize("side", [12, 20, 30, 60])
def test_a_small_region_has_no_block_smaller_than_the_least(side: int) -> None:
    hidden = hide_inside(noise((100, 100)), [Region(10, 10, side, side, "face")], "mosaic", 8)
    across = -(-side // LEAST_BLOCK_PX)
    assert len(np.unique(hidden[10 : 10 + side, 10 : 10 + side])) <= across**2


def test_every_block_is_the_mean_of_what_it_covers() -> None:
    image = noise((16, 16))
    blocks = mosaic(image, 8)
    means = image.reshape(2, 8, 2, 8).mean(axis=(1, 3))
    assert np.abs(blocks[::8, ::8] - means).max() <= 0.5


def test_solid_leaves_nothing() -> None:
    hidden = hide_inside(noise((50, 50, 3)), [Region(9.5, 9.5, 11, 11, "face")], "solid", 8)
    assert not hidden[9:21, 9:21].any()
    assert hidden[8].any()


def test_two_regions_that_overlap_are_both_hidden() -> None:
    regions = [Region(0, 0, 40, 40, "face"), Region(20, 20, 40, 40, "face")]
    hidden = hide_inside(noise((80, 80)), regions, "mosaic", 8)
    for region in regions:
        x, y = int(region.x), int(region.y)
        assert len(np.unique(hidden[y : y + 40, x : x + 40])) <= 2 * 64
