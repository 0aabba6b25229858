"""Factory inspection: makes one verdict of the results of each board's frames.

pass    enough frames, nothing found
reject  a defect confirmed: on a belt, seen in `confirm_frames` frames and in `confirm_share` of
        those that show its place, once with at least `reject_score`
review  anything between: a defect of low score or not confirmed, too few good frames
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from mastra_ros.config import FactoryConfig
from mastra_ros.pictures import eight_bits
from mastra_ros.pipeline.factory.board_locator import locate_boards
from mastra_ros.pipeline.factory.board_tracker import Board, BoardTracker
from mastra_ros.pipeline.factory.defects import Defect, as_detections, merge
from mastra_ros.types import Detections, Frame, FrameKey, Result

T = TypeVar("T")
Outcome = Literal["pass", "reject", "review"]

FRAMES_KEPT = 64
"""Frames waiting for results that came early, results waiting for their frame."""

RESTART_NS = 10_000_000_000
"""Stamps that go back by more than this mean that the source began anew; so do two frames in a row
that are behind, the second after the first: a recording in a loop."""

OPEN_MAX = 64
"""Boards that have left and wait for results; the oldest gets its verdict where there are more, as
where stamps stand still, by which one would wait no longer."""


@dataclass(frozen=True)
class Verdict:
    """The verdict on one board.

    board: counts from 1. key: of the last frame that showed it. defects: confirmed ones,
    doubtful: those for a person to look at; both in px of the board (belt) or of the frame.
    frames: those with a good result. picture: the frame that shows most of it, with the board's
    left edge at `picture_left_px`; None unless pictures are kept.
    """

    board: int
    verdict: Outcome
    reason: str
    key: FrameKey
    first_stamp_ns: int
    frames: int
    defects: Detections
    doubtful: Detections
    picture: Frame | None = None
    picture_left_px: int = 0

    @property
    def last_stamp_ns(self) -> int:
        """Stamp of the last frame that showed the board."""
        return self.key.stamp_ns


class FactoryInspection:
    """Takes frames and final results as they come; returns the verdicts that follow.

    On a belt frames come in order, results in any order; a verdict is given once the board has
    left the picture and its frames have their results, or `settle_ms` later by the stamps.
    With the trigger `frame` each final result is the verdict on a board, at once. Not thread-safe.
    """

    def __init__(self, config: FactoryConfig) -> None:
        self._config = config
        self._tracker = BoardTracker()
        self._boards: dict[int, Board] = {}  # open ones: in the picture, or not yet settled
        self._shown: OrderedDict[FrameKey, list[Board]] = OrderedDict()
        self._early: OrderedDict[FrameKey, Result] = OrderedDict()
        self._frames: OrderedDict[FrameKey, Frame] = OrderedDict()
        self._newest_ns: int | None = None
        self._newest_id = ""
        self._behind_ns: int | None = None  # stamp of the frame before, where that was behind
        self._count = 0
        self._labels: tuple[str, ...] = ()
        self.counts: dict[Outcome, int] = {"pass": 0, "reject": 0, "review": 0}

    def configure(self, config: FactoryConfig) -> None:
        """Take over parameters that may change while active."""
        self._config = config

    @property
    def open_boards(self) -> int:
        """Boards seen that have no verdict yet."""
        return len(self._boards)

    def on_frame(self, frame: Frame) -> list[Verdict]:
        """A frame has come from the camera. The image must not be changed afterwards."""
        key, frame = frame.key, eight_bits(frame)
        if self._config.trigger == "frame":
            if self._config.pictures_dir:
                self._frames[key] = frame
                _limit(self._frames)
            return []
        verdicts = []
        if self._is_behind(key):
            behind_ns, self._behind_ns = self._behind_ns, key.stamp_ns
            goes_on = behind_ns is not None and key.stamp_ns > behind_ns
            if not goes_on and key.stamp_ns > (self._newest_ns or 0) - RESTART_NS:
                return []  # behind one that was already seen: not worth turning back for
            verdicts = self.finish()
        self._behind_ns = None
        self._newest_ns, self._newest_id = key.stamp_ns, key.id
        config = self._config
        spans = locate_boards(frame.image, config.belt_gray_min, config.belt_gray_max)
        boards, _ = self._tracker.add(key, spans, frame.width_px)
        for board in boards:
            self._boards[board.number] = board
            if config.pictures_dir:
                _keep_best_picture(board, frame)
        self._shown[key] = boards
        _limit(self._shown, 16 * FRAMES_KEPT)
        early = self._early.pop(key, None)
        if early is not None:
            self._assign(early)
        return verdicts + self._settle()

    def _is_behind(self, key: FrameKey) -> bool:
        """Whether the frame, or one after it, was seen; another under one stamp is the next."""
        if self._newest_ns is None or key.stamp_ns > self._newest_ns:
            return False
        return key.stamp_ns < self._newest_ns or key.id == self._newest_id

    def on_result(self, result: Result) -> list[Verdict]:
        """A result; only final ones count, and only the first of a frame."""
        if not result.final:
            return []
        self._labels = result.detections.labels or self._labels
        if self._config.trigger == "frame":
            return [self._judge_frame(result)]
        if result.key in self._shown:
            self._assign(result)
            return self._settle()
        self._early[result.key] = result
        _limit(self._early)
        return []

    def finish(self) -> list[Verdict]:
        """Give verdicts on all the boards that are open, as at the end of a run."""
        self._tracker.clear()
        self._shown.clear()
        self._early.clear()
        self._newest_ns = self._behind_ns = None
        return self._close(list(self._boards.values()))

    def _assign(self, result: Result) -> None:
        for board in self._shown.pop(result.key):
            observation = board.observations.get(result.key)
            if observation is not None:
                observation.result = result

    def _settle(self) -> list[Verdict]:
        """Close the boards that have left and wait for nothing, or have waited long enough."""
        settle_ns = round(self._config.settle_ms * 1e6)
        newest_ns = self._newest_ns or 0

        settled = [
            board
            for board in self._boards.values()
            if board.left_ns is not None
            and (board.complete or newest_ns - board.left_ns >= settle_ns)
        ]
        numbers = {board.number for board in settled}
        waiting = [
            board
            for board in self._boards.values()
            if board.left_ns is not None and board.number not in numbers
        ]
        return self._close(settled + waiting[: max(0, len(waiting) - OPEN_MAX)])

    def _close(self, chosen: list[Board]) -> list[Verdict]:
        for board in chosen:
            del self._boards[board.number]
        return [self._count_in(self._judge_board(board)) for board in chosen]

    def _judge_board(self, board: Board) -> Verdict:
        """The verdict on a board that was followed over the belt."""
        config = self._config
        good = sum(o.result is not None and not o.result.error for o in board.observations.values())
        confirmed: list[Defect] = []
        doubtful: list[Defect] = []
        for defect in merge(board):
            often = len(defect.frames) >= config.confirm_frames
            if often and defect.share >= config.confirm_share:
                (confirmed if defect.score >= config.reject_score else doubtful).append(defect)
            elif defect.share >= config.confirm_share / 2:
                doubtful.append(defect)  # below that it is noise
        outcome, reason = self._outcome(confirmed, doubtful, good)
        if outcome == "pass" and not board.seen_whole:
            outcome, reason = "review", "only a part of it was seen"
        assert board.last_key is not None
        shown = None if board.picture is None else board.observations.get(board.picture.key)
        return Verdict(
            board.number,
            outcome,
            reason,
            board.last_key,
            board.first_ns,
            good,
            as_detections(confirmed, self._labels),
            as_detections(doubtful, self._labels),
            board.picture if shown else None,
            board.left_px(shown) if shown else 0,
        )

    def _outcome(
        self, confirmed: list[Defect], doubtful: list[Defect], frames: int
    ) -> tuple[Outcome, str]:
        if confirmed:
            return "reject", _named([d.name for d in confirmed])
        if frames < self._config.confirm_frames:
            wanted = self._config.confirm_frames
            return "review", f"only {frames} good frames, {wanted} wanted"
        if doubtful:
            return "review", f"unsure: {_named([d.name for d in doubtful])}"
        return "pass", f"nothing found in {frames} frames"

    def _judge_frame(self, result: Result) -> Verdict:
        """The verdict on a frame that is a board of its own."""
        found = result.detections
        sure = found.scores >= self._config.reject_score
        defects, doubtful = _chosen(found, sure), _chosen(found, ~sure)
        outcome: Outcome = "pass"
        reason = "nothing found"
        if result.error:
            outcome, reason = "review", result.error
            defects = doubtful = Detections.empty(found.labels)
        elif len(defects):
            outcome = "reject"
            reason = _named([found.labels[c] for c in defects.classes.tolist()])
        elif len(doubtful):
            outcome = "review"
            reason = f"unsure: {_named([found.labels[c] for c in doubtful.classes.tolist()])}"
        self._count += 1
        return self._count_in(
            Verdict(
                self._count,
                outcome,
                reason,
                result.key,
                result.key.stamp_ns,
                0 if result.error else 1,
                defects,
                doubtful,
                self._frames.pop(result.key, None),
            )
        )

    def _count_in(self, verdict: Verdict) -> Verdict:
        self.counts[verdict.verdict] += 1
        return verdict


def _keep_best_picture(board: Board, frame: Frame) -> None:
    """Remember the first of the frames that show most of the board."""
    best = None if board.picture is None else board.observations.get(board.picture.key)
    if best is None or board.observations[frame.key].span.width_px > best.span.width_px:
        board.picture = frame


def _chosen(found: Detections, which: NDArray[np.bool_]) -> Detections:
    return Detections(found.boxes[which], found.scores[which], found.classes[which], found.labels)


def _named(names: list[str]) -> str:
    """`2 open, 1 spur`, in the order of first appearance."""
    return ", ".join(f"{names.count(name)} {name}" for name in dict.fromkeys(names))


def _limit(entries: OrderedDict[FrameKey, T], most: int = FRAMES_KEPT) -> None:
    while len(entries) > most:
        entries.popitem(last=False)
