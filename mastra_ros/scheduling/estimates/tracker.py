"""A number that is measured now and then: its mean, its spread, and how sure one may be."""

from __future__ import annotations

import math

from mastra_ros.scheduling.estimates.clock import NS_PER_MS

CLIP = 4.0
"""A measurement counts as at most so many deviations away."""
WARM = 5
"""So many measurements count in full, before anything is clipped."""


class Tracker:
    """Mean and mean deviation, weighed by time and robust to single outliers.

    The mean is a first-order low-pass of `time_constant_ms`, but the first few measurements
    count at least as much as in a plain average. The deviation is the smoothed absolute
    difference, as in RFC 6298. A measurement further than `CLIP` deviations away is drawn in to
    there (Huber, Robust Estimation of a Location Parameter, 1964): one outlier moves little, a
    lasting change widens the deviation and is followed. NaN and infinity are ignored. Times are
    steady, in ns.
    """

    def __init__(self, time_constant_ms: float, *, deviation_floor: float = 0.0) -> None:
        self._tau_ns = max(1.0, time_constant_ms * NS_PER_MS)
        self._floor = deviation_floor
        self._at_ns = 0
        self._deviation = math.nan
        self.mean = math.nan
        self.count = 0

    def update(self, value: float, now_ns: int) -> None:
        """Take in one measurement."""
        if not math.isfinite(value):
            return
        self.count += 1
        if self.count == 1:
            self.mean, self._deviation, self._at_ns = value, abs(value) / 2, now_ns
            return
        # Measurements at one moment still count a little, or a burst would be one measurement.
        elapsed_ns = max(now_ns - self._at_ns, 0.01 * self._tau_ns)
        weight = -math.expm1(-elapsed_ns / self._tau_ns)
        error = clipped = value - self.mean
        if self.count <= WARM:
            weight = max(weight, 1 / self.count)
        else:
            reach = CLIP * max(self._deviation, self._floor, 1e-9 + 0.01 * abs(self.mean))
            clipped = min(max(error, -reach), reach)
            error = min(abs(error), CLIP * reach)
        self.mean += weight * clipped
        self._deviation += min(1.0, 2 * weight) * (abs(error) - self._deviation)
        self._at_ns = max(self._at_ns, now_ns)

    def age_ms(self, now_ns: int) -> float:
        """Since the last measurement; NaN before the first."""
        return max(0, now_ns - self._at_ns) / NS_PER_MS if self.count else math.nan

    def deviation(self, now_ns: int) -> float:
        """How far off the mean may be now; NaN before the first measurement.

        It grows with the square root of age, as if the value walked at random meanwhile.
        """
        if not self.count:
            return math.nan
        aged = max(0, now_ns - self._at_ns) / self._tau_ns
        return max(self._deviation, self._floor) * math.sqrt(1 + aged)
