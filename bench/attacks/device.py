"""A device under attack: a bridge in a process of its own that can be killed and started again.

    python -m bench.attacks.device

Each line on its standard input is a command as JSON, each answer a line of JSON. What it logs goes
to standard error.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from bench.tiny_model import TINY_PX
from mastra_ros.bridge import BridgeClient, BridgeStatus, SqliteSpool
from mastra_ros.bridge.clearing import NothingToHide
from mastra_ros.bridge.spool_clock import SpoolClock
from mastra_ros.compression import Encoder
from mastra_ros.config import BridgeConfig, CompressionConfig
from mastra_ros.privacy import hiding_nothing
from mastra_ros.startup import log_to_stderr
from mastra_ros.types import Frame, FrameKey, Packet, Result

from .row import Record
from .site import Sites, wait_until

GATE = hiding_nothing("drawn pictures; nobody is on them")
ROOT = Path(__file__).resolve().parents[2]
QUICK = {
    "heartbeat_interval_ms": 50.0,
    "heartbeat_timeout_ms": 1000.0,
    "reconnect_delay_min_s": 0.02,
    "reconnect_delay_max_s": 0.2,
    "connect_timeout_s": 2.0,
}
"""Parameters of a bridge that is impatient where a row would wait."""


class Worker:
    """What runs in the process."""

    def __init__(self) -> None:
        self._client: BridgeClient | None = None
        self._status: BridgeStatus | None = None
        self._encoder = Encoder(CompressionConfig(codec="png"), "main")
        self._rng = np.random.default_rng(1)
        self._stamps = itertools.count(time.time_ns(), 1000)
        self._answered: set[int] = set()
        self._failed = 0
        self._jump_s = 0.0

    def do(self, command: dict[str, Any]) -> Any:
        """Carry out one command; what it gives is the answer."""
        name = command.pop("do")
        return getattr(self, f"_do_{name}")(**command)

    def _do_start(self, config: dict[str, Any]) -> None:
        bridge = BridgeConfig(**config)
        self._status = None  # of the bridge before
        clock = SpoolClock(wall=lambda: time.time() + self._jump_s)

        def open_spool() -> SqliteSpool:
            path = Path(bridge.spool_path)
            return SqliteSpool(path, bridge.spool_bytes_max, bridge.spool_age_max_s, clock)

        self._client = BridgeClient(
            bridge,
            on_result=self._on_result,
            on_failed=self._on_failed,
            on_status=self._on_status,
            clearer=NothingToHide(),
            open_spool=open_spool,
        )
        self._client.start()

    def _do_stop(self) -> bool:
        client, self._client = self._client, None
        return client is None or client.stop(20.0)

    def _do_send(self, count: int, late: bool, deadline_ms: float = 1000.0) -> list[int]:
        assert self._client is not None
        packets = [self._packet(late) for _ in range(count)]
        for packet in packets:
            self._client.send(packet, deadline_ms)
        return [packet.key.stamp_ns for packet in packets]

    def _packet(self, late: bool) -> Packet:
        image = self._rng.integers(0, 255, (TINY_PX, TINY_PX), np.uint8)
        frame = Frame(FrameKey("main", next(self._stamps)), image, "mono8")
        return replace(self._encoder.encode(GATE.clear(frame), late=True), late=late)

    def _do_seen(self) -> dict[str, Any]:
        status = None if self._status is None else asdict(self._status)
        alive = any(thread.name == "bridge" for thread in threading.enumerate())
        return {
            "status": status,
            "answered": len(self._answered),
            "failed": self._failed,
            "alive": alive,
        }

    def _do_jump(self, by_s: float) -> None:
        self._jump_s += by_s

    def _do_file_size(self, most: int) -> None:
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most if most >= 0 else hard, hard))

    def _on_result(self, result: Result) -> None:
        self._answered.add(result.key.stamp_ns)

    def _on_failed(self, key: FrameKey, reason: str) -> None:  # noqa: ARG002
        self._failed += 1

    def _on_status(self, status: BridgeStatus) -> None:
        self._status = status


class Attacked:
    """A process that is attacked, and what it has in memory."""

    pid: int

    @property
    def memory(self) -> int:
        """What it has in memory, bytes."""
        return int(psutil.Process(self.pid).memory_info().rss)

    def forget_peak(self) -> None:
        """Begin to look for the most memory anew (see proc(5), clear_refs)."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    @property
    def memory_most(self) -> int:
        """The most that it had in memory since, bytes."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


class Device(Attacked):
    """A bridge in a process of its own, as the rows see it."""

    def __init__(self, folder: Path, keys: Path, name: str, **environment: str) -> None:
        self.folder, self.log_path = folder, folder / "device.log"
        self.spool = folder / "state" / "spool.sqlite"
        self.artefacts = folder / "artefacts"
        self._config = {
            "device": name,
            "keys_dir": str(keys),
            "artefacts_dir": str(self.artefacts),
            **QUICK,
        }
        self._environment = {**os.environ, **environment}
        self._start_process()

    def _start_process(self) -> None:
        with self.log_path.open("a") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "bench.attacks.device"],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=self._environment,
            )
        self.pid = self._process.pid
        self.do("seen")  # all of Python is there: what is measured from here on is the work

    @property
    def log(self) -> str:
        """What it has logged so far."""
        return self.log_path.read_text("utf-8", "replace")

    def do(self, name: str, **values: Any) -> Any:
        """Have it do something; raises what went wrong."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": name, **values}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the device has died: {self.log[-500:]}")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["is"]

    def start(self, gateway: str, **changes: Any) -> None:
        """Open the spool, and connect to a gateway."""
        config = {**self._config, "spool_path": str(self.spool), "gateway": gateway, **changes}
        self.do("start", config=config)

    def stop(self) -> None:
        """Close link and spool in order."""
        self.do("stop")

    @property
    def status(self) -> dict[str, Any]:
        """Its status; empty before there is one."""
        return self.do("seen")["status"] or {}

    def keep(self, count: int) -> list[int]:
        """Put frames into its spool; their stamps, once they are there."""
        before = self.status.get("spooled_total", 0)
        stamps: list[int] = self.do("send", count=count, late=True)
        wait_until(lambda: self.status.get("spooled_total", 0) >= before + count)
        return stamps

    def drain(self) -> None:
        """Wait until its spool is empty."""

        def empty() -> bool:
            link = self.status.get("link", {})
            return bool(link.get("connected")) and not link["spooled"] + link["in_flight"]

        wait_until(empty, 60.0)

    def kill(self) -> None:
        """SIGKILL, and a new process that waits for a command."""
        self.close()
        self._start_process()

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()


@contextlib.contextmanager
def device(sites: Sites, keys: Path, name: str, **environment: str) -> Iterator[Device]:
    """A device that ends with the block."""
    made = Device(sites.folder(f"device-{time.monotonic_ns()}"), keys, name, **environment)
    try:
        yield made
    finally:
        made.close()


@contextlib.contextmanager
def beside(sites: Sites, record: Record, attacked: Attacked) -> Iterator[None]:
    """Watch a healthy device of the shared gateway meanwhile; the memory is the attacked one's."""
    with sites.site().watched(record, least_s=sites.least_s):
        attacked.forget_peak()
        before, pid, most = attacked.memory, attacked.pid, 0
        yield
        if attacked.pid == pid:  # a new process has a peak of its own
            most = attacked.memory_most
    record.memory_before, record.memory_after = before, attacked.memory
    record.memory_most = max(most, record.memory_after)


def main() -> None:
    """Carry out commands until there are no more."""
    log_to_stderr("info")
    logging.getLogger("websockets").setLevel(logging.WARNING)
    worker = Worker()
    for line in sys.stdin:
        try:
            answer = {"is": worker.do(json.loads(line))}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
