"""The whole path as a person starts it: `mastra run` and `mastra gateway` as processes."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

if importlib.util.find_spec("rclpy") is None:
    pytest.exit("ROS 2 is not sourced: source env.sh, or leave this folder out", returncode=1)

import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

MASTRA = [sys.executable, "-m", "mastra_ros.cli.main"]
FINISH_TIMEOUT_S = 240.0
PATIENT = (
    *("--set", "scheduling.local_timeout_ms=60000.0"),
    *("--set", "inference.ring_frames=200", "--set", "compression.ring_frames=200"),
)
"""A machine that is busy with other work for seconds has not lost a frame."""


class Run:
    """One `mastra run` as a process, and what it reports."""

    def __init__(self, folder: Path, *options: str, pipeline: str = "factory_inspection") -> None:
        self.report_path = folder / "report.json"
        self.output_path = folder / "output.txt"
        with self.output_path.open("w") as output:
            self.process = subprocess.Popen(
                [
                    *(*MASTRA, "run", pipeline, *PATIENT),
                    *("--report", str(self.report_path), *options),
                ],
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        return self.output_path.read_text()

    def wait(self) -> int:
        return self.process.wait(timeout=FINISH_TIMEOUT_S)

    def report(self) -> dict[str, Any]:
        assert self.report_path.exists(), f"no report; it printed:\n{self.output}"
        told: dict[str, Any] = json.loads(self.report_path.read_text())
        return told

    def finish(self) -> dict[str, Any]:
        """Wait for the end; the report, once it is sure that no frame lacks its result."""
        status = self.wait()
        report = self.report()
        assert nothing_is_lost(report), json.dumps(report, indent=1) + self.output
        assert status == 0, self.output
        return report

    def kill(self) -> None:
        """SIGKILL the whole group, as a power cut would."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float = 120.0) -> None:
    """Wait for a condition; the test fails when it does not come."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout_s:g} s in vain: {what}"
        time.sleep(0.05)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    """Start runs that are killed at the end of the test at the latest."""
    runs: list[Run] = []

    def started(*options: str) -> Run:
        folder = tmp_path / f"run{len(runs)}"
        folder.mkdir()
        runs.append(Run(folder, *options))
        return runs[-1]

    yield started
    for run in runs:
        run.kill()


def nothing_is_lost(report: dict[str, Any]) -> bool:
    """Exactly one final result for every frame."""
    return (
        report["frames"] > 0
        and report["missing"] == 0
        and report["duplicates"] == 0
        and report["results"] + report["superseded"] == report["frames"]
        and sum(report["by_origin"].values()) == report["results"]
    )


@pytest.fixture(name="wait_until")
def _wait_until() -> Callable[..., None]:
    return wait_until


@pytest.fixture
def spinning(ros_domain: int) -> Iterator[Callable[..., Any]]:
    """Make nodes in this process that hear the runs, and spin them until the end of the test.

    By rclpy's usual executor: the process that judges is not to die of the experimental one.
    """
    context = Context()
    rclpy.init(context=context, domain_id=ros_domain)
    executor = SingleThreadedExecutor(context=context)
    stopped = threading.Event()

    def spin() -> None:
        while not stopped.is_set():
            executor.spin_once(timeout_sec=0.05)

    thread = threading.Thread(target=spin, daemon=True)
    nodes: list[Node] = []

    def add(make: Callable[..., Node]) -> Node:
        nodes.append(make(context=context, use_global_arguments=False))
        executor.add_node(nodes[-1])
        if not thread.is_alive():
            thread.start()
        return nodes[-1]

    yield add
    stopped.set()
    if thread.is_alive():
        thread.join()
    executor.shutdown()
    for node in nodes:
        node.destroy_node()
    rclpy.try_shutdown(context=context)
