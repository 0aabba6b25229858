"""The synthetic boards."""

from __future__ import annotations

import numpy as np
import pytest

from mastra_ros.camera.drawn.board import LABELS, Board, draw_board


def boards(count: int, width: int = 640, height: int = 640) -> list[Board]:
    return [draw_board(np.random.default_rng(seed), width, height) for seed in range(count)]


def test_the_same_seed_draws_the_same_board() -> None:
    one, other = (draw_board(np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(one.image, other.image)
    assert one.defects == other.defects


def test_a_clean_board_has_no_defects_but_copper() -> None:
    board = draw_board(np.random.default_rng(3), defect_count=0)
    assert board.defects == ()
    assert 0 < (board.image == 0).mean() < 0.9
    assert set(np.unique(board.image)) == {0, 255}


def test_each_kind_of_defect_occurs() -> None:
    assert {d.label for b in boards(12) for d in b.defects} == set(LABELS)


def test_a_defect_changes_the_board_inside_its_box_and_nowhere_else() -> None:
    for seed in range(6):
        clean = draw_board(np.random.default_rng(seed), defect_count=0)
        board = draw_board(np.random.default_rng(seed), defect_count=5)
        changed = clean.image != board.image
        for defect in board.defects:
            window = np.s_[int(defect.y1) : int(defect.y2), int(defect.x1) : int(defect.x2)]
            assert changed[window].any()
            changed[window] = False
        assert len(board.defects) == 5
        assert not changed.any()


@pytest.mark.parametrize(("width", "height"), [(640, 480), (1920, 1080), (320, 640)])
def test_boxes_stay_in_the_image_and_grow_with_it(width: int, height: int) -> None:
    unit = max(width, height) / 640
    sides = []
    for board in boards(4, width, height):
        assert board.image.shape == (height, width)
        for d in board.defects:
            assert 0 <= d.x1 < d.x2 <= width
            assert 0 <= d.y1 < d.y2 <= height
            sides.append(max(d.x2 - d.x1, d.y2 - d.y1) / unit)
    assert 22 < float(np.median(sides)) < 60


def test_bad_sizes_and_counts_are_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="at least 64 px, got 32x640 px"):
        draw_board(rng, 32, 640)
    with pytest.raises(ValueError, match="0 or more, got -1"):
        draw_board(rng, defect_count=-1)
