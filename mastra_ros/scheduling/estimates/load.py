"""The load of this device: sampled from the machine, then smoothed."""

from __future__ import annotations

import importlib
import logging
import math
from typing import Any, Protocol

from mastra_ros.errors import DependencyError
from mastra_ros.scheduling.estimates.clock import NS_PER_MS
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

    def process_cpu(self) -> float:
        """Share of all cores that this process used since the last call; NaN when unknown."""
        ...

    def clock(self) -> float:
        """CPU clock as a share of its highest, 0 to 1; NaN when unknown."""
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
        self._process: Any = self._psutil.Process()
        self._process.cpu_percent(interval=None)
        self._cores = self._psutil.cpu_count() or 1

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

    def process_cpu(self) -> float:
        """As LoadSource says."""
        percent = float(self._process.cpu_percent(interval=None))
        return min(max(percent / 100.0 / self._cores, 0.0), 1.0)

    def clock(self) -> float:
        """As LoadSource says."""
        read = getattr(self._psutil, "cpu_freq", None)
        if read is None:
            return math.nan
        try:
            clock = read()
        except (OSError, RuntimeError, ValueError, NotImplementedError):
            return math.nan
        if clock is None or not clock.max or not clock.current > 0:
            return math.nan
        return min(float(clock.current) / float(clock.max), 1.0)


class LoadSampler:
    """Takes a sample at most every `interval_ms`; temperature and clock once a second."""

    def __init__(self, interval_ms: float = 100.0, source: LoadSource | None = None) -> None:
        self._source = PsutilSource() if source is None else source
        # A tenth of tolerance: a timer that fires a little early must not lose every other sample.
        self._interval_ns = round(interval_ms * 0.9 * NS_PER_MS)
        self._sampled_ns: int | None = None
        self._heat_ns: int | None = None
        self._heat_c = math.nan
        self._clock = math.nan

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
            self._clock = self._source.clock()
        return LoadSample(
            now_ns,
            cpu,
            self._source.memory(),
            self._heat_c,
            inference_ms,
            queue_frames,
            self._source.process_cpu(),
            self._clock,
        )


def _elapsed(since_ns: int | None, now_ns: int, interval_ns: int) -> bool:
    """Whether the interval is over; a clock that stepped backwards counts as over."""
    return since_ns is None or not since_ns <= now_ns < since_ns + interval_ns
