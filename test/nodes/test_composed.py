"""All nodes in one process of ROS: its arguments, what comes from outside, how it ends."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.srv import GetParameters
from rclpy.parameter import parameter_value_to_python
from sensor_msgs.msg import CompressedImage, Image

from mastra_ros.msg import InferenceResult
from mastra_ros.nodes import convert
from mastra_ros.types import Frame, FrameKey

MAIN = "from mastra_ros.nodes.run.composed import main; raise SystemExit(main())"
DRAWN = ("-p", "privacy:mode:=off", "-p", "privacy:reason:=boards that are drawn")
SMALL = ("-p", "camera:source:=synthetic:pcb?width=320&height=240", *DRAWN)


@contextlib.contextmanager
def composed(log: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", MAIN, "--ros-args", *arguments],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def hear(node: Any, message: type, topic: str) -> list[Any]:
    heard: list[Any] = []
    node.create_subscription(message, topic, heard.append, 10)
    return heard


def call(node: Any, kind: type, name: str, request: Any, wait_until: Callable[..., None]) -> Any:
    client = node.create_client(kind, name)
    wait_until(client.service_is_ready, name)
    future = client.call_async(request)
    wait_until(future.done, f"the answer of {name}")
    return future.result()


def test_remaps_parameters_files_and_namespace_reach_the_nodes(
    ros: Any, wait_until: Callable[..., None], tmp_path: Path
) -> None:
    file = tmp_path / "line.yaml"
    file.write_text(
        "/**/camera:\n  ros__parameters:\n    frame_id: lens_optical\n    rate_hz: 3.0\n"
        "    source: synthetic:pcb?width=320&height=240\n"
        "/**/scheduling:\n  ros__parameters: {policy: fixed}\n"
    )
    later = tmp_path / "later.yaml"
    later.write_text("/**/camera:\n  ros__parameters: {rate_hz: 12.0}\n")
    around = ros.node("around")
    results = hear(around, InferenceResult, "/elsewhere/answers")
    pictures = hear(around, CompressedImage, "/lens/image/compressed")
    arguments = [
        *("-r", "__ns:=/line1", "-r", "image_raw:=/lens/image", "-r", "result:=/elsewhere/answers"),
        *("--params-file", str(file), "--params-file", str(later)),
    ]
    with composed(tmp_path / "log", *arguments):
        wait_until(lambda: results and pictures, "results and compressed pictures where remapped")
        asked = GetParameters.Request(names=["rate_hz", "frame_id"])
        got = call(around, GetParameters, "/line1/camera/get_parameters", asked, wait_until)
        assert [parameter_value_to_python(v) for v in got.values] == [12.0, "lens_optical"]
        asked = GetParameters.Request(names=["policy"])
        got = call(around, GetParameters, "/line1/scheduling/get_parameters", asked, wait_until)
        assert parameter_value_to_python(got.values[0]) == "fixed"
        assert around.count_publishers("/line1/image_raw/compressed") == 0, "it moved along"
    assert results[0].header.frame_id == "lens_optical"
    assert (pictures[0].header.frame_id, results[0].origin) == ("lens_optical", "local")


def test_pictures_from_outside_are_taken_while_the_own_camera_is_not_configured(
    ros: Any, wait_until: Callable[..., None], tmp_path: Path
) -> None:
    around = ros.node("around")
    results = hear(around, InferenceResult, "result")
    driver = around.create_publisher(Image, "image_raw", 1)
    stamp_ns = 0

    def answered() -> bool:
        nonlocal stamp_ns
        stamp_ns += 1_000_000
        picture = np.full((240, 320, 3), 90, np.uint8)
        frame = Frame(FrameKey("main", stamp_ns), picture, "bgr8", "driver_optical")
        driver.publish(convert.frame_to_ros(frame))
        return any(r.header.frame_id == "driver_optical" for r in results)

    with composed(tmp_path / "log", "-p", "camera:autostart:=false", *SMALL):
        wait_until(answered, "a result of a picture from outside")
        for transition in (1, 3):  # configure, activate
            request = ChangeState.Request()
            request.transition.id = transition
            done = call(around, ChangeState, "camera/change_state", request, wait_until)
            assert done.success
        wait_until(
            lambda: any(r.header.frame_id == "camera_optical" for r in results),
            "those of its own camera",
        )
        wait_until(lambda: around.count_subscribers("image_raw") == 0, "frames by reference again")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_however_many_end_it_in_order(
    wait_until: Callable[..., None], tmp_path: Path, number: signal.Signals
) -> None:
    log = tmp_path / "log"
    with composed(log, *SMALL) as process:
        wait_until(lambda: "capturing" in log.read_text() or process.poll() is not None, "a start")

        def ended() -> bool:
            process.send_signal(number)
            return process.poll() is not None

        wait_until(ended, "the process to end")
        assert process.returncode == 0, log.read_text()
    assert "Traceback" not in log.read_text()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("-p", "camera:rate_hz:=-1.0", "-p", "camera:ratte:=1"), "ratte: unknown parameter"),
        (("-p", "inference:bundle:=/nowhere"), "/nowhere"),
        (("-r", "__node:=lens"), "two nodes of one name"),
    ],
)
def test_what_cannot_start_is_one_error_and_a_status(
    tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    log = tmp_path / "log"
    with composed(log, *SMALL, *arguments) as process:
        assert process.wait(60) == 1
    (line,) = [text for text in log.read_text().splitlines() if "[ERROR]" in text]
    assert told in line
    assert "Traceback" not in log.read_text()


def test_a_callback_that_fails_ends_it_with_another_status(
    ros: Any, wait_until: Callable[..., None], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    broken = (
        "from mastra_ros.nodes.scheduling import SchedulingNode; "
        "SchedulingNode.start = lambda self: self.create_timer(0.1, lambda: 1 / 0); " + MAIN
    )
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", broken, "--ros-args", *SMALL],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(os.environ),
        )
    assert process.wait(60) == 70, log.read_text()
    assert "a callback failed: ZeroDivisionError" in log.read_text()


def test_a_parameter_for_a_node_that_is_not_there_is_named(
    wait_until: Callable[..., None], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    file = tmp_path / "line.yaml"
    file.write_text("/**/schedulng:\n  ros__parameters: {deadline_ms: 5.0}\n")
    arguments = ("-p", "camra:rate_hz:=5.0", "--params-file", str(file))
    with composed(log, *SMALL, *arguments) as process:
        wait_until(lambda: "capturing" in log.read_text() or process.poll() is not None, "a start")
    warnings = [text for text in log.read_text().splitlines() if "[WARN]" in text]
    assert len(warnings) == 2, log.read_text()
    assert "-p camra:rate_hz:=5.0: ignored, there is no node 'camra' here" in warnings[0]
    assert "**/schedulng: ignored, there is no node '**/schedulng' here" in warnings[1]
