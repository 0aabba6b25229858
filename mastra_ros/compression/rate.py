"""How far the quality has to come down for a frame to be there in time. Pure.

Bytes allowed = goodput x time left. The goodput of the bridge is measured from the first byte of a
frame to its acknowledgement, so that it holds round trip and gateway; for frames that are answered
in time the product is more than their own size, whatever the link could carry beyond, and for
those that are not it says by how much they are too large.

Down at once, by as many steps as it takes; up one step at a time, once frames of the next size
would have fitted for a while with a margin. A step up that has to be taken back soon doubles that
while, so that a link between two steps is tried ever more seldom, and does not oscillate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

STEP_QUALITY = 8
STEP_SHARE = 0.72
"""A step down costs so much quality and leaves about this share of the bytes."""
QUALITY_MIN = 4
MARGIN = 1.4
"""Frames of the next step up have to fit so many times before it is taken."""
HOLD_S, HOLD_MAX_S = 2.0, 60.0
SOON_S = 5.0
"""A step up taken back within this time was a mistake."""
WEIGHT = 0.2
SETTLE_S = 0.4
"""After a step down, sizes and goodput of before still come in for so long."""


@dataclass(frozen=True)
class Room:
    """What the link could carry of one frame before its deadline, bytes; NaN while unknown."""

    bytes_allowed: float

    @classmethod
    def of(cls, goodput_bps: float, left_ms: float) -> Room:
        """By goodput x time left; without a deadline (0) or a goodput nothing is known."""
        return cls(goodput_bps * left_ms / 8e3 if left_ms > 0 else math.nan)


class RateControl:
    """The steps by which the quality of one stream is down. `now_s` is monotonic."""

    def __init__(self) -> None:
        self.steps = 0
        self._mean_bytes = math.nan  # of frames at the present step
        self._fits_since_s = math.nan
        self._up_s = -math.inf
        self._down_s = -math.inf
        self._hold_s = HOLD_S

    def quality(self, wanted: int) -> int:
        """The quality of the next frame, where so much is wanted."""
        return max(min(wanted, QUALITY_MIN), wanted - STEP_QUALITY * self.steps)

    @property
    def frame_bytes(self) -> float:
        """What the next frame is expected to take; NaN before the first."""
        return self._mean_bytes

    def sent(self, size: int) -> None:
        """A frame that is no key took so many bytes."""
        known = math.isfinite(self._mean_bytes)
        before = self._mean_bytes if known else float(size)
        self._mean_bytes = before + WEIGHT * (size - before)

    def decide(self, room: Room, wanted: int, now_s: float) -> None:
        """Take steps down or up before a frame is encoded."""
        allowed = room.bytes_allowed
        if not (math.isfinite(allowed) and math.isfinite(self._mean_bytes)):
            return
        if self._mean_bytes > allowed:
            self._fits_since_s = math.nan
            if now_s - self._down_s >= SETTLE_S:
                self._down(allowed, wanted, now_s)
        elif self.steps and MARGIN * self._mean_bytes / STEP_SHARE <= allowed:
            if math.isnan(self._fits_since_s):
                self._fits_since_s = now_s
            if now_s - max(self._fits_since_s, self._down_s) >= self._hold_s:
                self._up(now_s)
        else:
            self._fits_since_s = math.nan
        if self.steps == 0 and now_s - self._up_s > HOLD_MAX_S:
            self._hold_s = HOLD_S

    def _down(self, allowed: float, wanted: int, now_s: float) -> None:
        most = max(0, -(-(wanted - QUALITY_MIN) // STEP_QUALITY))
        needed = math.ceil(math.log(max(allowed, 1.0) / self._mean_bytes, STEP_SHARE))
        steps = min(most, self.steps + max(1, needed))
        if steps == self.steps:
            return
        if now_s - self._up_s < SOON_S:
            self._hold_s = min(2 * self._hold_s, HOLD_MAX_S)
        self._mean_bytes *= STEP_SHARE ** (steps - self.steps)
        self.steps, self._down_s = steps, now_s

    def _up(self, now_s: float) -> None:
        self.steps -= 1
        self._mean_bytes /= STEP_SHARE
        self._up_s, self._fits_since_s = now_s, math.nan
