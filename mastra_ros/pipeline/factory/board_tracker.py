"""Follows boards through the frames of a belt."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass, field

from mastra_ros.pipeline.factory.board_locator import BoardSpan
from mastra_ros.types import Frame, FrameKey, Result

TOLERANCE = 0.02
"""Of the picture's width: how well two boards' movements must agree."""

FRAMES_KEPT = 600
"""Frames remembered of one board; when a belt stands for long, the oldest are forgotten."""


@dataclass
class Observation:
    """A board in one frame, and the frame's final result once it is there."""

    key: FrameKey
    span: BoardSpan
    frame_width_px: int
    result: Result | None = None


@dataclass
class Board:
    """One board and all that has been seen of it."""

    number: int
    observations: OrderedDict[FrameKey, Observation] = field(default_factory=OrderedDict)
    left_ns: int | None = None  # stamp of the first frame without it
    first_ns: int = 0
    last_key: FrameKey | None = None
    picture: Frame | None = None  # the frame that shows most of it, if pictures are kept

    def add(self, observation: Observation) -> None:
        """The board is seen in one more frame."""
        if not self.observations:
            self.first_ns = observation.key.stamp_ns
        self.observations[observation.key] = observation
        self.last_key = observation.key
        if len(self.observations) > FRAMES_KEPT:
            self.observations.popitem(last=False)

    @property
    def width_px(self) -> int:
        """The widest that was seen of it: its true width once it has been seen whole."""
        return max((o.span.width_px for o in self.observations.values()), default=0)

    @property
    def seen_whole(self) -> bool:
        """Whether both its ends were in the picture, or it filled the picture."""
        spans = [(o.span, o.span.width_px == o.frame_width_px) for o in self.observations.values()]
        left = any(full or not span.cut_left for span, full in spans)
        return left and any(full or not span.cut_right for span, full in spans)

    @property
    def complete(self) -> bool:
        """Whether all its frames have their results."""
        return all(o.result is not None for o in self.observations.values())

    def left_px(self, observation: Observation) -> int:
        """Where its left edge is in a frame; negative when outside the picture."""
        span = observation.span
        if span.cut_left and not span.cut_right:
            return span.x2 - self.width_px
        return span.x1


class BoardTracker:
    """Numbers the boards from 1 as they come; they move along x, in one order, either way.

    Between two frames that follow each other the belt moves by less than the width of the
    picture. A board wholly out of sight is gone.
    """

    def __init__(self) -> None:
        self._visible: list[tuple[Board, BoardSpan]] = []
        self._count = 0
        self._direction = 0  # above 0: boards move to the left

    def add(
        self, key: FrameKey, spans: list[BoardSpan], width_px: int
    ) -> tuple[list[Board], list[Board]]:
        """Take in a frame; frames come in order. Returns the boards in it, and those that left."""
        before = [span for _, span in self._visible]
        found = align(before, spans, width_px, self._direction)
        boards: list[Board] = []
        for j in range(len(spans)):
            i = None if found is None else j + found.shift
            if i is not None and 0 <= i < len(before):
                boards.append(self._visible[i][0])
            else:
                self._count += 1
                boards.append(Board(self._count))
        if found is not None and abs(found.moved_px) > TOLERANCE * width_px:
            step = 1 if found.moved_px > 0 else -1
            self._direction = min(max(self._direction + step, -5), 5)
        gone = [board for board, _ in self._visible if all(board is not b for b in boards)]
        for board in gone:
            board.left_ns = key.stamp_ns
        for board, span in zip(boards, spans, strict=True):
            board.add(Observation(key, span, width_px))
        self._visible = list(zip(boards, spans, strict=True))
        return boards, gone

    def clear(self) -> list[Board]:
        """Forget the boards in the picture, which are returned; numbers go on."""
        gone = [board for board, _ in self._visible]
        self._visible = []
        self._direction = 0
        return gone


@dataclass(frozen=True)
class Alignment:
    """Span j of a frame is span j + shift of the frame before, moved to the left by moved_px."""

    shift: int
    moved_px: float


def align(
    before: list[BoardSpan], now: list[BoardSpan], width_px: int, direction: int = 0
) -> Alignment | None:
    """The least movement of the belt that explains what is seen now, or None.

    All boards move alike and keep their order. Edges seen in both frames tell the movement,
    edges that came or went at the border bound it. Against the known direction (above 0: to the
    left) only what nothing else explains.
    """
    tolerance = TOLERANCE * width_px
    best: Alignment | None = None
    least = float(width_px)
    for shift in range(1 - len(now), len(before)):
        low, high = -math.inf, math.inf
        for j, span in enumerate(now):
            if 0 <= j + shift < len(before):
                pair_low, pair_high = _movement(before[j + shift], span, width_px)
                low, high = max(low, pair_low - tolerance), min(high, pair_high + tolerance)
        if low > high:
            continue
        moved = min(max(0.0, low), high)
        backwards = direction * moved < 0 and abs(moved) > tolerance
        cost = abs(moved) + (0.5 * width_px if backwards else 0.0)
        if cost < least:
            best, least = Alignment(shift, moved), cost
    return best


def _movement(before: BoardSpan, now: BoardSpan, width_px: int) -> tuple[float, float]:
    """Bounds of the movement to the left that takes one board from `before` to `now`, px."""
    low, high = -math.inf, math.inf
    if not before.cut_left and not now.cut_left:
        low = high = float(before.x1 - now.x1)
    elif not before.cut_left:
        low = float(before.x1)
    elif not now.cut_left:
        high = float(-now.x1)
    if not before.cut_right and not now.cut_right:
        same = float(before.x2 - now.x2)
        low, high = max(low, same), min(high, same)
    elif not now.cut_right:
        low = max(low, float(width_px - now.x2))
    elif not before.cut_right:
        high = min(high, float(before.x2 - width_px))
    return low, high
