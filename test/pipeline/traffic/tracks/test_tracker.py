"""What is followed keeps its number over gaps; nothing without a number is ever seen."""

from __future__ import annotations

import numpy as np
import pytest

from mastra_ros.pipeline.traffic.tracks import Tracker
from mastra_ros.pipeline.traffic.tracks.kalman import BoxFilter
from test.pipeline.traffic.drive import Box, down, found

SIZE_PX = (640, 360)


def numbers(frames: list[list[Box]], fps: float, score: float = 0.8) -> list[set[int]]:
    tracker = Tracker()
    return [
        {
            view.number
            for view in tracker.update(round(n * 1e9 / fps) + 1, found(boxes, score=score), SIZE_PX)
        }
        for n, boxes in enumerate(frames)
    ]


@pytest.mark.parametrize("missing", [1, 2, 4])
def test_at_5_frames_a_second_one_keeps_its_number_over_a_gap(missing: int) -> None:
    car = down(100, 30, 55)
    frames = [[car(n / 5)] if not 10 <= n < 10 + missing else [] for n in range(26)]
    assert set().union(*numbers(frames, 5)) == {1}


def test_two_side_by_side_keep_theirs_where_one_is_not_seen_for_a_while() -> None:
    a, b = down(100, 30, 55), down(180, 20, 60)
    frames = [[a(n / 5), b(n / 5)] if not 10 <= n < 13 else [b(n / 5)] for n in range(24)]
    tracker = Tracker()
    places: dict[int, set[bool]] = {}
    for n, boxes in enumerate(frames):
        for view in tracker.update(n * 200_000_000 + 1, found(boxes), SIZE_PX):
            places.setdefault(view.number, set()).add(view.middle[0] > 140)
    assert sorted(map(sorted, places.values())) == [[False], [True]]


def test_frames_at_uneven_times_are_reckoned_by_their_stamps() -> None:
    rng = np.random.default_rng(5)
    car, tracker, seen, t = down(100, 30, 60), Tracker(), set(), 0.0
    while t < 4.5:
        views = tracker.update(round(t * 1e9) + 1, found([car(t)]), SIZE_PX)
        seen |= {view.number for view in views}
        t += float(rng.choice([0.033, 0.2, 0.5]))
    assert seen == {1}
    assert views[0].speed_px_s[1] == pytest.approx(60, rel=0.15)


def test_what_has_no_number_yet_is_not_seen() -> None:
    car = down(100, 30, 60)
    assert numbers([[car(0)], [], [], []], 10) == [set()] * 4
    assert numbers([[car(n / 10)] for n in range(8)], 10, score=0.3) == [set()] * 8
    assert numbers([[car(n / 10)] for n in range(4)], 10)[0] == set()


def test_after_a_long_gap_or_stamps_that_go_back_numbers_begin_anew() -> None:
    tracker, car = Tracker(), down(100, 180, 0)(0)

    def seen(begin_s: float) -> set[int]:
        views = [
            tracker.update(round((begin_s + n / 10) * 1e9) + 1, found([car]), SIZE_PX)
            for n in range(5)
        ]
        return {view.number for some in views for view in some}

    assert [seen(0.0), seen(60.0), seen(10.0)] == [{1}, {2}, {3}]


@pytest.mark.parametrize("frame_s", [0.1, 0.2])
def test_one_that_is_lost_just_after_it_came_is_not_the_one_behind_it(frame_s: float) -> None:
    first, second = down(100, 300, -60), down(100, 385, -60)
    tracker, seen = Tracker(), []
    for n, boxes in enumerate([[first], [first], [], [], [second], [second], [second]]):
        at_s = n * frame_s
        views = tracker.update(round(at_s * 1e9) + 1, found([car(at_s) for car in boxes]), SIZE_PX)
        seen += [(view.number, view.middle[1]) for view in views if view.found]
    assert len({number for number, _ in seen}) == 2
    for number in (1, 2):
        ways = np.diff([y for who, y in seen if who == number])
        assert (ways < 1).all(), "nobody jumps back"


def test_the_filter_goes_on_where_nothing_is_found_and_is_less_sure() -> None:
    car = down(100, 30, 60)
    filter_ = BoxFilter.of(np.array(car(0)))
    for n in range(1, 11):
        filter_.predict(0.2)
        filter_.update(np.array(car(n / 5)))
    sure = filter_.p00
    for _ in range(4):
        filter_.predict(0.2)
    assert filter_.place[:2] == pytest.approx([100, 30 + 60 * 2.8], abs=4)
    assert filter_.p00 > 4 * sure


@pytest.mark.parametrize("fps", [5, 10, 30])
def test_one_that_was_found_badly_at_first_has_been_where_it_was_found_so(fps: float) -> None:
    car, tracker, first = down(100, 60, 60), Tracker(), None
    for n in range(int(2.5 * fps)):
        t = n / fps
        score = 0.2 if t < 0.9 else 0.8
        boxes = found([car(t)] if t > 0.25 else [], score=score)
        for view in tracker.update(round(t * 1e9) + 1, boxes, SIZE_PX):
            first = first or view
    assert first is not None
    stamps = [place[0] / 1e9 for place in first.past]
    assert stamps == sorted(stamps)
    assert stamps[0] < 0.65
    for stamp_ns, x, y, *_ in first.past:
        assert (x, y) == pytest.approx((100, 60 + 60 * stamp_ns / 1e9), abs=4)


def test_what_was_found_badly_elsewhere_is_not_where_one_has_been() -> None:
    car, tracker, first = down(100, 60, 60), Tracker(), None
    for n in range(20):
        t = n / 10
        boxes = found(
            [car(t)] if t > 0.9 else [down(400, 100, 0)(0)], score=0.8 if t > 0.9 else 0.2
        )
        for view in tracker.update(round(t * 1e9) + 1, boxes, SIZE_PX):
            first = first or view
    assert first is not None
    assert first.past[0][0] / 1e9 > 0.9
