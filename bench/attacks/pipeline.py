"""A whole device under attack: `mastra run` as a process, its gateway, and who listens to it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mastra_ros.bridge.fake_gateway import FakeGateway
from mastra_ros.protocol.keys import add_device, audience_of, init_keys
from mastra_ros.types import FrameKey, GateState, LinkSample, Result

from .device import Attacked, beside
from .row import MEBIBYTE, Record
from .site import Sites, wait_until

NAME = "camera-1"
RATE_HZ = 4
LOG_BYTES_MAX = 64 * 1024


class Watch:
    """Hears what a pipeline says about its frames (see nodes/run/monitor.py)."""

    def __init__(self) -> None:
        self.entered: set[FrameKey] = set()
        self.finals: dict[FrameKey, Result] = {}
        self.twice = 0
        self.superseded: set[FrameKey] = set()
        self.connected = False

    def on_frame(self, key: FrameKey) -> None:
        """Observer."""
        self.entered.add(key)

    def on_result(self, result: Result) -> None:
        """Observer."""
        if result.final:
            self.twice += result.key in self.finals
            self.finals[result.key] = result

    def on_late_result(self, result: Result) -> None:
        """Observer."""

    def on_link(self, link: LinkSample, counters: dict[str, int]) -> None:  # noqa: ARG002
        """Observer."""
        self.connected = link.connected

    def on_verdict(self, board: int, verdict: str, defects: int) -> None:
        """Observer."""

    def on_gate(self, state: GateState) -> None:
        """Observer."""

    def open(self, keys: set[FrameKey]) -> set[FrameKey]:
        """Those of the frames that have no final result, or one that says nothing."""
        finals = self.finals.copy()  # at once: another thread adds to it meanwhile
        failed = {key for key in keys if key in finals and finals[key].error}
        return (keys - finals.keys() - self.superseded) | failed


class Pipeline(Attacked):
    """`mastra run factory_inspection` by way of a scripted gateway, heard over DDS.

    more: parameters by `stage.parameter`.
    """

    def __init__(self, folder: Path, **more: Any) -> None:
        self.keys = folder / "keys"
        init_keys(self.keys, own_audience=True)
        add_device(self.keys, NAME)
        self.log_path = folder / "pipeline.log"
        self.namespace = f"/hostile_{os.getpid()}_{time.monotonic_ns()}"
        self.watch = Watch()
        self.gateway = FakeGateway(self.keys, NAME, audience=audience_of(self.keys)).start()
        self._ears = _Ears(self.watch, self.namespace)
        command = [sys.executable, "-m", "mastra_ros.cli.main", "run", "factory_inspection"]
        command += ["--source", "synthetic:pcb?seed=7", "--rate", str(RATE_HZ), "--quiet"]
        command += ["--gateway", self.gateway.uri, "--namespace", self.namespace]
        sets = {
            "bridge.device": NAME,
            "bridge.keys_dir": self.keys,
            "bridge.spool_path": folder / "state" / "spool.sqlite",
            "bridge.reconnect_delay_max_s": 0.5,
            **more,
        }
        for name, value in sets.items():
            command += ["--set", f"{name}={value}"]
        with self.log_path.open("w") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        self.pid = self._process.pid
        try:
            wait_until(lambda: len(self.watch.finals) >= 2 or not self.alive, 90.0)
        except TimeoutError:
            self.close()
            raise
        if not self.alive:
            self.close()
            raise RuntimeError(f"mastra run has ended: {self.log[-800:]}")

    @property
    def node(self) -> Any:
        """A node of the attacker in the pipeline's namespace."""
        return self._ears.node

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self._process.poll() is None

    @property
    def log(self) -> str:
        """What it has logged so far."""
        return self.log_path.read_text("utf-8", "replace")

    def go_on(self, record: Record) -> None:
        """Wait for more results; count the frames so far that have none, or more than one."""
        before = len(self.watch.finals)
        wait_until(lambda: len(self.watch.finals) >= before + 3 or not self.alive)
        entered = set(self.watch.entered)
        with contextlib.suppress(TimeoutError):
            wait_until(lambda: not self.watch.open(entered) or not self.alive, 10.0)
        record.lost += len(self.watch.open(entered))
        self.watch.entered -= entered

    @contextlib.contextmanager
    def attacked(self, sites: Sites, record: Record) -> Iterator[None]:
        """Frames flow before, during and after the row, each with its result."""
        self.gateway.answer = self.gateway.commit
        logged, twice = len(self.log), self.watch.twice
        record.memory_allowed = 192 * MEBIBYTE
        with beside(sites, record, self):
            self.go_on(Record())
            yield
            self.go_on(record)
            self.gateway.answer = self.gateway.commit
            wait_until(lambda: self.watch.connected or not self.alive)
        record.twice += self.watch.twice - twice
        said = self.log[logged:]
        record.expect(self.alive, f"mastra run has ended: {said[-500:]}")
        record.expect("Traceback" not in said, f"a fault is in the log: {said[-500:]}")
        record.expect("the node goes on" not in said, f"a fault is in the log: {said[-500:]}")
        record.expect(len(said) <= LOG_BYTES_MAX, f"{len(said)} bytes in the log")

    def end(self, within_s: float = 20.0) -> bool:
        """SIGTERM; whether it ended in time, without being killed."""
        if self.alive:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(within_s)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
                return False
        return True

    def close(self) -> None:
        """End it in order, and whoever listens."""
        self.end()
        self._ears.close()
        self.gateway.stop()


class _Ears:
    """A node in this process that listens, and by which an attacker speaks."""

    def __init__(self, watch: Watch, namespace: str) -> None:
        import rclpy
        from rclpy.context import Context
        from rclpy.experimental import EventsExecutor
        from rclpy.node import Node
        from rclpy.qos import QoSProfile

        from mastra_ros.msg import Decision
        from mastra_ros.nodes import convert
        from mastra_ros.nodes.frames import STREAM
        from mastra_ros.nodes.run.monitor import MonitorNode

        self._shutdown = rclpy.try_shutdown
        self._context = Context()
        rclpy.init(args=[], context=self._context)
        options: dict[str, Any] = {
            "context": self._context,
            "use_global_arguments": False,
            "namespace": namespace,
        }

        def decided(message: Any) -> None:
            if message.reason == "superseded":
                key = convert.key_from_ros(message.header, STREAM, message.id)
                watch.superseded.add(key)

        self._monitor = MonitorNode(watch, **options)
        self.node = Node("attacker", **options)
        self.node.create_subscription(Decision, "decision", decided, QoSProfile(depth=1000))
        self._executor = EventsExecutor(context=self._context)
        self._executor.add_node(self._monitor)
        self._executor.add_node(self.node)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        while not self._closed.is_set():
            self._executor.spin_once(timeout_sec=0.05)

    def close(self) -> None:
        """Listen no more."""
        self._closed.set()
        self._thread.join()
        self._executor.shutdown()
        self._monitor.destroy_node()
        self.node.destroy_node()
        self._shutdown(context=self._context)


@contextlib.contextmanager
def own_pipeline(sites: Sites, **more: Any) -> Iterator[Pipeline]:
    """One that a row alone uses, and may break."""
    made = Pipeline(sites.folder(f"pipeline-{time.monotonic_ns()}"), **more)
    try:
        yield made
    finally:
        made.close()


def pipeline(sites: Sites) -> Pipeline:
    """The one that rows share."""
    return sites.shared("pipeline", lambda: own_pipeline(sites))
