"""A sweep as it is watched: speed, gaps and coverage, in whatever order frames come."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mastra_ros.pipeline.volume.grid import Grid
from mastra_ros.pipeline.volume.reconstruction import Volume
from mastra_ros.pipeline.volume.watching import SweepWatch, coverage_map

CORNERS = np.array([[0.0, 0, 0], [0, 40, 0], [40, 0, 0], [40, 40, 0]])


def at(z: float) -> NDArray[np.float64]:
    return CORNERS + np.array([0.0, 0.0, z])


def watch(steps: dict[int, float], order: list[int] | None = None) -> SweepWatch:
    """Frames by number at places along z, one every 0.1 s."""
    watching = SweepWatch(gap_mm=1.0)
    for number in order or list(steps):
        watching.add(number, number * 100_000_000, at(steps[number]))
    return watching


def test_a_steady_sweep_has_no_gaps_and_its_speed() -> None:
    told = watch({n: 0.8 * n for n in range(1, 30)}).watched()
    assert told.speed_mm_s == pytest.approx(8.0)
    assert (told.gaps, told.gaps_total, told.covered) == ((), 0, 1.0)


def test_a_gap_is_told_with_its_frames_and_closes_when_the_missing_come() -> None:
    places = {n: 0.5 * n for n in range(1, 21)}
    late = [8, 9, 10]
    watching = watch(places, [n for n in places if n not in late])
    told = watching.watched()
    assert told.gaps == ((7, 11, 2.0),)
    assert told.covered == pytest.approx(1 - 1.0 / 9.5)
    for number in late:
        watching.add(number, number * 100_000_000, at(places[number]))
    assert watching.watched() == watch(places).watched()
    assert watching.watched().gaps_total == 0


def test_too_few_frames_have_no_speed() -> None:
    assert watch({}).watched().speed_mm_s is None
    assert watch({1: 0.0}).watched().speed_mm_s is None


def test_noise_of_the_poses_is_measured() -> None:
    rng = np.random.default_rng(1)
    watching = SweepWatch(gap_mm=1.0)
    for number in range(400):
        watching.add(number, number, at(0.1 * number) + rng.normal(0, 0.5, 3))
    assert watching.jitter_mm() == pytest.approx(0.5, rel=0.1)
    assert watch({n: 0.3 * n for n in range(50)}).jitter_mm() < 1e-9


def test_coverage_is_what_was_hit_of_what_was_swept() -> None:
    hits = np.ones((4, 5, 6), np.int64)
    hits[:, 2, 3] = -1  # filled in
    hits[0] = 0  # never swept
    raw = Volume(Grid((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (6, 5, 4)), hits * 1.0, np.maximum(hits, 0))
    share, seen = coverage_map(raw, Volume(raw.grid, raw.values, hits))
    assert share == pytest.approx(87 / 90)
    assert seen.shape == (5, 6)
    assert seen[2, 3] == 1
    assert seen[0, 0] == 255
