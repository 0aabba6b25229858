"""What `bench.switching` cuts: nodes, a gateway and the link between them, and a witness."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rclpy
import yaml
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.context import Context
from rclpy.experimental import EventsExecutor
from rclpy.node import Node

import bench.pinned  # noqa: F401
from bench.tiny_bundle import make_tiny_bundle
from mastra_ros.emulation import ShapingProxy, parse_faults
from mastra_ros.gateway.embedded import EmbeddedGateway
from mastra_ros.nodes.run.compose import ORDER, Composition
from mastra_ros.nodes.run.monitor import MonitorNode
from mastra_ros.protocol.keys import add_device, init_keys
from mastra_ros.types import FrameKey, LinkSample, Result, Route

KINDS = ("down", "reset", "stall", "sigstop", "sigkill", "rate")
"""Link down without FIN, reset, stall, gateway SIGSTOP, gateway SIGKILL, 20 kbit/s."""

Parameters = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Answer:
    """One message on `result`; times in ns of the system's clock, as stamps are."""

    at_ns: int
    stamp_ns: int
    origin: Route
    final: bool
    error: str
    inference_ms: float


class Witness:
    """Hears, over DDS, which frames enter and what comes out."""

    def __init__(self) -> None:
        self.frames: list[int] = []  # stamps, ns
        self.answers: list[Answer] = []
        self.link: LinkSample | None = None
        self.superseded = 0
        self.diagnosed_s = 0.0

    def on_frame(self, key: FrameKey) -> None:
        """See Observer."""
        self.frames.append(key.stamp_ns)

    def on_result(self, result: Result) -> None:
        """See Observer."""
        self.answers.append(
            Answer(
                time.time_ns(),
                result.key.stamp_ns,
                result.origin,
                result.final,
                result.error,
                result.inference_ms,
            )
        )

    def on_late_result(self, result: Result) -> None:
        """See Observer."""

    def on_link(self, link: LinkSample, counters: dict[str, int]) -> None:  # noqa: ARG002
        """See Observer."""
        self.link = link

    def on_gate(self, state: Any) -> None:
        """Observer; nothing of it is measured."""

    def on_verdict(self, board: int, verdict: str, defects: int) -> None:
        """See Observer."""

    def on_diagnostics(self, message: Any) -> None:
        """The scheduler counts what it superseded."""
        for status in message.status:
            if status.name.endswith("scheduling"):
                values = {pair.key: pair.value for pair in status.values}
                self.superseded = int(values.get("superseded", self.superseded))
                self.diagnosed_s = time.monotonic()

    def first(self, origin: Route, after_ns: int) -> Answer | None:
        """The first answer from there for a frame captured after that."""
        for answer in reversed_until(self.answers, after_ns):
            if answer.origin is origin and answer.stamp_ns >= after_ns and not answer.error:
                return answer
        return None

    def steady(self, count: int) -> bool:
        """Whether nine in ten of the latest `count` answers, and the newest, which came just now,
        are the gateway's. The others were doubted for a moment, on a machine with other work."""
        latest = self.answers[-count:]
        away = [a for a in latest if a.origin is Route.CLOUD and not a.error]
        return (
            len(latest) == count
            and len(away) >= 0.9 * count
            and latest[-1] in away
            and time.time_ns() - latest[-1].at_ns < 300_000_000
        )


def reversed_until(answers: list[Answer], after_ns: int) -> list[Answer]:
    """Answers that came after that, oldest first."""
    begin = len(answers)
    while begin and answers[begin - 1].at_ns >= after_ns:
        begin -= 1
    return answers[begin:]


