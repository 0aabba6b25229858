"""What was found stays hidden along its track while it is not found."""

from __future__ import annotations

import pytest

from mastra_ros.privacy.region import Region
from mastra_ros.privacy.tracks import Tracks


def plate(x: float, y: float = 50.0, kind: str = "plate") -> Region:
    return Region(x, y, 48, 16, kind, 0.9)


def covered(truth: Region, masks: list[Region]) -> float:
    """The share of the truth under the best mask."""
    return max((truth.overlap_px(mask) / truth.area_px for mask in masks), default=0.0)


@pytest.mark.parametrize("speed", [-9.0, 0.0, 3.0, 12.0])
@pytest.mark.parametrize("pattern", ["1110111", "1101101", "1100011", "1110000"])
def test_a_plate_that_moves_evenly_has_no_gap_of_one_frame(speed: float, pattern: str) -> None:
    tracks = Tracks(5)
    for number, found in enumerate(pattern):
        truth = plate(200 + speed * number)
        masks = tracks.advance([truth] if found == "1" else [])
        assert covered(truth, masks) > 0.9, number


def test_a_mask_is_held_for_so_many_frames_and_no_longer() -> None:
    tracks = Tracks(3)
    tracks.advance([plate(10)])
    assert [len(tracks.advance([])) for _ in range(5)] == [1, 1, 1, 0, 0]


def test_without_holding_only_what_is_found_is_hidden() -> None:
    tracks = Tracks(0)
    assert tracks.advance([plate(10)]) == [plate(10)]
    assert tracks.advance([]) == []


def test_a_face_does_not_go_on_as_a_plate_and_two_plates_stay_two() -> None:
    tracks = Tracks(5)
    tracks.advance([plate(10), plate(100), plate(10, kind="face")])
    masks = tracks.advance([plate(12), plate(98)])
    assert sorted(m.kind for m in masks) == ["face", "plate", "plate"]
    assert len(tracks.held) == 1


def test_a_held_mask_grows_while_it_is_less_sure_where_it_belongs() -> None:
    tracks = Tracks(5)
    tracks.advance([plate(10)])
    sizes = [tracks.advance([])[0].area_px for _ in range(3)]
    assert plate(10).area_px < sizes[0] < sizes[1] < sizes[2]


def test_many_of_a_crowd_do_not_pile_up() -> None:
    tracks = Tracks(5)
    for number in range(50):
        masks = tracks.advance([plate(100 * i + number, y=30.0 * i) for i in range(20)])
    assert len(masks) == 20
