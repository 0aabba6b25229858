"""Boards followed from frame to frame."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mastra_ros.pipeline.factory.board_locator import BoardSpan
from mastra_ros.pipeline.factory.board_tracker import FRAMES_KEPT, BoardTracker, align
from mastra_ros.types import FrameKey

WIDTH = 640


def spans(*edges: tuple[int, int]) -> list[BoardSpan]:
    """What the picture shows of boards with these edges."""
    seen = [(max(x1, 0), min(x2, WIDTH)) for x1, x2 in edges]
    return [BoardSpan(x1, x2, x1 == 0, x2 == WIDTH) for x1, x2 in seen if x2 - x1 >= 0.05 * WIDTH]


def on_belt(offset: int, board: int, pitch: int, count: int = 40) -> list[tuple[int, int]]:
    """Edges of the boards when the belt has come `offset` px to the left."""
    return [(k * pitch - offset, k * pitch - offset + board) for k in range(count)]


def follow(offsets: list[int], board: int, pitch: int, mirrored: bool = False) -> list[list[int]]:
    """The numbers that the tracker gives to the boards in each frame."""
    tracker = BoardTracker()
    numbers = []
    for n, offset in enumerate(offsets):
        edges = on_belt(offset, board, pitch)
        if mirrored:
            edges = [(WIDTH - x2, WIDTH - x1) for x1, x2 in reversed(edges)]
        boards, _ = tracker.add(FrameKey("main", n + 1), spans(*edges), WIDTH)
        numbers.append([b.number for b in boards])
    return numbers


@pytest.mark.parametrize(
    ("before", "now", "shift", "moved"),
    [
        ([(0, 200), (280, 640)], [(-1, 641)], 1, 280),
        ([(-1, 641)], [(-1, 550), (630, 999)], 0, 90),
        ([(-500, 100), (180, 820)], [(-560, 40), (120, 760)], 0, 60),
        ([(-580, 60), (140, 780)], [(60, 700)], 1, 80),
        ([(-1, 641)], [(-1, 641)], 0, 0),
        ([(100, 300)], [(150, 350)], 0, -50),
    ],
)
def test_the_least_movement_that_explains_both_frames_is_found(
    before: list[tuple[int, int]], now: list[tuple[int, int]], shift: int, moved: int
) -> None:
    found = align(spans(*before), spans(*now), WIDTH)
    assert found is not None
    assert found.shift == shift
    assert found.moved_px == pytest.approx(moved, abs=0.02 * WIDTH + 1)


def test_a_movement_of_more_than_the_picture_is_none() -> None:
    assert align(spans((-600, 40)), [], WIDTH) is None
    assert align([], spans((-600, 40)), WIDTH) is None


@pytest.mark.parametrize("mirrored", [False, True])
@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    board=st.integers(60, 640),
    gap=st.integers(30, 200),
    steps=st.lists(st.integers(0, 12), min_size=20, max_size=60),
)
def test_each_board_keeps_its_number_and_the_next_gets_the_next(
    mirrored: bool, board: int, gap: int, steps: list[int]
) -> None:
    """The belt starts empty and moves on, or stands, by up to a third of a pitch a frame."""
    pitch = board + gap
    unit = max(1, pitch // 36)
    offsets, at = [], -WIDTH - 10
    for step in steps:
        offsets.append(at)
        at += step * unit
    for offset, numbers in zip(offsets, follow(offsets, board, pitch, mirrored), strict=True):
        edges = [
            (k + 1, max(x1, 0), min(x2, WIDTH))
            for k, (x1, x2) in enumerate(on_belt(offset, board, pitch))
        ]
        shown = [k for k, x1, x2 in edges if x2 - x1 >= 0.05 * WIDTH]
        assert numbers == (shown[::-1] if mirrored else shown)


def test_a_board_that_is_gone_is_returned_once_with_the_stamp() -> None:
    tracker = BoardTracker()
    tracker.add(FrameKey("main", 10), spans((0, 300)), WIDTH)
    boards, gone = tracker.add(FrameKey("main", 20), [], WIDTH)
    assert boards == []
    assert [(b.number, b.left_ns) for b in gone] == [(1, 20)]
    assert tracker.add(FrameKey("main", 30), [], WIDTH) == ([], [])


def test_a_board_that_stands_for_hours_is_remembered_in_bounds() -> None:
    tracker = BoardTracker()
    for n in range(1, 2 * FRAMES_KEPT):
        (board,), _ = tracker.add(FrameKey("main", n), spans((100, 500)), WIDTH)
    assert board.number == 1
    assert len(board.observations) == FRAMES_KEPT
    assert board.first_ns == 1


def test_the_left_edge_is_known_while_it_is_outside() -> None:
    tracker = BoardTracker()
    for n, x in enumerate((400, 200, 0, -200, -400)):
        (board,), _ = tracker.add(FrameKey("main", n + 1), spans((x, x + WIDTH)), WIDTH)
    lefts = [board.left_px(o) for o in board.observations.values()]
    assert lefts == [400, 200, 0, -200, -400]