class Rig:
    """Gateway and proxy; `cut` breaks the way between bridge and gateway, `repair` mends it."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self.bundle = make_tiny_bundle(folder / "bundle")
        self.keys = folder / "keys"
        self.folder = folder
        init_keys(self.keys)
        add_device(self.keys, "camera-1")
        self.gateway = stack.enter_context(
            EmbeddedGateway(self.keys, [str(self.bundle)], state_dir=folder / "gateway")
        )
        self.proxy = stack.enter_context(ShapingProxy("127.0.0.1", self.gateway.port))

    def parameters(self, changes: Mapping[str, Mapping[str, Any]]) -> Parameters:
        """The parameters of every stage; the link leads through the proxy."""
        values: Parameters = {stage: dict(changes.get(stage, {})) for stage in ORDER}
        values["inference"]["bundle"] = str(self.bundle)
        values["privacy"] = {"mode": "off", "reason": "boards that are drawn"}
        values["bridge"] |= {
            "gateway": f"wss://127.0.0.1:{self.proxy.port}",
            "keys_dir": str(self.keys),
            "spool_path": str(self.folder / f"spool-{random.getrandbits(32):08x}.sqlite"),
        }
        return values

    def cut(self, kind: str) -> None:
        """Break it, now."""
        if kind == "sigstop":
            os.killpg(self.gateway.pid, signal.SIGSTOP)
        elif kind == "sigkill":
            # The port must stay the same, so the gateway is ended by hand and started again.
            os.killpg(self.gateway.pid, signal.SIGKILL)
        elif kind == "reset":
            self.proxy.set_faults(parse_faults("reset@0s"))
            self.proxy.restart_clock()
        else:
            what = "rate=20kbit" if kind == "rate" else kind
            self.proxy.set_faults(parse_faults(f"{what}@0s"))

    def repair(self, kind: str) -> None:
        """Mend it; returns when it is mended."""
        if kind == "sigstop":
            os.killpg(self.gateway.pid, signal.SIGCONT)
        elif kind == "sigkill":
            self.gateway.restart()
        else:
            self.proxy.set_faults(())


@contextlib.contextmanager
def in_one_process(parameters: Parameters) -> Iterator[Witness]:
    """All nodes in this process; the witness hears them over DDS all the same."""
    witness = Witness()
    with Composition(parameters) as composition:
        composition.configure()
        composition.activate(*(stage for stage in ORDER if stage != "camera"))
        composition.await_discovery()
        composition.add(lambda **options: MonitorNode(witness, **options))
        composition.add(lambda **options: _listener(witness, **options))
        wait(lambda: witness.link is not None and witness.link.connected, 20.0, "a link")
        composition.activate("camera")
        yield witness
        composition.stop("camera")
        settle(witness)
        if composition.failure is not None:
            raise RuntimeError(f"a node failed: {composition.failure}")


@contextlib.contextmanager
def in_processes_of_their_own(parameters: Parameters, folder: Path) -> Iterator[Witness]:
    """Each node is a process; images pass through shared memory."""
    path = folder / f"parameters-{random.getrandbits(32):08x}.yaml"
    path.write_text(
        yaml.safe_dump({f"/**/{s}": {"ros__parameters": v} for s, v in parameters.items()}), "utf-8"
    )
    witness = Witness()
    with _spinning(witness), contextlib.ExitStack() as stack:
        others = [stage for stage in ORDER if stage != "camera"]
        for stage in others:
            stack.enter_context(_process(stage, path))
        wait(lambda: witness.link is not None and witness.link.connected, 60.0, "a link")
        wait(lambda: witness.diagnosed_s > 0, 30.0, "diagnostics of the scheduler")
        with _process("camera", path):
            yield witness
        settle(witness)


@contextlib.contextmanager
def _process(stage: str, parameters: Path) -> Iterator[None]:
    code = f"from mastra_ros.nodes.{stage} import main; raise SystemExit(main())"
    log = (parameters.parent / f"{stage}.log").open("a")
    process = subprocess.Popen(
        [sys.executable, "-c", code, "--ros-args", "--params-file", str(parameters)],
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    try:
        yield
        if process.poll() is not None:
            raise RuntimeError(f"{stage} ended by itself, with status {process.returncode}")
    finally:
        process.terminate()
        process.wait(20)
        log.close()


@contextlib.contextmanager
def _spinning(witness: Witness) -> Iterator[None]:
    context = Context()
    rclpy.init(context=context)
    executor = EventsExecutor(context=context)
    options: dict[str, Any] = {"context": context, "use_global_arguments": False}
    nodes = [MonitorNode(witness, **options), _listener(witness, **options)]
    for node in nodes:
        executor.add_node(node)
    stopped = threading.Event()

    def spin() -> None:
        while not stopped.is_set():
            executor.spin_once(timeout_sec=0.05)

    thread = threading.Thread(target=spin, name="witness", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()
        executor.shutdown()
        for node in nodes:
            node.destroy_node()
        rclpy.try_shutdown(context=context)


def _listener(witness: Witness, **options: Any) -> Node:
    node = Node("bench_diagnostics", **options)
    node.create_subscription(DiagnosticArray, "/diagnostics", witness.on_diagnostics, 50)
    return node


def settle(witness: Witness) -> None:
    """Wait until nothing more comes, and until the scheduler has told its last count."""
    count = -1
    while len(witness.answers) != count:
        count = len(witness.answers)
        time.sleep(2.5)
    told_s = witness.diagnosed_s
    wait(lambda: witness.diagnosed_s > told_s, 5.0, "diagnostics of the scheduler")


def wait(condition: Callable[[], bool], timeout_s: float, what: str) -> None:
    """Wait for a condition; RuntimeError when it does not come."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"waited {timeout_s:g} s in vain for {what}")
        time.sleep(0.005)
