"""Each node as a process, killed and started again: what was announced gets its one result."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from mastra_ros.msg import Decision, InferenceResult
from mastra_ros.msg import FrameKey as FrameKeyMsg

STAGES = ("pipeline", "scheduling", "bridge", "compression", "inference", "camera")
DRAWN = ("privacy:mode:=off", "privacy:reason:=boards that are drawn")
PARAMETERS = {
    **dict.fromkeys(("compression", "bridge", "pipeline"), DRAWN),
    "camera": ("rate_hz:=8.0", "width_px:=320", "height_px:=320"),
    "scheduling": ("local_timeout_ms:=20000.0",),  # a busy machine loses no frame
}
RESPAWN_S = 2.0
"""As the launch files wait before they start a node again."""
ALL_HEARD = QoSProfile(depth=5000, reliability=ReliabilityPolicy.RELIABLE)
LASTING = QoSProfile(
    depth=5000,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
"""Asks for what a node that began anew said before its writer was heard."""


class Nodes:
    """The processes of a device, and all that they say of frames."""

    def __init__(self, folder: Path, spinning: Callable[..., Any]) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self.entered: dict[str, float] = {}
        self.superseded: set[str] = set()
        self.finals: list[InferenceResult] = []
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        node = spinning(self._make)
        node.create_subscription(FrameKeyMsg, "entered", self._enter, ALL_HEARD)
        node.create_subscription(InferenceResult, "result", self._result, LASTING)
        node.create_subscription(Decision, "decision", self._decision, LASTING)

    @staticmethod
    def _make(**options: Any) -> Any:
        from rclpy.node import Node

        return Node("witness", **options)

    def _enter(self, message: FrameKeyMsg) -> None:
        with self._lock:
            self.entered.setdefault(message.id, time.monotonic())

    def _result(self, message: InferenceResult) -> None:
        with self._lock:
            if message.final:
                self.finals.append(message)

    def _decision(self, message: Decision) -> None:
        with self._lock:
            if message.route == "none":
                self.superseded.add(message.id)

    def start(self, stage: str) -> None:
        main = f"from mastra_ros.nodes.{stage} import main; raise SystemExit(main())"
        options = [word for value in PARAMETERS.get(stage, ()) for word in ("-p", value)]
        with (self._folder / f"{stage}.log").open("a") as log:
            self.processes[stage] = subprocess.Popen(
                [sys.executable, "-c", main, "--ros-args", *options], stdout=log, stderr=log
            )

    def kill(self, stage: str) -> None:
        self.processes[stage].kill()
        self.processes[stage].wait()

    def close(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()

    @property
    def answered(self) -> set[str]:
        with self._lock:
            return {final.id for final in self.finals}

    def unanswered(self) -> set[str]:
        with self._lock:
            return set(self.entered) - {final.id for final in self.finals} - self.superseded

    def more_results(self, count: int) -> Callable[[], bool]:
        """Whether so many more frames were answered than at this call."""
        wanted = len(self.answered) + count
        return lambda: len(self.answered) >= wanted


@pytest.fixture
def nodes(tmp_path: Path, spinning: Callable[..., Any]) -> Iterator[Nodes]:
    made = Nodes(tmp_path, spinning)
    for stage in STAGES:
        made.start(stage)
    yield made
    made.close()


@pytest.mark.parametrize("victims", [("scheduling",), STAGES])
def test_every_frame_that_was_announced_is_answered_once_whichever_node_is_killed(
    nodes: Nodes, wait_until: Callable[..., None], victims: tuple[str, ...]
) -> None:
    wait_until(nodes.more_results(10), "results")
    for victim in victims:
        nodes.kill(victim)
        killed = len(nodes.answered)
        time.sleep(RESPAWN_S)
        if victim not in ("camera", "inference"):
            wait_until(lambda k=killed: len(nodes.answered) > k + 5, f"results without {victim}")
        nodes.start(victim)
        wait_until(nodes.more_results(25), f"results after the restart of {victim}")
    nodes.processes["camera"].send_signal(signal.SIGINT)
    nodes.processes["camera"].wait()
    wait_until(lambda: not nodes.unanswered(), "a result for each frame")
    counts = Counter(final.id for final in nodes.finals)
    assert [frame for frame, count in counts.items() if count > 1] == []
    here = [final for final in nodes.finals if "no scheduler is heard" in final.reason]
    assert here, "the frames of the time without a scheduler"
    assert not any(final.error for final in here)
