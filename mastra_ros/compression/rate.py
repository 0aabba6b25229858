"""How far a stream has to come down for its frames to be there in time. Pure.

Bytes allowed = goodput x time left. The goodput of the bridge is measured from the first byte of a
frame to its acknowledgement, less what the gateway held it, so that it holds the round trip; for
frames that are answered in time the product is more than their own size, whatever the link could
carry beyond, and for those that are late by the link it says by how much they are too large. A late
gateway makes no frame smaller.

First the quality comes down, then the size of the picture, then the rate of frames: those left out
are answered by the device, while the others find a link that carries nothing else. Down at once,
by as many steps as it takes; up one step at a time, once frames of the next size would have fitted
for a while with a margin. A step up that has to be taken back soon doubles that while, so that a
link between two steps is tried ever more seldom, and does not oscillate.

A key frame is many times larger than those that rest on it. One that would not fit is made of
less quality, and the next frames bring the rest, a step each.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace

STEP_QUALITY = 8
STEP_SHARE = 0.72
"""A step down costs so much quality and leaves about this share of the bytes."""
QUALITY_MIN, QUALITY_MIN_SCALED = 4, 20
"""At less than the second a smaller picture shows more for the same bytes, where one is taken."""
KEY_QUALITY_MIN = 8
SCALES = (1.0, 0.75, 0.5)
"""Sides of the picture sent, as a share of the frame's."""
SCALE_POWER = 1.6
"""Bytes grow with the side about so."""
EVERY = (1, 2, 4)
"""One frame of so many is sent."""
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


@dataclass(frozen=True)
class Setting:
    """What frames are sent with: quality, the side's share of the frame's, one of how many; and
    how large they are beside those of the first step."""

    quality: int
    scale: float = 1.0
    every: int = 1
    share: float = 1.0


@functools.cache
def ladder(wanted: int, *, scaled: bool) -> tuple[Setting, ...]:
    """The steps down from a quality; scaled: the gateway takes smaller pictures."""
    lowest = min(wanted, QUALITY_MIN_SCALED if scaled else QUALITY_MIN)
    downs = range(-(-(wanted - lowest) // STEP_QUALITY) + 1)
    steps = [Setting(max(lowest, wanted - STEP_QUALITY * n), share=STEP_SHARE**n) for n in downs]
    last = steps[-1]
    smaller = SCALES[1:] if scaled else ()
    steps += [replace(last, scale=s, share=last.share * s**SCALE_POWER) for s in smaller]
    steps += [replace(steps[-1], every=every) for every in EVERY[1:]]
    return tuple(steps)


class RateControl:
    """The steps by which one stream is down. `now_s` is monotonic."""

    def __init__(self) -> None:
        self.steps = 0
        self.scaled = False
        self._mean_bytes = math.nan  # of frames at the present step
        self._allowed = math.nan
        self._key_bytes, self._key_quality = math.nan, 0
        self._ceiling = math.inf  # of quality, after a key frame of less
        self._left_out = 0
        self._fits_since_s = math.nan
        self._up_s = -math.inf
        self._down_s = -math.inf
        self._hold_s = HOLD_S

    def takes(self, *, scaled: bool) -> None:
        """Whether the gateway takes smaller pictures."""
        self.scaled = scaled

    def setting(self, wanted: int) -> Setting:
        """Of the next frame, where so much quality is wanted."""
        steps = ladder(wanted, scaled=self.scaled)
        return steps[min(self.steps, len(steps) - 1)]

    def quality(self, wanted: int) -> int:
        """The quality of the next frames, where so much is wanted."""
        return self.setting(wanted).quality

    @property
    def frame_bytes(self) -> float:
        """What the next frame is expected to take; NaN before the first."""
        return self._mean_bytes

    def expected(self, wanted: int, *, key: bool) -> float:
        """What the very next frame is expected to take, bytes; NaN before one was sent."""
        if not key:
            return self._mean_bytes
        quality = self.quality(wanted)
        quality = int(min(quality, self._fitting_key(quality)))
        steps = (self._key_quality - quality) / STEP_QUALITY
        return self._key_bytes * math.pow(STEP_SHARE, steps)

    def due(self, wanted: int) -> bool:
        """Whether the next frame is sent, at the rate in force."""
        self._left_out += 1
        if self._left_out < self.setting(wanted).every:
            return False
        self._left_out = 0
        return True

    def next_quality(self, wanted: int, *, key: bool) -> int:
        """The quality of the very next frame; key: it will stand alone."""
        quality = self.quality(wanted)
        if key:
            self._ceiling = self._fitting_key(quality)
        elif math.isfinite(self._ceiling):
            self._ceiling += STEP_QUALITY
            if self._ceiling >= quality:
                self._ceiling = math.inf
        return int(min(quality, self._ceiling))

    def _fitting_key(self, quality: int) -> float:
        if not (math.isfinite(self._allowed) and math.isfinite(self._key_bytes)):
            return math.inf
        expected = self._key_bytes * STEP_SHARE ** ((self._key_quality - quality) / STEP_QUALITY)
        if expected <= self._allowed:
            return math.inf
        steps = math.log(max(self._allowed, 1.0) / expected, STEP_SHARE)
        return max(min(quality, KEY_QUALITY_MIN), quality - math.ceil(steps) * STEP_QUALITY)

    def sent(self, size: int, *, key: bool = False, quality: int = 0) -> None:
        """A frame took so many bytes."""
        if key:
            self._key_bytes, self._key_quality = float(size), quality
            return
        known = math.isfinite(self._mean_bytes)
        before = self._mean_bytes if known else float(size)
        self._mean_bytes = before + WEIGHT * (size - before)

    def decide(self, room: Room, wanted: int, now_s: float) -> None:
        """Take steps down or up before a frame is encoded."""
        allowed = self._allowed = room.bytes_allowed
        if not (math.isfinite(allowed) and math.isfinite(self._mean_bytes)):
            return
        steps = ladder(wanted, scaled=self.scaled)
        self.steps = min(self.steps, len(steps) - 1)
        here = steps[self.steps].share
        if self._mean_bytes > allowed:
            self._fits_since_s = math.nan
            if now_s - self._down_s >= SETTLE_S:
                self._down(allowed, steps, now_s)
        elif self.steps and self._next_up(steps) * MARGIN <= allowed:
            if math.isnan(self._fits_since_s):
                self._fits_since_s = now_s
            if now_s - max(self._fits_since_s, self._down_s) >= self._hold_s:
                self._mean_bytes *= steps[self.steps - 1].share / here
                self.steps -= 1
                self._up_s, self._fits_since_s = now_s, math.nan
        else:
            self._fits_since_s = math.nan
        if self.steps == 0 and now_s - self._up_s > HOLD_MAX_S:
            self._hold_s = HOLD_S

    def _next_up(self, steps: tuple[Setting, ...]) -> float:
        """What a frame of the next step up is expected to take, bytes."""
        return self._mean_bytes * steps[self.steps - 1].share / steps[self.steps].share

    def _down(self, allowed: float, steps: tuple[Setting, ...], now_s: float) -> None:
        here = steps[self.steps]
        target = min(self.steps + 1, len(steps) - 1)
        while target < len(steps) - 1 and steps[target + 1].every == 1:
            if self._mean_bytes * steps[target].share / here.share <= allowed:
                break
            target += 1
        if target == self.steps:
            return
        if now_s - self._up_s < SOON_S:
            self._hold_s = min(2 * self._hold_s, HOLD_MAX_S)
        self._mean_bytes *= steps[target].share / here.share
        self.steps, self._down_s = target, now_s
