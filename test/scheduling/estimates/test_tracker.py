"""A tracked number follows changes, shrugs at outliers and knows how sure it is."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mastra_ros.scheduling.estimates.tracker import Tracker

MS = 1_000_000


def fed(values: list[float], step_ms: float = 100.0) -> tuple[Tracker, int]:
    tracker, now = Tracker(1000.0), 0
    for value in values:
        now += round(step_ms * MS)
        tracker.update(value, now)
    return tracker, now


def test_before_the_first_measurement_nothing_is_known() -> None:
    tracker = Tracker(1000.0)
    assert math.isnan(tracker.mean)
    assert math.isnan(tracker.age_ms(5))
    assert math.isnan(tracker.deviation(5))
    tracker.update(math.nan, 1)
    tracker.update(math.inf, 2)
    assert tracker.count == 0


def test_mean_and_deviation_are_those_of_the_measurements() -> None:
    rng = np.random.default_rng(1)
    tracker, now = fed(list(rng.normal(50, 5, 400)))
    assert tracker.mean == pytest.approx(50, abs=3)
    assert tracker.deviation(now) == pytest.approx(4, abs=2)


def test_one_outlier_moves_little_and_a_lasting_change_is_followed() -> None:
    rng = np.random.default_rng(2)
    calm = list(rng.normal(50, 2, 100))
    assert fed([*calm, 5000.0])[0].mean < 60
    assert fed([*calm, *[150.0] * 30])[0].mean > 130


def test_a_burst_counts_for_the_time_it_lasts() -> None:
    tracker, now = fed([10.0] * 50)
    for step in range(20):
        tracker.update(12.0, now + step)
    assert tracker.mean < 11


def test_doubt_grows_with_age_and_a_step_back_makes_nothing_younger() -> None:
    tracker, now = fed([10.0, 12.0] * 20)
    assert tracker.age_ms(now + 500 * MS) == 500
    assert tracker.age_ms(now - 500 * MS) == 0
    assert tracker.deviation(now + 3000 * MS) == pytest.approx(2 * tracker.deviation(now))
    tracker.update(11.0, now - 10_000 * MS)
    assert tracker.age_ms(now) == 0
