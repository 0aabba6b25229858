"""The load of this device: sampled from the machine, then smoothed."""

from __future__ import annotations

import importlib
import logging
import math
from dataclasses import replace
from typing import Any, Protocol

from mastra_ros.errors import DependencyError
from mastra_ros.scheduling.clock import NS_PER_MS
from mastra_ros.types import LoadSample

logger = logging.getLogger(__name__)

PLAUSIBLE_C = (-40.0, 130.0)
"""Readings outside are those of a sensor that is absent or broken."""


class LoadSource(Protocol):
    """What can be read of a machine."""

    def cpu(self) -> float | None:
        """Share of all cores in use since the last call, 0 to 1; None where there was no last."""
        ...

    def memory(self) -> float:
        """Share of memory in use, 0 to 1; NaN when unknown."""
        ...

    def temperature_c(self) -> float:
        """The hottest sensor in degrees Celsius; NaN without one."""
        ...


class PsutilSource:
    """Reads this machine through psutil, whose first CPU figure is always 0.0 and means nothing."""

    def __init__(self) -> None:
        try:
            self._psutil: Any = importlib.import_module("psutil")
        except ImportError as error:
            raise DependencyError(
                "psutil is needed to measure the load: pip install psutil, "
                "or apt install python3-psutil"
            ) from error
        self._primed = False

    def cpu(self) -> float | None:
        """As LoadSource says."""
        percent = float(self._psutil.cpu_percent(interval=None))
        if not self._primed:
            self._primed = True
            return None
        return min(max(percent / 100.0, 0.0), 1.0)

    def memory(self) -> float:
        """As LoadSource says."""
        return min(max(float(self._psutil.virtual_memory().percent) / 100.0, 0.0), 1.0)

    def temperature_c(self) -> float:
        """As LoadSource says."""
        read = getattr(self._psutil, "sensors_temperatures", None)  # Linux and FreeBSD only
        if read is None:
            return math.nan
        try:
            chips = read()
        except (OSError, RuntimeError, ValueError):  # a sensor that vanished or reports rubbish
            return math.nan
        low, high = PLAUSIBLE_C
        found = [
            float(sensor.current)
            for sensors in chips.values()
            for sensor in sensors
            if sensor.current is not None and low < sensor.current < high and sensor.current != 0.0
        ]
        return max(found, default=math.nan)


class LoadSampler:
    """Takes a sample at most every `interval_ms`; temperatures, which are slow, once a second."""

    def __init__(self, interval_ms: float = 100.0, source: LoadSource | None = None) -> None:
        self._source = PsutilSource() if source is None else source
        # A tenth of tolerance: a timer that fires a little early must not lose every other sample.
        self._interval_ns = round(interval_ms * 0.9 * NS_PER_MS)
        self._sampled_ns: int | None = None
        self._heat_ns: int | None = None
        self._heat_c = math.nan

    def sample(
        self, now_ns: int, inference_ms: float = math.nan, queue_frames: int = 0
    ) -> LoadSample | None:
        """The load now, or None when it is too early for another sample or none is known yet."""
        if not _elapsed(self._sampled_ns, now_ns, self._interval_ns):
            return None
        self._sampled_ns = now_ns
        cpu = self._source.cpu()
        if cpu is None:
            return None
        if _elapsed(self._heat_ns, now_ns, 1000 * NS_PER_MS):
            self._heat_ns = now_ns
            self._heat_c = self._source.temperature_c()
        return LoadSample(
            now_ns, cpu, self._source.memory(), self._heat_c, inference_ms, queue_frames
        )


def _elapsed(since_ns: int | None, now_ns: int, interval_ns: int) -> bool:
    """Whether the interval is over; a clock that stepped backwards counts as over."""
    return since_ns is None or not since_ns <= now_ns < since_ns + interval_ns


class LoadEstimator:
    """Smooths CPU and memory with a first-order low-pass of `time_constant_ms`.

    It weighs by the time between samples, so bursts and gaps of samples count for what they
    last. NaN leaves the estimate as it is; the rest is the newest sample's.
    """

    def __init__(self, time_constant_ms: float = 300.0) -> None:
        self._time_constant_ns = time_constant_ms * NS_PER_MS
        self._estimate: LoadSample | None = None

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
        self._estimate = replace(
            sample,
            cpu=_blend(before.cpu, sample.cpu, weight),
            memory=_blend(before.memory, sample.memory, weight),
        )
        return self._estimate

    def configure(self, time_constant_ms: float) -> None:
        """Change the time constant; the estimate stays."""
        self._time_constant_ns = time_constant_ms * NS_PER_MS

    @property
    def estimate(self) -> LoadSample:
        """The smoothed load; NaN before the first sample."""
        return self._estimate or LoadSample(0, math.nan, math.nan)


def _blend(before: float, sample: float, weight: float) -> float:
    if math.isnan(sample):
        return before
    if math.isnan(before):
        return sample
    return min(max(before + weight * (sample - before), 0.0), 1.0)
