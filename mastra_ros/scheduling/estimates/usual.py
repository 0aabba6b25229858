"""How long answers usually take, whatever happened to a few of them."""

from __future__ import annotations

import math
from collections import deque
from statistics import median

WINDOW = 32
"""So many answers are looked back on: a second at 30 frames/s."""
WARM = 5
"""Fewer tell nothing."""
DEVIATIONS = 4.0
"""Median absolute deviations above the median: beyond the latest answer where times are uniform."""


class Usual:
    """The time that hardly any of the latest answers exceeded, in ms.

    Median and median absolute deviation (Hampel, The influence curve and its role in robust
    estimation, 1974): up to half of the answers may have been slow, as they are after an outage,
    and the estimate stays. A lasting change is followed once half of the window has seen it.
    """

    def __init__(self) -> None:
        self._times_ms: deque[float] = deque(maxlen=WINDOW)

    def update(self, took_ms: float) -> None:
        """Take in the time of one answer."""
        if math.isfinite(took_ms):
            self._times_ms.append(took_ms)

    @property
    def limit_ms(self) -> float:
        """NaN before a few answers are known."""
        if len(self._times_ms) < WARM:
            return math.nan
        middle_ms = median(self._times_ms)
        return middle_ms + DEVIATIONS * median(abs(t - middle_ms) for t in self._times_ms)
