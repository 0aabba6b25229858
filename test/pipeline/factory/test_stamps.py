"""Boards are inspected though the stamps of their frames stand still or begin again."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from mastra_ros.config import FactoryConfig
from mastra_ros.pipeline.factory.inspection import OPEN_MAX, FactoryInspection, Verdict
from mastra_ros.types import Detections, Frame, FrameKey, Result, Route

MS = 1_000_000
NUMBERS = itertools.count(1)


def frame(stamp_ns: int, *, board: bool) -> Frame:
    """An empty belt, or a board of 300 px in a picture of 500 px."""
    image = np.full((100, 500), 32, np.uint8)
    if board:
        image[:, 100:400] = 255
    return Frame(FrameKey("main", stamp_ns, f"a-{next(NUMBERS)}"), image, "mono8")


@pytest.mark.parametrize("stamps", ["loop", "still", "zero"])
def test_boards_are_inspected_though_stamps_repeat(stamps: str) -> None:
    inspection = FactoryInspection(FactoryConfig())
    verdicts: list[Verdict] = []
    for _ in range(4):  # the same recording, again and again
        for n, board in enumerate([False, True, True, True, True, True, False, False], 1):
            shown = frame({"loop": n * 100 * MS, "still": 5, "zero": 0}[stamps], board=board)
            verdicts += inspection.on_frame(shown)
            verdicts += inspection.on_result(Result(shown.key, Route.LOCAL, Detections.empty()))
    verdicts += inspection.finish()
    assert [v.verdict for v in verdicts if v.verdict == "pass"] == ["pass"] * 4


def test_a_frame_that_comes_twice_is_one() -> None:
    inspection = FactoryInspection(FactoryConfig())
    shown = frame(5, board=True)
    for _ in range(9):
        inspection.on_frame(shown)
    inspection.on_result(Result(shown.key, Route.LOCAL, Detections.empty()))
    (verdict,) = inspection.finish()
    assert verdict.frames == 1


def test_boards_without_results_do_not_pile_up_where_stamps_stand_still() -> None:
    inspection = FactoryInspection(FactoryConfig())
    for _ in range(OPEN_MAX + 10):
        inspection.on_frame(frame(0, board=True))
        inspection.on_frame(frame(0, board=False))
    assert inspection.open_boards == OPEN_MAX
