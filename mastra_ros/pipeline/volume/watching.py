"""Watches a sweep while it lasts: how fast it is, where frames lie too far apart, what is covered.

Frames may come in any order: what is said is about neighbours by their numbers.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .reconstruction import Volume

Array = NDArray[Any]

LATEST = 8
"""The speed is that over so many of the newest frames."""
GAPS_TOLD = 16


@dataclass(frozen=True)
class Watched:
    """What can be said of a sweep so far.

    speed_mm_s: of the newest frames; None with fewer than two. gaps: frame before, frame after,
    largest distance between them in mm; the newest last. covered: share of the way that is covered
    by frames close enough to their neighbours.
    """

    frames: int
    speed_mm_s: float | None
    gaps: tuple[tuple[int, int, float], ...]
    gaps_total: int
    covered: float


class SweepWatch:
    """Takes the place of every frame. gap_mm: neighbours farther apart than this leave a gap."""

    def __init__(self, gap_mm: float) -> None:
        self._gap_mm = gap_mm
        self._numbers: list[int] = []
        self._places: dict[int, tuple[int, Array]] = {}

    def add(self, sequence: int, stamp_ns: int, corners: Array) -> None:
        """A frame: its number, when it was taken, and the places of its corners, (4, 3) in mm."""
        if sequence not in self._places:
            bisect.insort(self._numbers, sequence)
        self._places[sequence] = (stamp_ns, np.asarray(corners, np.float64))

    def state(self) -> list[list[Any]]:
        """Every frame, as plain values; `add` takes them again."""
        return [[n, stamp, corners.tolist()] for n, (stamp, corners) in self._places.items()]

    def watched(self) -> Watched:
        """How the sweep goes."""
        numbers = self._numbers
        if len(numbers) < 2:
            return Watched(len(numbers), None, (), 0, 1.0 if numbers else 0.0)
        corners = np.stack([self._places[one][1] for one in numbers])
        steps = np.linalg.norm(np.diff(corners, axis=0), axis=2).max(1)
        wide = np.flatnonzero(steps > self._gap_mm)
        gaps = tuple(
            (numbers[one], numbers[one + 1], round(float(steps[one]), 2))
            for one in wide[-GAPS_TOLD:].tolist()
        )
        way = float(steps.sum())
        covered = float(np.minimum(steps, self._gap_mm).sum()) / way if way > 0 else 1.0
        return Watched(len(numbers), self._speed(corners), gaps, len(wide), covered)

    def jitter_mm(self) -> float:
        """How far frames lie off the middle of their neighbours, by the root of the mean square.

        A measure of the noise of the poses: of a smooth sweep it is next to nothing.
        """
        if len(self._numbers) < 5:
            return 0.0
        places = np.stack([self._places[one][1] for one in self._numbers])
        off = places[1:-1] - (places[:-2] + places[2:]) / 2
        # The variance of such a difference is 1.5 times that of one place, in each direction.
        return float(np.sqrt((off**2).mean() / 1.5))

    def _speed(self, corners: Array) -> float | None:
        newest = self._numbers[-LATEST:]
        first_ns, last_ns = self._places[newest[0]][0], self._places[newest[-1]][0]
        if last_ns <= first_ns:
            return None
        middles = corners[-len(newest) :].mean(1)
        way = np.linalg.norm(np.diff(middles, axis=0), axis=1).sum()
        return float(way / ((last_ns - first_ns) * 1e-9))


def coverage_map(volume: Volume, filled: Volume) -> tuple[float, NDArray[np.uint8]]:
    """How much of what was swept was hit: the share, and a map seen along the box's shortest side.

    Swept is what was hit and what could be filled in between. The map is 255 where all was hit
    along the way, 1 where nothing was, 0 outside.
    """
    hit, swept = volume.hits > 0, filled.hits != 0
    total = int(swept.sum())
    share = float((hit & swept).sum()) / total if total else 0.0
    axis = int(np.argmin(hit.shape))
    depth, known = swept.sum(axis), (hit & swept).sum(axis)
    level = np.divide(known, depth, out=np.zeros(depth.shape), where=depth > 0)
    picture = np.where(depth > 0, np.maximum(1, np.rint(level * 255)), 0)
    return share, picture.astype(np.uint8)
