"""How large a frame is on its way up, from what the bridge says that it has uploaded."""

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
        self.mean = math.nan

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
            before = self.mean if math.isfinite(self.mean) else mean
            self.mean = before + WEIGHT * (mean - before)
