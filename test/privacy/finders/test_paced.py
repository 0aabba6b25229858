"""Over a video only what changed is searched, and nothing that comes into sight waits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mastra_ros.privacy import Region
from mastra_ros.privacy.finders.changed import Part, changed_blocks, parts
from mastra_ros.privacy.finders.paced import FULL_EVERY, PacedFinders

HIGH, WIDE = 480, 640


class WhiteSquares:
    """Finds squares of white, as a network finds faces: only those that it sees as a whole."""

    name = "white"
    digest = "0" * 64

    def __init__(self, side_px: int = 16) -> None:
        self.side_px = side_px
        self.level = 255
        self.seen: list[tuple[int, ...]] = []
        self.fails = False
        self.closed = 0

    def find(self, image: NDArray[np.uint8]) -> list[Region]:
        if self.fails:
            raise RuntimeError("broken")
        self.seen.append(image.shape)
        ys, xs = np.nonzero(image[..., 0] >= self.level)
        found = []
        while len(ys):
            y, x = int(ys[0]), int(xs[0])
            part = image[y : y + self.side_px, x : x + self.side_px, 0]
            if part.shape == (self.side_px, self.side_px) and (part >= self.level).all():
                found.append(Region(x, y, self.side_px, self.side_px, "face", 0.9))
            rest = (ys >= y + self.side_px) | (xs >= x + self.side_px) | (xs < x)
            ys, xs = ys[rest], xs[rest]
        return found

    def close(self) -> None:
        self.closed += 1


def scene(*places: tuple[int, int], side_px: int = 16, level: int = 90) -> NDArray[np.uint8]:
    """A picture with white squares at x, y."""
    image = np.full((HIGH, WIDE, 3), level, np.uint8)
    for x, y in places:
        image[y : y + side_px, x : x + side_px] = 255
    return image


def spots(regions: list[Region]) -> set[tuple[int, int]]:
    return {(int(r.x), int(r.y)) for r in regions}


def test_a_still_scene_is_searched_once_and_keeps_what_was_found() -> None:
    finder = WhiteSquares()
    paced = PacedFinders([finder])
    for _ in range(10):
        assert spots(paced.find(scene((100, 100), (400, 300)))) == {(100, 100), (400, 300)}
    assert len(finder.seen) == 1
    assert paced.searched_px == 0


@pytest.mark.parametrize("side_px", [8, 16, 100])
def test_what_comes_into_sight_is_found_in_that_very_frame(side_px: int) -> None:
    finder = WhiteSquares(side_px)
    paced = PacedFinders([finder])
    paced.find(scene((20, 20), side_px=side_px))
    rng = np.random.default_rng(side_px)
    for _ in range(20):
        x, y = int(rng.integers(150, WIDE - side_px)), int(rng.integers(150, HIGH - side_px))
        found = spots(paced.find(scene((20, 20), (x, y), side_px=side_px)))
        assert found == {(20, 20), (x, y)}
    assert len(finder.seen) > 1
    assert paced.searched_px < HIGH * WIDE


@pytest.mark.parametrize("step_px", [1, 2, 5, 40])
def test_what_moves_is_found_in_every_frame_where_it_is_then(step_px: int) -> None:
    paced = PacedFinders([WhiteSquares()])
    for number in range(60):
        at = (40 + step_px * number) % (WIDE - 40)
        assert spots(paced.find(scene((at, 200), (300, 50)))) == {(at, 200), (300, 50)}


def test_what_has_gone_is_not_kept() -> None:
    paced = PacedFinders([WhiteSquares()])
    assert spots(paced.find(scene((100, 100)))) == {(100, 100)}
    assert paced.find(scene()) == []


def test_what_fades_in_slowly_is_searched_once_it_differs() -> None:
    finder = WhiteSquares()
    finder.level = 150
    paced = PacedFinders([finder])
    image = scene()
    paced.find(image)
    found: list[Region] = []
    for level in range(90, 130):  # fewer frames than to the next full search
        image[100:116, 100:116] = level + 30
        found = paced.find(image)
    assert spots(found) == {(100, 100)}


def test_a_cut_to_another_scene_and_another_size_are_searched_as_a_whole() -> None:
    finder = WhiteSquares()
    paced = PacedFinders([finder])
    paced.find(scene())
    assert spots(paced.find(scene((7, 9), level=180))) == {(7, 9)}
    assert finder.seen[-1] == (HIGH, WIDE, 3)
    paced.find(scene()[:240, :320])
    assert finder.seen[-1] == (240, 320, 3)


def test_everything_is_searched_now_and_then() -> None:
    finder = WhiteSquares()
    paced = PacedFinders([finder])
    for _ in range(FULL_EVERY + 1):
        paced.find(scene())
    assert finder.seen == [(HIGH, WIDE, 3)] * 2


def test_after_an_error_nothing_is_taken_for_searched() -> None:
    finder = WhiteSquares()
    paced = PacedFinders([finder])
    paced.find(scene())
    finder.fails = True
    with pytest.raises(RuntimeError, match="broken"):
        paced.find(scene((100, 100)))
    finder.fails = False
    assert spots(paced.find(scene((100, 100)))) == {(100, 100)}


def test_the_picture_is_neither_kept_nor_changed() -> None:
    paced = PacedFinders([WhiteSquares()])
    image = scene((100, 100))
    image.setflags(write=False)
    paced.find(image)
    other = scene((100, 100))
    other.setflags(write=False)
    paced.find(other)
    later: Any = image.copy()
    later[100:116, 100:116] = 0
    assert paced.find(later) == []


def test_closing_frees_all_finders() -> None:
    finders = [WhiteSquares(), WhiteSquares()]
    PacedFinders(finders).close()
    assert [finder.closed for finder in finders] == [1, 1]


def test_a_region_at_the_border_of_a_change_is_searched_as_a_whole() -> None:
    changed = np.zeros((HIGH // 8, WIDE // 8), bool)
    changed[20, 20] = True
    face = Region(180, 150, 200, 200, "face")
    (part,) = parts(changed, [face], HIGH, WIDE)
    assert part.left <= 160
    assert part.right >= 380
    assert part.bottom >= 350


def test_noise_of_a_camera_is_no_change_and_a_face_of_8_px_is() -> None:
    rng = np.random.default_rng(1)
    before = scene()
    noisy = np.clip(before + rng.normal(0, 3, before.shape), 0, 255).astype(np.uint8)
    assert not changed_blocks(noisy, before).any()
    assert changed_blocks(scene((101, 103), side_px=8), before).any()


def _inside(row: int, column: int, made: list[Part]) -> bool:
    left, top = column * 8, row * 8
    return any(
        p.left <= left and left + 8 <= p.right and p.top <= top and top + 8 <= p.bottom
        for p in made
    )


@pytest.mark.parametrize("share", [0.0005, 0.003, 0.02, 0.3])
def test_rectangles_hold_all_changes_and_cost_no_more_than_the_whole(share: float) -> None:
    rng = np.random.default_rng(2)
    changed = rng.random((HIGH // 8, WIDE // 8)) < share
    made = parts(changed, [], HIGH, WIDE)
    assert all(_inside(row, column, made) for row, column in np.argwhere(changed).tolist())
    image = np.where(changed.repeat(8, 0).repeat(8, 1)[..., None], scene() + 60, scene())
    paced = PacedFinders([WhiteSquares()])
    paced.find(scene())
    paced.find(image.astype(np.uint8))
    assert 0 < paced.searched_px <= HIGH * WIDE


def test_two_things_far_apart_are_searched_apart_and_near_ones_together() -> None:
    changed = np.zeros((HIGH // 8, WIDE // 8), bool)
    changed[5, 5] = changed[50, 70] = True
    assert len(parts(changed, [], HIGH, WIDE)) == 2
    changed[50, 66] = True
    assert len(parts(changed, [], HIGH, WIDE)) == 2


@pytest.mark.parametrize("side_px", [24, 60, 120])
def test_a_plain_thing_that_moves_is_seen_whole_though_only_its_edges_change(side_px: int) -> None:
    paced = PacedFinders([WhiteSquares(side_px)])
    for number in range(60):
        at = 40 + 3 * number
        there = {(at, 200), (500, 20)}
        assert spots(paced.find(scene((at, 200), (500, 20), side_px=side_px))) == there


def test_where_most_of_a_picture_changed_one_rectangle_is_searched_and_else_several() -> None:
    changed = np.zeros((60, 80), bool)
    for place in (np.s_[5:20, 5:70], np.s_[40:50, 10:75], np.s_[22:38, 60:70]):
        changed[place] = True
    (one,) = parts(changed, [], HIGH, WIDE)
    assert (one.right - one.left) % 32 == (one.bottom - one.top) % 32 == 0
    assert max(one.left, one.top) <= 40
    assert one.right >= 600
    assert one.bottom >= 400
    assert one.area_px < HIGH * WIDE
    few = np.zeros((60, 80), bool)
    few[5:8, 5:9] = few[50:53, 70:74] = True
    assert len(parts(few, [], HIGH, WIDE)) == 2
