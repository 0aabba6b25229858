"""What lies between the points of a curve, and what chance does to it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench.curves import bytes_at, rising


def test_a_curve_without_noise_is_left_as_it_is() -> None:
    points = [(100.0, 0.8), (200.0, 0.9), (400.0, 0.95)]
    assert [size for size, _ in rising(points)] == pytest.approx([100, 200, 400])
    assert bytes_at(points, 0.85) == pytest.approx(100 * math.sqrt(2))
    assert bytes_at(points, 0.7) == pytest.approx(100)
    assert bytes_at(points, 0.96) == math.inf


def test_points_that_fall_are_pooled() -> None:
    found = rising([(100.0, 0.8), (200.0, 0.94), (400.0, 0.90), (800.0, 0.95)])
    assert [value for _, value in found] == pytest.approx([0.8, 0.92, 0.95])
    assert found[1][0] == pytest.approx(math.sqrt(200 * 400))


def test_more_points_of_the_same_codec_do_not_make_it_better() -> None:
    """By the best point of each curve, four times the points would seem to cost less."""
    rng = np.random.default_rng(0)

    def mean_bytes(count: int) -> float:
        found = []
        for _ in range(300):
            sizes = np.geomspace(200, 3200, count)
            values = 0.8 + 0.03 * np.log2(sizes / 200) + rng.normal(0, 0.015, count)
            found.append(bytes_at(list(zip(sizes, values, strict=True)), 0.86))
        return float(np.median(found))

    assert mean_bytes(20) == pytest.approx(mean_bytes(5), rel=0.1)
    assert mean_bytes(20) == pytest.approx(800, rel=0.1)
