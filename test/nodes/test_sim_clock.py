"""With `use_sim_time` and the `/clock` of a recording in a loop, stamps follow and it is said."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock

from mastra_ros.nodes.camera import CameraNode
from mastra_ros.nodes.frame_bus import FrameBus
from mastra_ros.types import FrameKey

SECOND = 1_000_000_000


def test_the_camera_s_stamps_follow_a_clock_that_loops_back(
    ros: Any, wait_until: Callable[..., None], capfd: pytest.CaptureFixture[str]
) -> None:
    bus = FrameBus()
    keys: list[FrameKey] = []
    bus.subscribe("/image_raw", lambda frame: keys.append(frame.key))
    values = {
        "use_sim_time": True,
        "rate_hz": 50.0,
        "width_px": 64,
        "height_px": 64,
        "source": "synthetic:pcb?seed=1",
    }
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    node = ros.add(CameraNode(bus=bus, parameter_overrides=overrides, **ros.options))
    player = ros.node("player")
    clock = player.create_publisher(Clock, "/clock", 10)
    times = itertools.cycle(range(100 * SECOND, 104 * SECOND, SECOND // 25))  # a bag of 4 s

    def tick() -> None:
        now_ns = next(times)
        message = Clock()
        message.clock.sec, message.clock.nanosec = divmod(now_ns, SECOND)
        clock.publish(message)

    wait_until(lambda: clock.get_subscription_count() > 0, "a camera that hears the clock")
    tick()
    wait_until(lambda: node.now_stamp_ns() >= 100 * SECOND, "the time of the recording")
    timer = player.create_timer(0.02, tick)  # twice as fast as it was
    assert node.autostart()

    def went_back() -> list[int]:
        stamps = [key.stamp_ns for key in keys]
        return [n for n, (a, b) in enumerate(itertools.pairwise(stamps)) if b < a]

    wait_until(lambda: len(went_back()) >= 2, "the recording to begin again, twice")
    assert node.health()[0] == "warn"
    assert "the clock went back by" in node.health()[1]
    player.destroy_timer(timer)
    node.close()
    stamps = [key.stamp_ns for key in keys]
    assert all(100 * SECOND <= stamp_ns < 105 * SECOND for stamp_ns in stamps)
    assert len({key.id for key in keys}) == len(keys)
    assert "[WARN]" in capfd.readouterr().err
