"""Where a new track had been before it was found well: boxes of low score that nobody took.

A detector is often late: of a vehicle that leaves a shadow, or comes into sight at the border, it
says little at first. What it said is kept for a moment; a track that is sure by now goes back along
its own way and takes what fits.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from .matching import grown, overlaps
from .track import Track

Floats = NDArray[np.float64]

KEPT_S = 0.8
GAP_S = 0.45
"""So long nothing may have been found in between."""
GROWN = 0.15
FIT_IOU = 0.35


class WeakTraces:
    """Boxes (n, 4) px of low score that are in no track, of the last frames."""

    def __init__(self) -> None:
        self._frames: deque[tuple[int, Floats]] = deque()

    def clear(self) -> None:
        self._frames.clear()

    def note(self, stamp_ns: int, boxes: Floats) -> None:
        self._frames.append((stamp_ns, boxes))
        while self._frames[0][0] < stamp_ns - KEPT_S * 1e9:
            self._frames.popleft()

    def lengthen(self, track: Track) -> None:
        """Put the places that fit before those that the track knows, the nearest first."""
        at_ns, (x, y, _, foot) = track.places[0][0], track.places[0][1:]
        high = 2 * (foot - y)
        wide = high * track.filter.place[2] / max(1.0, track.filter.place[3])
        speed = track.filter.speed[:2]
        for stamp_ns, boxes in reversed(self._frames):
            back_s = (at_ns - stamp_ns) / 1e9
            if back_s <= 0 or not len(boxes):
                continue
            if back_s > GAP_S:
                return
            there = np.array([x - speed[0] * back_s, y - speed[1] * back_s])
            half = np.array([wide, high]) / 2
            expected = np.concatenate([there - half, there + half])[None]
            fit = overlaps(grown(expected, GROWN), grown(boxes, GROWN))[0]
            k = int(fit.argmax())
            if fit[k] < FIT_IOU:
                continue
            x1, y1, x2, y2 = (float(v) for v in boxes[k])
            at_ns, x, y, wide, high = stamp_ns, (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1
            track.born_ns = at_ns
            track.places.appendleft((at_ns, x, y, x, y2))
