"""A vehicle that crosses a line counts once, and only then."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mastra_ros.pipeline.traffic.counting.crossings import Crossings, Passed
from mastra_ros.pipeline.traffic.tracks import Tracker
from test.pipeline.traffic.drive import Box, down, found, site

Frame = list[Box]


def counted(
    frames: Callable[[float], Frame], *, fps: float = 10.0, seconds: float = 6.0, score: float = 0.8
) -> list[Passed]:
    tracker, crossings, passed = Tracker(), Crossings(site()), []
    for n in range(int(fps * seconds)):
        t = n / fps
        views = tracker.update(round(t * 1e9) + 1, found(frames(t), score=score), (640, 360))
        passed += crossings.update(views)
    return passed


@pytest.mark.parametrize("fps", [5, 10, 30])
def test_each_vehicle_counts_once_with_lane_and_direction(fps: float) -> None:
    cars = [down(100, 40, 70), down(300, 0, 60), down(500, 330, -65)]
    passed = counted(lambda t: [car(t) for car in cars if -20 < car(t)[1] < 340], fps=fps)
    assert sorted((p.lane, p.direction) for p in passed) == [
        ("back", "out"),
        ("one", "in"),
        ("two", "in"),
    ]
    crossed_s = {p.lane: p.stamp_ns / 1e9 for p in passed}
    assert crossed_s["one"] == pytest.approx(160 / 70, abs=0.12)


def test_one_that_stands_on_the_line_and_trembles_counts_once() -> None:
    rng = np.random.default_rng(1)

    def frames(t: float) -> Frame:
        y = 100 + 80 * t if t < 1.25 else 200 + rng.normal(0, 3)
        return [down(100, y, 0)(0)]

    assert len(counted(frames, fps=30, seconds=8)) <= 1


def test_one_that_comes_and_goes_counts_once() -> None:
    passed = counted(lambda t: [down(100, 200 + 60 * np.sin(1.5 * t + 4), 0)(0)], seconds=12)
    assert len(passed) == 1


def test_one_that_stops_before_the_line_does_not_count() -> None:
    assert not counted(lambda t: [down(100, min(60 + 50 * t, 193), 0)(0)], seconds=8)


@pytest.mark.parametrize("fps", [5, 30])
def test_one_that_flickers_counts_once(fps: float) -> None:
    rng = np.random.default_rng(2)
    car = down(100, 40, 60)
    shown = [bool(rng.random() < 0.6) for _ in range(1000)]
    passed = counted(lambda t: [car(t)] if shown[int(t * fps + 0.5)] else [], fps=fps)
    assert len(passed) == 1


def test_one_that_is_not_seen_while_it_crosses_counts() -> None:
    car = down(100, 40, 80)
    passed = counted(lambda t: [] if 1.7 < t < 2.3 else [car(t)], fps=15, seconds=4)
    assert len(passed) == 1


def test_two_one_behind_the_other_count_twice() -> None:
    cars = [down(100, 40, 80), down(100, -40, 80)]
    passed = counted(lambda t: [car(t) for car in cars if car(t)[3] > 5], fps=10, seconds=5)
    assert len(passed) == 2


def test_what_flashes_up_once_counts_nothing() -> None:
    assert not counted(
        lambda t: [down(100, 190 if int(t * 10) % 9 else 210, 0)(0)][: int(t * 10) % 5 == 0]
    )


def test_part_of_a_vehicle_is_no_second_one() -> None:
    car = down(100, 40, 70)

    def frames(t: float) -> Frame:
        x1, y1, x2, y2 = car(t)
        return [(x1, y1, x2, y2), (x1 + 3, y1 + 20, x2 - 3, y2)]

    assert len(counted(frames, fps=10, seconds=4)) == 1
