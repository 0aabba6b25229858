"""Boards found in pictures of a belt."""

from __future__ import annotations

import numpy as np
import pytest

from mastra_ros.camera.drawn.board import draw_board
from mastra_ros.camera.drawn.line import Line, LineOptions
from mastra_ros.pipeline.factory.board_locator import BoardSpan, locate_boards

SIZES = [(640, 480), (640, 640), (1920, 1080)]


def belt(width: int, height: int) -> np.ndarray:
    return np.full((height, width), 32, np.uint8)


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("encoding", ["mono8", "bgr8"])
def test_boards_are_found_where_the_line_has_drawn_them(
    width: int, height: int, encoding: str
) -> None:
    line = Line(LineOptions(width_px=width, height_px=height, encoding=encoding, seed=3))
    for index in range(0, 40, 4):
        expected = [
            (max(board.x_px, 0), min(board.x_px + width, width))
            for board in line.truth(index).boards
        ]
        expected = [(x1, x2) for x1, x2 in expected if x2 - x1 >= 0.06 * width]
        spans = locate_boards(line.image(index))
        found = [(s.x1, s.x2) for s in spans if s.width_px >= 0.06 * width]
        assert len(found) == len(expected), index
        assert np.abs(np.array(found).reshape(-1) - np.array(expected).reshape(-1)).max(
            initial=0
        ) <= max(2, 0.005 * width)
    line.close()


def test_the_flags_tell_which_border_a_board_reaches() -> None:
    image = belt(640, 480)
    for x1, x2 in ((0, 100), (180, 400), (480, 640)):
        image[:, x1:x2] = 255
    assert locate_boards(image) == [
        BoardSpan(0, 100, True, False),
        BoardSpan(180, 400, False, False),
        BoardSpan(480, 640, False, True),
    ]


def test_an_empty_belt_shows_no_board_and_a_board_may_fill_the_picture() -> None:
    assert locate_boards(belt(640, 480)) == []
    board = draw_board(np.random.default_rng(0), 640, 480).image
    assert locate_boards(board) == [BoardSpan(0, 640, True, True)]


def test_copper_from_top_to_bottom_is_no_gap() -> None:
    image = np.full((480, 640), 255, np.uint8)
    image[:, 200:320] = 0
    assert len(locate_boards(image)) == 1


def test_slivers_are_no_boards_and_thin_gaps_do_not_part_one() -> None:
    image = belt(640, 480)
    image[:, 100:400] = 255
    image[:, 250:254] = 32
    image[:, 500:520] = 255
    assert locate_boards(image) == [BoardSpan(100, 400, False, False)]


@pytest.mark.parametrize("seed", range(5))
def test_boards_are_found_on_a_noisy_belt(seed: int) -> None:
    line = Line(LineOptions(seed=seed, noise=10.0))
    assert [s.cut_right for s in locate_boards(line.image(6))] == [True]
    line.close()


def test_the_belt_may_have_other_gray_levels() -> None:
    image = np.full((480, 640), 200, np.uint8)
    image[:, 100:400] = 90
    assert locate_boards(image, 180, 220) == [BoardSpan(100, 400, False, False)]


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (1, 640), (640, 1, 3)])
def test_tiny_pictures_do_no_harm(shape: tuple[int, ...]) -> None:
    assert len(locate_boards(np.zeros(shape, np.uint8))) <= 1
