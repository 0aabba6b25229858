"""How many frames go into one run of a model."""

from __future__ import annotations

import math

FIRST_MAX = 8
"""Frames in a run until it is known what one costs."""
SMOOTHING = 0.2
"""Weight of the latest run in the estimate of what a frame costs."""


class FittingSize:
    """Fits the size of batches to the time they take.

    Where a frame costs the same in a batch as alone (one CPU core), a big batch only makes its
    first frames wait for its last; where it costs less, the estimate falls as batches grow, and
    they grow further.
    """

    def __init__(self, run_ms: float, size_max: int) -> None:
        """A run shall take about no longer than `run_ms`, and has at most `size_max` frames."""
        self._run_ms = run_ms
        self._size_max = size_max
        self.frame_ms = math.nan  # estimate of what a frame costs
        self.size = min(size_max, FIRST_MAX)

    def ran(self, size: int, run_ms: float) -> int:
        """Take in a run; how many frames the next one may have."""
        frame_ms = run_ms / size
        if not math.isnan(self.frame_ms):
            frame_ms = self.frame_ms + (frame_ms - self.frame_ms) * SMOOTHING
        self.frame_ms = frame_ms
        self.size = min(max(int(self._run_ms / max(frame_ms, 1e-3)), 1), self._size_max)
        return self.size
