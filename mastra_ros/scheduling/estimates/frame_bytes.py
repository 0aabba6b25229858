"""How large a frame is on its way up: by what its encoder expects of the next one, and else from
what the bridge says that it has uploaded."""

from __future__ import annotations

import math

FRAMES = 5
"""A mean is taken over so many frames sent."""
WEIGHT = 0.3


class FrameBytes:
    """Uploaded bytes by frames sent, smoothed; heartbeats count with the frames.

    While the spool is being delivered nothing is learnt, as it uploads too.
    """

    def __init__(self) -> None:
        self._frames = 0
        self._uploaded = 0
        self._mean = math.nan
        self._expected = math.nan

    @property
    def mean(self) -> float:
        """Of the next frame, bytes; NaN while nothing is known."""
        return self._expected if math.isfinite(self._expected) else self._mean

    def expected(self, next_bytes: float) -> None:
        """What the encoder expects of the next frame; NaN where it cannot tell."""
        self._expected = next_bytes if next_bytes > 0 else math.nan

    def sent(self) -> None:
        """One frame was given to the compression."""
        self._frames += 1

    def left_out(self) -> None:
        """The last one was not sent after all, so that others arrive."""
        self._frames = max(0, self._frames - 1)

    def uploaded(self, total_bytes: int, *, backlog: bool) -> None:
        """The bridge has uploaded so much since its start."""
        if backlog or total_bytes < self._uploaded:  # or it was started again
            self._frames, self._uploaded = 0, total_bytes
            return
        if self._frames < FRAMES:
            if not self._frames:
                self._uploaded = total_bytes
            return
        mean = (total_bytes - self._uploaded) / self._frames
        self._frames, self._uploaded = 0, total_bytes
        if mean > 0:
            before = self._mean if math.isfinite(self._mean) else mean
            self._mean = before + WEIGHT * (mean - before)
