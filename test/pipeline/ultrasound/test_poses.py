"""Poses: interpolated in between, and what cannot be true is refused and counted."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from mastra_ros.pipeline.ultrasound.phantom import Phantom, rotation
from mastra_ros.pipeline.ultrasound.poses import EARLY, STALE, WAITING, PoseTrack
from mastra_ros.pipeline.ultrasound.rigid import angle_deg, between, problem_of, quaternion, rigid

MS = 1_000_000


def pose(x_mm: float = 0.0, turn_deg: float = 0.0) -> NDArray[np.float64]:
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(np.array([0.0, 0.0, math.radians(turn_deg)]))
    matrix[0, 3] = x_mm
    return matrix


def test_a_quaternion_turns_as_its_matrix_does() -> None:
    rng = np.random.default_rng(0)
    turns = [rotation(rng.uniform(-3, 3, 3)) for _ in range(200)]
    turns += [np.diag(d).astype(float) for d in ((1, -1, -1), (-1, 1, -1), (-1, -1, 1), (1, 1, 1))]
    for turn in turns:
        matrix = np.eye(4)
        matrix[:3, :3] = turn
        np.testing.assert_allclose(rigid(np.zeros(3), quaternion(matrix))[:3, :3], turn, atol=1e-12)


def test_between_two_poses_the_turn_is_even_and_takes_the_short_way() -> None:
    first, second = pose(0.0, 170.0), pose(10.0, -170.0)
    for share in (0.1, 0.5, 0.9):
        middle = between(first, second, share)
        assert middle[0, 3] == pytest.approx(10 * share)
        assert angle_deg(first, middle) == pytest.approx(20 * share)
        assert problem_of(middle) == ""


def test_at_a_stamp_the_pose_is_the_very_one_that_was_told() -> None:
    told = pose(3.0, 11.0)
    track = PoseTrack()
    for number in range(3):
        track.add(number * 10 * MS, told)
    found, why = track.at(10 * MS)
    assert found is told
    assert why == ""


def test_a_wobbling_probe_is_known_between_its_poses() -> None:
    phantom, track = Phantom(), PoseTrack()
    for number in range(200):
        assert track.add(number * 10 * MS, phantom.probe_pose(number / 100))
    for at_ms in (5, 333, 1501, 1987):
        found, _ = track.at(at_ms * MS)
        assert found is not None
        truth = phantom.probe_pose(at_ms / 1000)
        assert np.abs(found[:3, 3] - truth[:3, 3]).max() < 0.01
        assert angle_deg(found, truth) < 0.02


def test_where_there_is_no_pose_the_reason_is_told() -> None:
    track = PoseTrack()
    assert track.at(0) == (None, WAITING)
    track.add(100 * MS, pose())
    track.add(400 * MS, pose())
    assert track.at(50 * MS) == (None, EARLY)
    assert track.at(200 * MS) == (None, STALE)
    assert track.at(401 * MS) == (None, WAITING)


@pytest.mark.parametrize(
    ("matrix", "words"),
    [
        (None, "the tracker says so"),
        (np.full((4, 4), np.nan), "16 finite"),
        (np.zeros((4, 4)), "no rotation"),
        (np.diag([2.0, 2.0, 2.0, 1.0]), "no rotation"),
        (np.diag([1.0, 1.0, -1.0, 1.0]), "left-handed"),
        (np.diag([1.0, 1.0, 1.0, 2.0]), "last row"),
    ],
)
def test_what_is_no_rigid_motion_is_refused_and_counted(
    matrix: NDArray[np.float64] | None, words: str
) -> None:
    track = PoseTrack()
    assert not track.add(0, matrix)
    assert dict(track.refused) == {"invalid": 1}
    assert words in track.problem


@pytest.mark.parametrize("far", [pose(50.0), pose(0.0, 90.0)])
def test_a_jump_is_refused_and_nothing_is_drawn_towards_it(far: NDArray[np.float64]) -> None:
    track = PoseTrack()
    for number in range(10):
        track.add(number * 10 * MS, far if number == 5 else pose(number * 0.1))
    assert dict(track.refused) == {"jump": 1}
    found, _ = track.at(50 * MS)
    assert found is not None
    assert found[0, 3] == pytest.approx(0.5)
    assert angle_deg(found, pose()) < 1e-6


def test_a_probe_that_was_really_put_elsewhere_is_followed() -> None:
    track = PoseTrack()
    for number in range(30):
        track.add(number * 10 * MS, pose(0.0 if number < 10 else 200.0))
    assert track.refused["jump"] == 5
    found, _ = track.at(200 * MS)
    assert found is not None
    assert found[0, 3] == 200.0
    assert track.at(120 * MS) == (None, EARLY), "nothing lies between there and here"


def test_stamps_that_do_not_grow_are_refused_and_a_clock_set_back_begins_anew() -> None:
    track = PoseTrack()
    for stamp_ms in (5000, 5010, 5010, 5005, 5020):
        track.add(stamp_ms * MS, pose())
    assert dict(track.refused) == {"clock": 2}
    assert track.add(1000 * MS, pose())
    assert track.refused["clock jumped back"] == 1
    assert track.newest_ns == 1000 * MS


def test_no_more_poses_are_kept_than_are_needed() -> None:
    track = PoseTrack()
    for number in range(20_000):
        track.add(number * MS, pose())
    assert len(track._stamps) < 10_000
    assert track.at(19_998 * MS)[0] is not None
