"""The poses of a probe as a tracker tells them: which are taken, and where it was in between.

What is refused is counted by its reason: `invalid` (no rigid motion, or the tracker says so),
`jump` (further from the last one than a hand can go), `clock` (a stamp not after the last one).
Where there is none for a moment, that has a reason too: `waiting`, `stale` or `too early`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass

import numpy as np

from mastra_ros.pipeline.ultrasound.rigid import Matrix, angle_deg, between, problem_of

POSES_KEPT = 4096
AGREEING = 5
"""So many poses in a row that fit each other, though not the last one taken: they are right."""

WAITING = "waiting"
STALE = "stale pose"
EARLY = "no pose yet"


@dataclass(frozen=True)
class PoseLimits:
    """speed and turn: faster is a jump. gap: between two poses with nothing to say in between."""

    speed_max_mm_s: float = 1000.0
    turn_max_deg_s: float = 720.0
    gap_max_ms: float = 150.0
    wait_max_ms: float = 500.0


class PoseTrack:
    """Poses in the order of their stamps; matrices are probe to reference, in mm."""

    def __init__(self, limits: PoseLimits | None = None) -> None:
        self._limits = limits or PoseLimits()
        self._stamps: list[int] = []
        self._poses: list[Matrix] = []
        self._doubted: list[tuple[int, Matrix]] = []
        self.taken = 0
        self.refused: Counter[str] = Counter()
        self.problem = ""  # the latest refusal in words

    @property
    def newest_ns(self) -> int | None:
        """Stamp of the newest that was taken."""
        return self._stamps[-1] if self._stamps else None

    def add(self, stamp_ns: int, matrix: Matrix | None) -> bool:
        """Take a pose, or count why not. None: the tracker itself says that it is invalid."""
        problem = "the tracker says so" if matrix is None else problem_of(matrix)
        if matrix is None or problem:
            return self._refuse("invalid", f"pose: invalid: {problem}")
        last_ns = self.newest_ns
        if last_ns is not None and stamp_ns <= last_ns:
            if last_ns - stamp_ns < 1_000_000_000:
                return self._refuse(
                    "clock", f"pose: expected a stamp after {last_ns} ns, got {stamp_ns} ns"
                )
            # A clock that was set back: what was before it says nothing of what comes.
            self._refuse("clock jumped back", f"pose: stamps went back {last_ns - stamp_ns} ns")
            self.forget()
        elif last_ns is not None and (
            jump := self._jump(self._poses[-1], last_ns, matrix, stamp_ns)
        ):
            return self._doubt(stamp_ns, matrix, jump)
        self._take(stamp_ns, matrix)
        return True

    def forget(self) -> None:
        """Begin anew; the counts stay."""
        self._stamps.clear()
        self._poses.clear()
        self._doubted.clear()

    def at(self, stamp_ns: int) -> tuple[Matrix | None, str]:
        """The pose at a moment, or None and why: WAITING where a later pose may still tell."""
        place = bisect_left(self._stamps, stamp_ns)
        if place < len(self._stamps) and self._stamps[place] == stamp_ns:
            return self._poses[place], ""
        if place == len(self._stamps):
            return None, WAITING
        if place == 0:
            return None, EARLY
        before_ns, after_ns = self._stamps[place - 1], self._stamps[place]
        if after_ns - before_ns > self._limits.gap_max_ms * 1e6:
            return None, STALE
        share = (stamp_ns - before_ns) / (after_ns - before_ns)
        return between(self._poses[place - 1], self._poses[place], share), ""

    def _jump(self, last: Matrix, last_ns: int, matrix: Matrix, stamp_ns: int) -> str:
        seconds = (stamp_ns - last_ns) / 1e9
        away_mm = float(np.linalg.norm(matrix[:3, 3] - last[:3, 3]))
        turned_deg = angle_deg(last, matrix)
        # A millimetre and a degree more: noise between two poses that lie close in time.
        if away_mm > 1.0 + self._limits.speed_max_mm_s * seconds:
            return f"{away_mm:.1f} mm in {seconds * 1e3:.1f} ms"
        if turned_deg > 1.0 + self._limits.turn_max_deg_s * seconds:
            return f"{turned_deg:.1f} degrees in {seconds * 1e3:.1f} ms"
        return ""

    def _doubt(self, stamp_ns: int, matrix: Matrix, jump: str) -> bool:
        """A jump: refused, unless it turns out that the probe has really gone there."""
        if self._doubted:
            doubted_ns, doubted = self._doubted[-1]
            if stamp_ns <= doubted_ns or self._jump(doubted, doubted_ns, matrix, stamp_ns):
                self._doubted.clear()
        self._doubted.append((stamp_ns, matrix))
        self._refuse("jump", f"pose: jumped by {jump}")
        if len(self._doubted) < AGREEING:
            return False
        self.forget()  # nothing is interpolated across the jump
        self._take(stamp_ns, matrix)
        return False

    def _take(self, stamp_ns: int, matrix: Matrix) -> None:
        self._stamps.append(stamp_ns)
        self._poses.append(matrix)
        self._doubted.clear()
        self.taken += 1
        if len(self._stamps) > 2 * POSES_KEPT:
            del self._stamps[:POSES_KEPT], self._poses[:POSES_KEPT]

    def _refuse(self, reason: str, words: str) -> bool:
        self.refused[reason] += 1
        self.problem = words
        return False
