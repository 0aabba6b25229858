"""Sampling and smoothing of the load."""

from __future__ import annotations

import math
import sys
import types
from collections import namedtuple

import pytest

from mastra_ros.errors import DependencyError
from mastra_ros.scheduling.estimates.load import LoadSampler, LoadSource, PsutilSource
from mastra_ros.scheduling.estimates.load_estimate import LoadEstimator
from mastra_ros.scheduling.fake import FakeLoadSource
from mastra_ros.types import LoadSample

MS = 1_000_000
Sensor = namedtuple("Sensor", "current")


@pytest.mark.parametrize("make", [PsutilSource, FakeLoadSource])
def test_a_source_reports_shares_and_perhaps_a_temperature(make: type[LoadSource]) -> None:
    source = make()
    first, second = source.cpu(), source.cpu()
    assert first is None or 0.0 <= first <= 1.0
    assert second is not None
    assert 0.0 <= second <= 1.0
    assert 0.0 <= source.memory() <= 1.0
    heat = source.temperature_c()
    assert math.isnan(heat) or -40.0 < heat < 130.0


def test_the_first_cpu_figure_of_psutil_means_nothing_and_is_not_a_sample() -> None:
    sampler = LoadSampler(interval_ms=100)
    assert sampler.sample(0) is None
    sample = sampler.sample(100 * MS, inference_ms=12.5, queue_frames=3)
    assert sample is not None
    assert sample.at_ns == 100 * MS
    assert sample.inference_ms == 12.5
    assert sample.queue_frames == 3


def test_samples_are_no_closer_than_the_interval() -> None:
    sampler = LoadSampler(100, FakeLoadSource(0.5))
    taken = [t for t in range(0, 1000, 10) if sampler.sample(t * MS) is not None]
    assert len(taken) == pytest.approx(11, abs=1)


def test_a_clock_that_steps_backwards_does_not_stop_sampling() -> None:
    sampler = LoadSampler(100, FakeLoadSource(0.5))
    assert sampler.sample(10_000 * MS) is not None
    assert sampler.sample(2_000 * MS) is not None


def test_temperatures_are_read_once_a_second() -> None:
    source = FakeLoadSource(0.5, hottest_c=50.0)
    sampler = LoadSampler(100, source)
    heats = []
    for t in range(0, 2000, 100):
        sample = sampler.sample(t * MS)
        assert sample is not None
        heats.append(sample.temperature_c)
        source.hottest_c += 1
    assert len(set(heats)) == 2


def _psutil(**functions: object) -> types.SimpleNamespace:
    return types.SimpleNamespace(**functions)


@pytest.mark.parametrize(
    ("chips", "expected"),
    [
        ({}, math.nan),
        ({"a": [Sensor(41.0), Sensor(55.5)], "b": [Sensor(20.0)]}, 55.5),
        ({"broken": [Sensor(-273.0), Sensor(255.0), Sensor(0.0), Sensor(None)]}, math.nan),
    ],
)
def test_only_plausible_sensors_count(chips: dict[str, list[Sensor]], expected: float) -> None:
    source = PsutilSource()
    source._psutil = _psutil(sensors_temperatures=lambda: chips)
    assert source.temperature_c() == pytest.approx(expected, nan_ok=True)


def test_a_machine_without_sensors_or_with_failing_ones_has_no_temperature() -> None:
    def fails() -> None:
        raise OSError("device vanished")

    source = PsutilSource()
    for module in (_psutil(), _psutil(sensors_temperatures=fails)):
        source._psutil = module
        assert math.isnan(source.temperature_c())


def test_missing_psutil_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psutil", None)
    with pytest.raises(DependencyError, match="pip install psutil"):
        PsutilSource()


def test_the_estimate_follows_a_step_with_its_time_constant() -> None:
    estimator = LoadEstimator(300)
    estimator.update(LoadSample(0, 0.0, 0.2))
    smoothed = estimator.update(LoadSample(300 * MS, 1.0, 0.2))
    assert smoothed.cpu == pytest.approx(1 - math.exp(-1))
    assert smoothed.memory == pytest.approx(0.2)


def test_a_burst_of_samples_counts_for_the_time_it_lasts() -> None:
    estimator = LoadEstimator(300)
    estimator.update(LoadSample(0, 0.2, 0.2))
    for i in range(100):
        estimator.update(LoadSample(i * 1000, 1.0, 0.2))
    assert estimator.estimate.cpu < 0.21


def test_unknown_values_and_backward_steps_leave_the_estimate() -> None:
    estimator = LoadEstimator(300)
    assert math.isnan(estimator.estimate.cpu)
    estimator.update(LoadSample(5 * MS, math.nan, math.nan))
    estimator.update(LoadSample(6 * MS, 0.5, math.nan))
    assert estimator.update(LoadSample(900 * MS, math.nan, 0.3)).cpu == 0.5
    assert estimator.update(LoadSample(1 * MS, 1.0, 0.3)).cpu == 0.5


def test_without_smoothing_the_estimate_is_the_sample() -> None:
    estimator = LoadEstimator()
    estimator.configure(0)
    estimator.update(LoadSample(0, 0.1, 0.1))
    assert estimator.update(LoadSample(0, 0.9, 0.1)).cpu == 0.9
