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


def test_one_that_went_far_away_and_comes_back_counts_each_time() -> None:
    passed = counted(lambda t: [down(100, 180 + 150 * np.sin(0.6 * t), 0)(0)], seconds=11)
    assert [p.direction for p in passed] == ["in", "out", "in"][: len(passed)]
    assert len(passed) >= 2


@pytest.mark.parametrize("fps", [5, 10, 30])
def test_one_that_was_first_found_just_behind_the_line_counts(fps: float) -> None:
    car, other = down(100, 40, 80), down(500, 330, -30)
    passed = counted(lambda t: [other(t)] + ([car(t)] if car(t)[3] > 245 else []), fps=fps)
    assert [(p.direction, p.lane) for p in passed if p.lane == "one"] == [("in", "one")]


def test_one_that_is_there_from_the_beginning_behind_the_line_does_not_count() -> None:
    assert not counted(lambda t: [down(100, 220, 60)(t)], seconds=2)


def test_one_that_drives_in_from_the_side_behind_the_line_does_not_count() -> None:
    other = down(500, 330, -5)

    def frames(t: float) -> Frame:
        x, y = -30 + 90 * (t - 1.5), 215 + 8 * (t - 1.5)
        return [other(t)] + ([(max(0.0, x - 30), y - 25, x + 30, y + 25)] if x > -10 else [])

    assert not counted(frames, fps=10, seconds=4)


def test_one_that_grows_in_from_the_lower_border_drives_out_and_not_in() -> None:
    other = down(500, 100, 5)

    def frames(t: float) -> Frame:
        top = 360 - 40 * (t - 1.5)
        return [other(t)] + ([(100, top, 240, min(358.0, top + 160))] if 1.7 < t < 5.5 else [])

    assert not counted(frames, fps=10, seconds=4)


def test_one_that_begins_to_move_behind_the_line_does_not_count() -> None:
    other = down(500, 330, -5)

    def frames(t: float) -> Frame:
        return [other(t)] + ([down(100, 220 + 4 * max(0.0, t - 3), 0)(0)] if t > 1.5 else [])

    assert not counted(frames, fps=10, seconds=5)


def test_a_part_of_one_that_is_told_apart_behind_the_line_is_no_second_one() -> None:
    car = down(100, 40, 80)

    def frames(t: float) -> Frame:
        x1, y1, x2, y2 = car(t)
        part = (x1 + 15, y1 + 5, x2 + 8, y2 + 5)
        return [(x1, y1, x2, y2)] + ([part] if y1 > 185 else [])

    assert len(counted(frames, fps=10, seconds=4)) == 1


def test_one_that_the_border_cuts_counts_once_it_was_seen_twice_behind_the_line() -> None:
    def cut(y: float) -> Frame:
        return [(560, y - 25, 640, y + 25)]

    assert len(counted(lambda t: cut(300 - 60 * t), fps=10, seconds=4)) == 1
    # Another one is taken for it, once.
    assert not counted(lambda t: cut(220) if t < 0.5 else cut(178) if t < 0.55 else [], seconds=2)


def test_what_was_seen_lately_stays_little_when_stamps_go_back() -> None:
    crossings, car = Crossings(site()), down(100, 40, 1)
    for begin_s in (1000, 0):
        tracker = Tracker()
        for n in range(200):
            t = n / 30
            views = tracker.update(round((begin_s + t) * 1e9) + 1, found([car(t)]), (640, 360))
            crossings.update(views)
    assert len(crossings._lately) < 60
