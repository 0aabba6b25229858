"""Merges what several frames show of one board into its defects."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mastra_ros.pipeline.factory.board_tracker import Board, Observation
from mastra_ros.types import Detections, FrameKey

SAME_IOU = 0.3
SAME_CENTRES = 0.6
"""Two boxes whose centres are closer than this share of their size show the same defect."""

BORDER_PX = 2.0
"""A box this close to the border of the picture is cut there, if the board goes on outside."""

EDGE_PX = 6.0
"""A box that reaches further over the edge of the board shows that edge, and no defect on it.

Where board and belt meet, traces end as if they were broken; models learned from pictures that
boards fill see an open, a spur or a short there.
"""


@dataclass
class Defect:
    """One place on a board where frames show something. Boxes are in px of the board.

    Defects have names, not numbers: each model has labels of its own, and the same class may be
    another number for the next.
    """

    boxes: list[NDArray[np.float32]] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    frames: set[FrameKey] = field(default_factory=set)
    shown_in: int = 0  # frames that show the place, with or without the defect

    @property
    def box(self) -> NDArray[np.float32]:
        """x1 y1 x2 y2: the mean of all, weighted by score."""
        weights = np.maximum(np.array(self.scores, np.float32), 1e-6)
        weighted = np.stack(self.boxes) * (weights / weights.sum())[:, None]
        return np.asarray(weighted.sum(axis=0), np.float32)

    @property
    def score(self) -> float:
        """The highest of all."""
        return max(self.scores)

    @property
    def name(self) -> str:
        """The label with the largest sum of scores."""
        votes: dict[str, float] = {}
        for name, score in zip(self.names, self.scores, strict=True):
            votes[name] = votes.get(name, 0.0) + score
        return max(votes, key=lambda n: votes[n])

    @property
    def share(self) -> float:
        """Frames that show the defect, of those that show its place."""
        return len(self.frames) / max(self.shown_in, len(self.frames), 1)

    def add(self, box: NDArray[np.float32], score: float, name: str, key: FrameKey) -> None:
        """One more frame shows it."""
        self.boxes.append(box)
        self.scores.append(score)
        self.names.append(name)
        self.frames.add(key)

    def matches(self, box: NDArray[np.float32]) -> bool:
        """Whether a box shows the same place as the most certain one."""
        own = self.boxes[0]
        sides = np.minimum(own[2:], box[2:]) - np.maximum(own[:2], box[:2])
        overlap = float(np.prod(np.maximum(sides, 0)))
        areas = float(np.prod(own[2:] - own[:2]) + np.prod(box[2:] - box[:2]))
        if overlap > 0 and overlap / max(areas - overlap, 1e-6) >= SAME_IOU:
            return True
        apart = float(np.linalg.norm((own[:2] + own[2:] - box[:2] - box[2:]) / 2))
        size = float(np.minimum(own[2:] - own[:2], box[2:] - box[:2]).min())
        return apart < SAME_CENTRES * size


def merge(board: Board) -> list[Defect]:
    """The places on a board where its frames show something, the most certain first."""
    seen: list[tuple[float, str, NDArray[np.float32], FrameKey]] = []
    for observation in board.observations.values():
        result = observation.result
        if result is None or result.error:
            continue
        left = board.left_px(observation)
        shift = np.array([left, 0, left, 0], np.float32)
        found = result.detections
        for i in np.flatnonzero(_on_board(found, observation)).tolist():
            box = np.asarray(found.boxes[i] - shift, np.float32)
            name = found.labels[int(found.classes[i])]
            seen.append((float(found.scores[i]), name, box, observation.key))
    seen.sort(key=lambda item: -item[0])
    defects: list[Defect] = []
    for score, name, box, key in seen:
        match = next((d for d in defects if d.matches(box)), None)
        if match is None:
            match = Defect()
            defects.append(match)
        match.add(box, score, name, key)
    for defect in defects:
        defect.shown_in = sum(_shows(board, o, defect) for o in board.observations.values())
    return defects


def as_detections(defects: list[Defect], labels: tuple[str, ...]) -> Detections:
    """Defects as detections in px of the board; labels that `labels` lacks stand behind them."""
    if not defects:
        return Detections.empty(labels)
    labels = tuple(dict.fromkeys([*labels, *(d.name for d in defects)]))
    return Detections(
        np.stack([d.box for d in defects]),
        np.array([d.score for d in defects], np.float32),
        np.array([labels.index(d.name) for d in defects], np.int32),
        labels,
    )


def _on_board(found: Detections, observation: Observation) -> NDArray[np.bool_]:
    """Which detections lie on the board, and are not cut by the border of the picture.

    A defect that is cut there is seen whole in other frames.
    """
    span, width = observation.span, observation.frame_width_px
    centres = (found.boxes[:, 0] + found.boxes[:, 2]) / 2
    good = (span.x1 <= centres) & (centres < span.x2)
    if span.width_px < width:  # a board that fills the picture is taken to end with it
        x1 = BORDER_PX if span.cut_left else span.x1 - EDGE_PX
        good &= found.boxes[:, 0] > x1
        x2 = width - BORDER_PX if span.cut_right else span.x2 + EDGE_PX
        good &= found.boxes[:, 2] < x2
    return np.asarray(good)


def _shows(board: Board, observation: Observation, defect: Defect) -> bool:
    """Whether a frame with a good result shows the whole place of a defect."""
    if observation.result is None or observation.result.error:
        return False
    left = board.left_px(observation)
    x1, x2 = left + float(defect.box[0]), left + float(defect.box[2])
    span, slack = observation.span, BORDER_PX + 1
    return x1 >= span.x1 - slack and x2 <= span.x2 + slack
