"""Watches the camera itself: whether it has been moved, its video jumps, or it sees little.

What stands still (edges of kerbs, houses, lines) is remembered, small and grey. Where it is found
again elsewhere the camera was moved; where it is not found at all it looks elsewhere. Each must
last.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

SIZE_PX = (160, 90)
EVERY_NS = 250_000_000
LEARN = 0.04
LEARNED_LEAST = 8
"""So many looks before anything is said of what stands still."""
MOVED_PX = 2.5
"""Of the small picture: one and a half per cent of its width."""
ALIKE_LEAST = 0.15
"""Of the picture is as it was; a bus before the camera hides more than half of it."""
ALIKE_USUAL, ALIKE_SHARE = 0.4, 0.35
"""It is only told where more than this is usually alike, and by how much less than that is now:
where traffic hides nearly all, hardly anything ever is."""
BLOCKS_LEAST = 10
"""Of the 40 blocks so many must show something that stands still; else nothing follows."""
BLOCK_PX = (20, 18)
BLOCK_ALIKE = 0.35
LASTS_NS = 1_500_000_000
GAP_NS = 2_000_000_000
CUT_UNLIKE, CUT_UNLIKE_MOST, CUT_FACTOR = 0.5, 0.9, 3.0
"""A cut is where a picture is so unlike the one before, 0 to 1 and more, and so many times more so
than usual; with rare frames of much traffic most of that is usual."""
CUT_ALIKE_MOST = 0.4
"""And no more of its blocks may be as they were: one that drives past hides only a part."""
FRAMES_LEAST = 4
BLANK_LEVELS = 3.0
DARK, BRIGHT_SHARE = 42.0, 0.3

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Look:
    """What is new: a state of the camera, or empty; cut: the pictures do not follow each other."""

    state: str = ""
    reason: str = ""
    cut: bool = False


class CameraWatch:
    """Feed it every frame. It says each state once, when it begins."""

    def __init__(self) -> None:
        self.state = "sees"
        self._last_ns: int | None = None
        self._looked_ns = 0
        self._still: Floats | None = None
        self._looks = 0
        self._usually_alike = 0.0
        self._before: Floats | None = None
        self._usual = 0.0
        self._frames = 0
        self._odd: tuple[str, int] | None = None

    def look(self, stamp_ns: int, image: NDArray[Any]) -> Look:
        """One more frame, 8 bits grey or colours."""
        last, self._last_ns = self._last_ns, stamp_ns
        grey = image if image.ndim == 2 else image[:, :, 1]
        small = cv2.resize(grey, SIZE_PX, interpolation=cv2.INTER_AREA).astype(np.float32)
        cut = self._cut(last, stamp_ns, small)
        if cut:
            self._looked_ns = 0
            return Look("jumped", cut, cut=True)
        if last is not None and stamp_ns - self._looked_ns < EVERY_NS:
            return Look()
        self._looked_ns = stamp_ns
        state, reason = self._judge(small)
        if state == self.state:
            self._odd = None
            return Look()
        if self._odd is None or self._odd[0] != state:
            self._odd = (state, stamp_ns)
        if stamp_ns - self._odd[1] < LASTS_NS:
            return Look()
        self.state, self._odd = state, None
        return Look(state, reason)

    def accept(self) -> None:
        """Take the present view for the right one, as after lanes were drawn anew."""
        self._still, self._looks, self.state = None, 0, "sees"

    def _cut(self, last: int | None, stamp_ns: int, small: Floats) -> str:
        before, self._before = self._before, small
        if last is None or before is None:
            return ""
        if stamp_ns <= last:
            return "the stamps went back"
        if stamp_ns - last > GAP_NS:
            return f"no frames for {(stamp_ns - last) / 1e9:.1f} s"
        if min(small.std(), before.std()) < BLANK_LEVELS:
            return ""  # of noise nothing follows
        # Light that goes on or off changes all alike, and a dim scene has its forms too.
        unlike = 1.0 - _alike(small, before)
        usual = self._usual
        self._frames += 1
        self._usual = usual + max(0.1, 1 / self._frames) * (min(unlike, 0.5) - usual)
        if self._frames <= FRAMES_LEAST:
            return ""
        if unlike < min(CUT_UNLIKE_MOST, max(CUT_UNLIKE, CUT_FACTOR * usual)):
            return ""
        if _alike_share(_edges(small), _edges(before)) < CUT_ALIKE_MOST:
            return "one frame does not follow from the one before"
        return ""

    def _judge(self, small: Floats) -> tuple[str, str]:
        edges = _edges(small)
        if small.std() < BLANK_LEVELS:
            return "blind", f"the picture is blank (level {small.mean():.0f})"
        moved = self._moved(edges)
        if moved:
            return "moved", moved
        if small.mean() < DARK:
            return "unsure", f"it is dark (mean level {small.mean():.0f})"
        share = float((small > 250).mean())
        if share > BRIGHT_SHARE:
            return "unsure", f"glare: {share:.0%} of the picture is white"
        return "sees", ""

    def _moved(self, edges: Floats) -> str:
        if self._still is None:
            self._still = edges.copy()
            return ""
        self._looks += 1
        if self._looks <= LEARNED_LEAST:
            self._still += (edges - self._still) / (self._looks + 1)
            return ""
        alike = _alike_share(edges, self._still, BLOCKS_LEAST)
        window = cv2.createHanningWindow(SIZE_PX, cv2.CV_32F)
        (dx, dy), sure = cv2.phaseCorrelate(self._still, edges, window)
        far = float(np.hypot(dx, dy))
        if sure > 0.12 and MOVED_PX <= far < 0.4 * SIZE_PX[0]:
            share = far / SIZE_PX[0]
            return f"what stands still is shifted by {share:.1%} of the width"
        usual = self._usually_alike
        if usual > ALIKE_USUAL and alike < min(ALIKE_LEAST, ALIKE_SHARE * usual):
            return f"hardly anything is where it was: {alike:.0%} of the picture"
        if self.state != "moved" and far < 1.0:
            self._still += LEARN * (edges - self._still)
            share = max(LEARN, 1 / (self._looks - LEARNED_LEAST))
            self._usually_alike += share * (alike - usual)
        return ""


def _edges(small: Floats) -> Floats:
    """How steep the picture is at each place, as a share of its own contrast."""
    x = cv2.Sobel(small, cv2.CV_32F, 1, 0, ksize=3)
    y = cv2.Sobel(small, cv2.CV_32F, 0, 1, ksize=3)
    steep = np.sqrt(x * x + y * y)
    return np.asarray(np.minimum(steep / (steep.mean() + 4.0), 4.0), np.float32)


def _alike_share(a: Floats, b: Floats, least: int = 1) -> float:
    """The share of the blocks with anything in them that look alike; 1 where there are fewer."""
    wide, high = BLOCK_PX
    alike = []
    for y in range(0, SIZE_PX[1], high):
        for x in range(0, SIZE_PX[0], wide):
            p, q = a[y : y + high, x : x + wide], b[y : y + high, x : x + wide]
            if q.std() > 0.25:
                alike.append(_alike(p, q) > BLOCK_ALIKE)
    return float(np.mean(alike)) if len(alike) >= least else 1.0


def _alike(a: Floats, b: Floats) -> float:
    p, q = a - a.mean(), b - b.mean()
    return float((p * q).sum() / max(1e-6, float(np.sqrt((p * p).sum() * (q * q).sum()))))
