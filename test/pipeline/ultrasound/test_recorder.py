"""Pictures get their poses, sweeps begin and end, and what is left out is counted."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from mastra_ros.pipeline.ultrasound.calibration import Calibration, of_phantom
from mastra_ros.pipeline.ultrasound.phantom import Phantom, PhantomConfig
from mastra_ros.pipeline.ultrasound.recorder import SweepRecorder, Told
from mastra_ros.pipeline.ultrasound.sweep import SweepBegin, SweepEnd

MS = 1_000_000
S = 1000 * MS
SIZE = (256, 256)
PHANTOM = Phantom(PhantomConfig(frames=30))


def recorder(mode: str = "auto", **options: Any) -> SweepRecorder[int]:
    names = (f"sweep-{number}" for number in itertools.count(1))
    made: SweepRecorder[int] = SweepRecorder(of_phantom(PHANTOM), lambda: next(names), **options)
    made.turn(mode, 0)
    return made


def feed(
    made: SweepRecorder[int],
    frames: range,
    *,
    from_ns: int = 0,
    lag_ms: float = 0.0,
    poses: bool = True,
) -> list[Any]:
    """Pictures at 30 a second, and poses at 100; numbers count the pictures."""
    steps: list[Any] = []
    for number in frames:
        at_ns = from_ns + round(number * S / 30)
        if poses:
            for tick in range(-(-at_ns // (10 * MS)), -(-(at_ns + S // 30) // (10 * MS))):
                steps += made.on_pose(tick * 10 * MS, PHANTOM.probe_pose(tick * 0.01 - from_ns / S))
        steps += made.on_picture(at_ns + round(lag_ms * MS), SIZE, number)
    return steps


def told(steps: list[Any]) -> list[Told[int]]:
    return [step for step in steps if isinstance(step, Told)]


def test_every_picture_is_told_once_with_the_pose_of_its_moment() -> None:
    made = recorder(lag_ms=65.0)
    made.on_pose(-10 * MS, PHANTOM.probe_pose(-0.01))
    steps = feed(made, range(30), lag_ms=65.0) + made.finish(2 * S)
    assert isinstance(steps[0], SweepBegin)
    assert isinstance(steps[-1], SweepEnd)
    frames = told(steps)
    assert [one.picture for one in frames] == list(range(30))
    assert [one.frame.sequence for one in frames] == list(range(1, 31))
    for one in frames:
        truth = PHANTOM.image_pose(one.picture)
        assert np.abs(one.frame.matrix - truth)[:3, 3].max() < 0.02
    end = steps[-1]
    assert (end.frames, end.reason, dict(end.refused)) == (30, "source ended", {})
    assert steps[0].lag_ms == 65.0


def test_an_uncorrected_lag_puts_pictures_where_the_probe_was_not() -> None:
    made = recorder()
    made.on_pose(-10 * MS, PHANTOM.probe_pose(-0.01))
    frames = told(feed(made, range(30), lag_ms=65.0) + feed(made, range(30, 33)))
    off = [one.frame.matrix[2, 3] - PHANTOM.image_pose(one.picture)[2, 3] for one in frames[:20]]
    assert np.mean(off) == pytest.approx(0.52, abs=0.2)  # 65 ms at 8 mm/s, and the wobble


def test_off_tells_nothing_and_on_is_one_sweep_until_it_is_off() -> None:
    made = recorder("off")
    assert feed(made, range(10)) == []
    made.turn("on", 10 * S // 30)
    steps = feed(made, range(10, 20)) + made.turn("off", 20 * S // 30)
    assert [type(step) for step in steps if not isinstance(step, Told)] == [SweepBegin, SweepEnd]
    assert steps[-1].reason == "stopped"
    assert feed(made, range(20, 30)) == []
    assert made.sweeps == 1


def test_a_sweep_ends_when_the_tracker_is_silent_and_another_begins_when_it_is_back() -> None:
    made = recorder(idle_ms=1000.0)
    steps = feed(made, range(10))
    steps += feed(made, range(10, 60), poses=False)
    steps += feed(made, range(60, 70))
    kinds = [type(step).__name__ for step in steps if not isinstance(step, Told)]
    assert kinds == ["SweepBegin", "SweepEnd", "SweepBegin"]
    ends = [step for step in steps if isinstance(step, SweepEnd)]
    assert ends[0].reason == "idle"
    assert ends[0].sweep == "sweep-1"
    assert sum(made.refused.values()) + made.told + made.waiting == made.pictures


def test_pictures_without_a_pose_in_time_are_counted_and_nothing_waits_for_ever() -> None:
    made = recorder()
    assert feed(made, range(60), poses=False) == []
    assert made.refused["no pose in time"] > 30
    assert made.waiting < 20


def test_pictures_of_another_size_are_none_of_this_probe() -> None:
    made = recorder()
    made.on_pose(0, PHANTOM.probe_pose(0.0))
    made.on_pose(100 * MS, PHANTOM.probe_pose(0.1))
    assert made.on_picture(50 * MS, (640, 480), 1) == []
    assert dict(made.refused) == {"another size": 1}


def test_what_the_tracker_told_wrongly_stands_at_the_end_of_the_sweep() -> None:
    made = recorder()
    steps = feed(made, range(10))
    made.on_pose(10 * S, None)
    jumped = PHANTOM.probe_pose(0.35).copy()
    jumped[0, 3] += 500
    made.on_pose(350 * MS, jumped)
    steps += made.finish(S)
    assert steps[-1].refused["pose: invalid"] == 1
    assert steps[-1].refused["pose: jump"] == 1


def test_a_clock_of_pictures_that_jumps_back_is_counted() -> None:
    made = recorder()
    feed(made, range(10, 20), poses=False)
    waiting = made.waiting
    made.on_picture(0, SIZE, 99)
    assert made.refused["clock jumped back"] == waiting


def test_every_frame_carries_the_calibration_that_it_was_made_with() -> None:
    calibration = Calibration(
        tuple(np.diag([0.2, 0.2, 1.0, 1.0]).ravel().tolist()), of_phantom(PHANTOM).region
    )
    made: SweepRecorder[int] = SweepRecorder(calibration, lambda: "s")
    made.turn("on", 0)
    for one in told(feed(made, range(5))):
        assert one.frame.calibration == calibration.digest
        assert one.frame.spacing_mm == pytest.approx((0.2, 0.2))
        assert one.frame.region == calibration.region
