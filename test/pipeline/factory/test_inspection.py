"""Verdicts on boards, from frames with known truth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from mastra_ros.camera.drawn.board import LABELS, BoardDefect
from mastra_ros.camera.drawn.line import Line, LineOptions
from mastra_ros.config import FactoryConfig
from mastra_ros.pipeline.factory.inspection import FactoryInspection, Verdict
from mastra_ros.types import Detections, Frame, FrameKey, Result, Route

MS = 1_000_000


def detections(*found: tuple[float, float, float, float, str, float]) -> Detections:
    if not found:
        return Detections.empty(LABELS)
    return Detections(
        np.array([f[:4] for f in found], np.float32),
        np.array([f[5] for f in found], np.float32),
        np.array([LABELS.index(f[4]) for f in found], np.int32),
        LABELS,
    )


class Detector:
    """Sees the truth, with as much error as it is told to make."""

    def __init__(self, *, miss: float = 0.0, invent: float = 0.0, jitter_px: float = 0.0) -> None:
        self.rng = np.random.default_rng(11)
        self.miss, self.invent, self.jitter_px = miss, invent, jitter_px

    def __call__(self, defects: tuple[BoardDefect, ...]) -> Detections:
        rng, found = self.rng, []
        for d in defects:
            if rng.random() >= self.miss:
                x1, y1, x2, y2 = np.array([d.x1, d.y1, d.x2, d.y2]) + rng.normal(
                    0, self.jitter_px, 4
                )
                box = (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))
                found.append((*box, d.label, float(rng.uniform(0.6, 1.0))))
        while rng.random() < self.invent:
            x, y = rng.uniform(0, 600, 2).tolist()
            label = LABELS[int(rng.integers(6))]
            found.append((x, y, x + 30, y + 30, label, float(rng.uniform(0.2, 0.9))))
        return detections(*found)


def inspect(
    line: Line,
    frames: int,
    detector: Detector,
    *,
    delay_frames: int = 0,
    lost: float = 0.0,
    **values: Any,
) -> list[Verdict]:
    """Run frames through an inspection; results come up to `delay_frames` late, in any order."""
    rng = np.random.default_rng(5)
    inspection = FactoryInspection(FactoryConfig(**values))
    verdicts: list[Verdict] = []
    waiting: list[tuple[float, Result]] = []
    for index in range(frames):
        key = FrameKey("main", 1 + round(index * 1e9 / line.options.rate_hz))
        verdicts += inspection.on_frame(Frame(key, line.image(index), line.options.encoding))
        result = Result(key, Route.LOCAL, detector(line.truth(index).defects))
        if rng.random() >= lost:
            waiting.append((index + rng.uniform(0, delay_frames), result))
        waiting.sort(key=lambda item: item[0])
        while waiting and waiting[0][0] <= index:
            verdicts += inspection.on_result(waiting.pop(0)[1])
    for _, result in waiting:
        verdicts += inspection.on_result(result)
    assert inspection.open_boards <= 3
    verdicts += inspection.finish()
    assert inspection.open_boards == 0
    assert sum(inspection.counts.values()) == len(verdicts)
    return verdicts


@pytest.fixture
def line() -> Iterator[Line]:
    line = Line(LineOptions(seed=2, boards_per_minute=60.0, width_px=320, height_px=320))
    yield line
    line.close()


def check(verdicts: list[Verdict], line: Line) -> None:
    """Every board once, in order, with exactly its defects, and where they are."""
    assert [v.board for v in verdicts] == list(range(1, len(verdicts) + 1))
    for verdict in verdicts:
        truth = line.board_truth(verdict.board)
        assert verdict.verdict == ("reject" if truth else "pass"), verdict.reason
        found = verdict.defects
        assert sorted(found.labels[c] for c in found.classes) == sorted(d.label for d in truth)
        for defect in truth:
            wanted = np.array([defect.x1, defect.y1, defect.x2, defect.y2])
            assert np.abs(found.boxes - wanted).max(axis=1).min() < 8


@pytest.mark.parametrize(
    "options",
    [
        LineOptions(seed=1, boards_per_minute=60.0, height_px=320),
        LineOptions(seed=1, boards_per_minute=60.0, width_px=640, height_px=480),
        LineOptions(seed=1, boards_per_minute=60.0, motion="continuous", height_px=320),
        LineOptions(seed=1, boards_per_minute=60.0, gap_px=20, height_px=320),
        LineOptions(seed=1, boards_per_minute=60.0, gap_px=500, height_px=320),
    ],
    ids=["index", "640x480", "continuous", "narrow gaps", "wide gaps"],
)
def test_a_perfect_detector_leads_to_perfect_verdicts(options: LineOptions) -> None:
    line = Line(options)
    verdicts = inspect(line, 60, Detector())[:-1]  # the last one is not yet wholly in the picture
    assert len(verdicts) >= 3
    check(verdicts, line)
    line.close()


class TwoModels(Detector):
    """Frames by turns from two models; the second has other numbers, and perhaps fewer labels."""

    turn = 0
    others = LABELS

    def __call__(self, defects: tuple[BoardDefect, ...]) -> Detections:
        found, self.turn = super().__call__(defects), self.turn + 1
        names = [found.labels[c] for c in found.classes]
        known = [i for i, name in enumerate(names) if name in self.others]
        if self.turn % 2:
            return found
        classes = np.array([self.others.index(names[i]) for i in known], np.int32)
        return Detections(found.boxes[known], found.scores[known], classes, self.others)


@pytest.mark.parametrize("others", [LABELS[::-1], ("y", *LABELS), (LABELS[5], "x"), ("x",)])
def test_two_models_with_labels_of_their_own_live_together(
    line: Line, others: tuple[str, ...]
) -> None:
    detector = TwoModels()
    detector.others = others
    check(inspect(line, 100, detector)[:-1], line)


def test_a_noisy_detector_is_outvoted(line: Line) -> None:
    verdicts = inspect(line, 200, Detector(miss=0.2, invent=0.3, jitter_px=1.0))[:-1]
    assert len(verdicts) >= 12
    right = 0
    for verdict in verdicts:
        outcome = "reject" if line.board_truth(verdict.board) else "pass"
        right += verdict.verdict == outcome
        assert verdict.verdict in (outcome, "review"), verdict.reason
    assert right >= 0.8 * len(verdicts)


def test_results_may_come_out_of_order_and_late(line: Line) -> None:
    check(inspect(line, 100, Detector(), delay_frames=12), line)


def test_missing_results_delay_verdicts_no_longer_than_the_settling_time(line: Line) -> None:
    check(inspect(line, 120, Detector(), lost=0.3, settle_ms=300.0), line)


def test_without_any_result_every_board_is_for_review(line: Line) -> None:
    verdicts = inspect(line, 50, Detector(), lost=1.0)
    assert {v.verdict for v in verdicts} == {"review"}
    assert verdicts[0].reason == "only 0 good frames, 2 wanted"


class Belt:
    """One board of 300 px that comes, stands at x = 100 and goes, in a picture of 500 px."""

    def __init__(self, **values: Any) -> None:
        self.inspection = FactoryInspection(FactoryConfig(**values))
        self.n = 0

    def frame(self, x: int | None = 100) -> FrameKey:
        self.n += 1
        image = np.full((100, 500), 32, np.uint8)
        if x is not None:
            image[:, max(x, 0) : max(x + 300, 0)] = 255
        key = FrameKey("main", self.n * 100 * MS)
        self.verdicts = self.inspection.on_frame(Frame(key, image, "mono8"))
        return key

    def result(self, key: FrameKey, *found: Any, error: str = "", final: bool = True) -> None:
        result = Result(key, Route.LOCAL, detections(*found), error=error, final=final)
        self.verdicts = self.inspection.on_result(result)

    def leave(self) -> Verdict:
        self.frame(None)
        (verdict,) = self.verdicts
        return verdict


SPUR = (150.0, 40.0, 170.0, 60.0, "spur", 0.9)


def test_a_defect_in_enough_frames_rejects_the_board_and_is_given_in_its_own_px() -> None:
    belt = Belt()
    for _ in range(4):
        belt.result(belt.frame(), SPUR)
    verdict = belt.leave()
    assert verdict.verdict == "reject"
    assert verdict.reason == "1 spur"
    assert verdict.frames == 4
    assert verdict.defects.boxes.tolist() == [[50, 40, 70, 60]]
    assert (verdict.first_stamp_ns, verdict.last_stamp_ns) == (100 * MS, 400 * MS)
    assert belt.inspection.counts == {"pass": 0, "reject": 1, "review": 0}


def test_a_board_that_moves_shows_one_defect_in_one_place() -> None:
    belt = Belt()
    for x in (300, 200, 100, 0, -100, -200):
        belt.result(belt.frame(x), (x + 150.0, 40.0, x + 170.0, 60.0, "spur", 0.9))
    verdict = belt.leave()
    assert verdict.defects.boxes[0] == pytest.approx([150, 40, 170, 60], abs=0.01)


def test_what_the_border_of_the_picture_cuts_is_left_to_frames_that_show_it_whole() -> None:
    belt = Belt()
    for x in (380, 340, 300):
        belt.result(belt.frame(x), (x + 100.0, 40.0, 500.0, 60.0, "open", 0.9))
    belt.result(belt.frame(100))
    verdict = belt.leave()
    assert verdict.verdict == "pass"


def test_a_board_that_was_not_seen_whole_does_not_pass() -> None:
    belt = Belt()
    for _ in range(3):
        belt.result(belt.frame(300))
    (verdict,) = belt.inspection.finish()
    assert (verdict.verdict, verdict.reason) == ("review", "only a part of it was seen")


def test_what_lies_on_the_belt_is_no_defect() -> None:
    belt = Belt()
    for _ in range(4):
        belt.result(belt.frame(), (20.0, 40.0, 40.0, 60.0, "copper", 0.9))
    assert belt.leave().verdict == "pass"


@pytest.mark.parametrize(
    ("x1", "x2", "outcome"),
    [(85, 125, "pass"), (375, 410, "pass"), (95, 125, "reject"), (375, 405, "reject")],
)
def test_what_reaches_over_the_edge_of_the_board_is_its_edge(
    x1: float, x2: float, outcome: str
) -> None:
    belt = Belt()
    for _ in range(4):
        belt.result(belt.frame(), (x1, 40.0, x2, 60.0, "open", 0.9))
    assert belt.leave().verdict == outcome


@pytest.mark.parametrize(
    ("shown", "score", "outcome", "reason"),
    [
        (4, 0.4, "review", "unsure: 1 spur"),
        (1, 0.9, "review", "unsure: 1 spur"),
        (0, 0.9, "pass", "nothing found in 4 frames"),
    ],
)
def test_unsure_or_unconfirmed_defects_are_for_review(
    shown: int, score: float, outcome: str, reason: str
) -> None:
    belt = Belt()
    for n in range(4):
        belt.result(belt.frame(), *([(*SPUR[:5], score)] if n < shown else []))
    verdict = belt.leave()
    assert (verdict.verdict, verdict.reason) == (outcome, reason)
    assert len(verdict.defects) == 0
    assert len(verdict.doubtful) == (outcome == "review")


def test_what_one_frame_of_many_shows_is_noise() -> None:
    belt = Belt()
    for n in range(20):
        belt.result(belt.frame(), *([SPUR] if n == 7 else []))
    assert belt.leave().verdict == "pass"


def test_classes_are_voted_and_the_highest_score_is_kept() -> None:
    belt = Belt()
    for label, score in (("spur", 0.6), ("short", 0.9), ("spur", 0.7)):
        belt.result(belt.frame(), (*SPUR[:4], label, score))
    verdict = belt.leave()
    assert verdict.reason == "1 spur"
    assert verdict.defects.scores[0] == pytest.approx(0.9)


def test_errors_and_provisional_results_do_not_count() -> None:
    belt = Belt()
    for _ in range(3):
        key = belt.frame()
        belt.result(key, SPUR, final=False)
        belt.result(key, error="model gone")
    verdict = belt.leave()
    assert verdict.verdict == "review"
    assert verdict.frames == 0


def test_a_verdict_waits_for_the_results_of_its_frames_but_not_forever() -> None:
    belt = Belt(settle_ms=500.0)
    keys = [belt.frame() for _ in range(3)]
    for key in keys[:2]:
        belt.result(key)
    belt.frame(None)
    assert belt.verdicts == []
    belt.result(keys[2])
    assert [v.frames for v in belt.verdicts] == [3]
    keys = [belt.frame() for _ in range(3)]
    belt.result(keys[0])
    belt.result(keys[1])
    for _ in range(5):
        belt.frame(None)
        assert belt.verdicts == []
    belt.frame(None)
    assert [v.frames for v in belt.verdicts] == [2]
    belt.result(keys[2])
    assert belt.verdicts == []


def test_a_result_may_come_before_its_frame() -> None:
    belt = Belt()
    for n in range(1, 4):
        belt.result(FrameKey("main", n * 100 * MS), SPUR)
    for _ in range(3):
        belt.frame()
    assert belt.leave().verdict == "reject"


def test_a_source_that_begins_anew_ends_the_open_board() -> None:
    belt = Belt()
    belt.n = 1000
    belt.result(belt.frame())
    belt.result(belt.frame())
    belt.n = 0
    belt.frame()
    assert [v.board for v in belt.verdicts] == [1]
    belt.frame()
    assert [v.board for v in belt.inspection.finish()] == [2]


def test_a_single_frame_out_of_order_is_passed_over() -> None:
    belt = Belt()
    belt.frame()
    belt.frame()
    belt.n = 0
    belt.frame(None)
    assert belt.inspection.open_boards == 1


def test_memory_stays_bounded_when_results_never_meet_frames() -> None:
    belt = Belt()
    for n in range(5000):
        belt.result(FrameKey("other", n))
        belt.frame()
    assert len(belt.inspection._early) <= 64
    assert len(belt.inspection._shown) <= 1024


def test_changed_thresholds_count_at_the_next_verdict() -> None:
    belt = Belt()
    for _ in range(3):
        belt.result(belt.frame(), (*SPUR[:5], 0.4))
    belt.inspection.configure(FactoryConfig(reject_score=0.3))
    assert belt.leave().verdict == "reject"


@pytest.mark.parametrize(
    ("found", "error", "outcome", "reason"),
    [
        ([], "", "pass", "nothing found"),
        ([SPUR, (1.0, 1.0, 9.0, 9.0, "open", 0.2)], "", "reject", "1 spur"),
        ([(1.0, 1.0, 9.0, 9.0, "open", 0.2)], "", "review", "unsure: 1 open"),
        ([], "no model", "review", "no model"),
    ],
)
def test_with_the_trigger_frame_each_final_result_is_a_board(
    found: list[Any], error: str, outcome: str, reason: str
) -> None:
    belt = Belt(trigger="frame")
    key = belt.frame()
    assert belt.verdicts == []
    belt.result(key, *found, final=False)
    assert belt.verdicts == []
    belt.result(key, *found, error=error)
    (verdict,) = belt.verdicts
    assert (verdict.board, verdict.verdict, verdict.reason) == (1, outcome, reason)
    assert len(verdict.defects) == (outcome == "reject")
    assert belt.inspection.finish() == []
