"""The load of this device, smoothed, with its age and how sure one may be."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from mastra_ros.scheduling.estimates.clock import NS_PER_MS
from mastra_ros.types import LoadSample

SLOW_CLOCK = 0.75
"""A CPU that is busy and yet runs below this share of its highest clock is throttled."""
BUSY = 0.5


@dataclass(frozen=True)
class LoadEstimate:
    """What is known of the load at one moment; NaN while unknown.

    sample: smoothed. age_ms: of the newest sample. cpu_deviation: how far off `sample.cpu` may
    be now; it grows with age. memory_headroom: the share of memory not in use. throttled: the
    device is too hot, or runs below its clock though busy; without a sensor it is not.
    """

    sample: LoadSample
    age_ms: float
    cpu_deviation: float
    throttled: bool

    @property
    def memory_headroom(self) -> float:
        return 1.0 - self.sample.memory


class LoadEstimator:
    """Smooths the shares with a first-order low-pass of `time_constant_ms`.

    It weighs by the time between samples, so bursts and gaps of samples count for what they
    last; a clock that steps back counts as no time. NaN leaves the estimate as it is; the rest
    is the newest sample's.
    """

    def __init__(self, time_constant_ms: float = 300.0, hot_c: float = 85.0) -> None:
        self._time_constant_ns = time_constant_ms * NS_PER_MS
        self._hot_c = hot_c
        self._estimate: LoadSample | None = None
        self._deviation = math.nan

    def update(self, sample: LoadSample) -> LoadSample:
        """Take in one sample and return the smoothed load."""
        before = self._estimate
        if before is None:
            self._estimate = sample
            return sample
        weight = 1.0
        if self._time_constant_ns > 0:
            elapsed_ns = max(0, sample.at_ns - before.at_ns)
            weight = -math.expm1(-elapsed_ns / self._time_constant_ns)
        error = abs(sample.cpu - before.cpu)
        if math.isfinite(error):
            known = math.isfinite(self._deviation)
            self._deviation = _blend(self._deviation, error, weight) if known else error
        self._estimate = replace(
            sample,
            cpu=_blend(before.cpu, sample.cpu, weight),
            memory=_blend(before.memory, sample.memory, weight),
            process_cpu=_blend(before.process_cpu, sample.process_cpu, weight),
            clock=_blend(before.clock, sample.clock, weight),
        )
        return self._estimate

    def configure(self, time_constant_ms: float, hot_c: float = 85.0) -> None:
        """Change the parameters; the estimate stays."""
        self._time_constant_ns = time_constant_ms * NS_PER_MS
        self._hot_c = hot_c

    @property
    def estimate(self) -> LoadSample:
        """The smoothed load; NaN before the first sample."""
        return self._estimate or LoadSample(0, math.nan, math.nan)

    def at(self, now_ns: int) -> LoadEstimate:
        """What is known at this moment, of the clock that stamped the samples."""
        sample = self.estimate
        age_ms = math.nan if self._estimate is None else max(0, now_ns - sample.at_ns) / NS_PER_MS
        aged = age_ms * NS_PER_MS / max(self._time_constant_ns, 1.0)
        hot = sample.temperature_c >= self._hot_c
        slow = sample.clock < SLOW_CLOCK and sample.cpu > BUSY
        return LoadEstimate(sample, age_ms, self._deviation * math.sqrt(1 + aged), hot or slow)


def _blend(before: float, sample: float, weight: float) -> float:
    if math.isnan(sample):
        return before
    if math.isnan(before):
        return sample
    return min(max(before + weight * (sample - before), 0.0), 1.0)
