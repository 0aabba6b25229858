"""Run by launch_testing with `composed:=…`: the whole launch file in a namespace, until results."""

from __future__ import annotations

import time
import unittest
from pathlib import Path
from typing import Any

import launch_testing.asserts
import launch_testing.markers
import rclpy
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_testing.actions import ReadyToTest
from lifecycle_msgs.srv import GetState

from mastra_ros.msg import InferenceResult, InspectionVerdict

ROOT = Path(__file__).resolve().parents[2]
NAMESPACE = "line1"
STAGES = ("camera", "inference", "scheduling", "compression", "bridge", "pipeline")
LIMIT_S = 120.0


@launch_testing.markers.keep_alive
def generate_test_description() -> LaunchDescription:
    """The launch file as a user starts it."""
    source = PythonLaunchDescriptionSource(str(ROOT / "launch/factory_inspection.launch.py"))
    arguments = {
        "namespace": NAMESPACE,
        "source": "synthetic:pcb?seed=5",
        "composed": LaunchConfiguration("composed"),
    }
    return LaunchDescription(
        [
            DeclareLaunchArgument("composed"),
            IncludeLaunchDescription(source, launch_arguments=arguments.items()),
            ReadyToTest(),
        ]
    )


class TestRunning(unittest.TestCase):
    """While the nodes run."""

    def setUp(self) -> None:
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = rclpy.create_node("listener", namespace=NAMESPACE, context=self.context)
        self.executor = rclpy.executors.SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)

    def tearDown(self) -> None:
        self.executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)

    def until(self, condition: Any, what: str) -> None:
        deadline = time.monotonic() + LIMIT_S
        while not condition():
            if time.monotonic() > deadline:
                self.fail(f"{what} did not come in {LIMIT_S:g} s")
            self.executor.spin_once(timeout_sec=0.1)

    def test_results_and_verdicts_come_in_the_namespace(self) -> None:
        results: list[Any] = []
        verdicts: list[Any] = []
        self.node.create_subscription(InferenceResult, "result", results.append, 50)
        self.node.create_subscription(InspectionVerdict, "verdict", verdicts.append, 50)
        self.until(lambda: len(results) >= 10, "ten results")
        self.until(lambda: verdicts, "a verdict")
        assert results[0].header.frame_id == "belt_camera_optical"
        stamps = [(r.header.stamp.sec, r.header.stamp.nanosec) for r in results if r.final]
        assert len(stamps) == len(set(stamps))

    def test_every_node_is_active(self) -> None:
        for stage in STAGES:
            client = self.node.create_client(GetState, f"{stage}/get_state")
            self.until(client.service_is_ready, f"the service of {stage}")

            def label(client: Any = client) -> str:
                future = client.call_async(GetState.Request())
                self.executor.spin_until_future_complete(future, timeout_sec=5.0)
                return future.result().current_state.label if future.done() else ""

            self.until(lambda label=label: label() == "active", f"{stage} active")


@launch_testing.post_shutdown_test()
class TestStopped(unittest.TestCase):
    """After Ctrl-C."""

    def test_every_process_ended_cleanly(self, proc_info: Any) -> None:
        launch_testing.asserts.assertExitCodes(proc_info)
