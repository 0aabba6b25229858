"""The processes of bench.dashboard, and what is asked of them."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil

from bench.dashboard_scene import NAME, PASSWORD, Scene
from bench.tiny_model import TINY_PX, write_tiny_bundle
from mastra_ros.config import GatewayConfig
from mastra_ros.gateway.embedded import EmbeddedGateway
from mastra_ros.protocol.keys import add_device

DEVICE, DEVICES = "bench", 16
LIVE, LISTED = 50, 1000
PAST_S = 300
"""What the live devices tell of first: a page that has been open for long shows so much."""
QUIET_S = 16.0
"""After the last page has gone it is waited for to come back, and the gateway is still asked."""
MARGIN_S = 8.0
"""Pages look for longer than the load lasts, which starts meanwhile."""


class Rig:
    """The processes, and what is asked of them."""

    def __init__(self, folder: Path) -> None:
        names = (DEVICE, *(f"live-{n}" for n in range(LIVE)))
        self.folder = folder
        self._scene = Scene(folder, (), absent=names)
        config = GatewayConfig(sessions_max=4 * LIVE, sessions_device_max=2 * DEVICES)
        bundle = str(write_tiny_bundle(folder))
        self.gateway = self._scene.gateway = EmbeddedGateway(
            self._scene.keys, [bundle], state_dir=folder / "state", config=config
        )
        self.cookie = ""

    @contextlib.contextmanager
    def running(self) -> Iterator[Rig]:
        """Gateway and dashboard, somebody who has logged in, and devices that tell."""
        with self._scene, self.telling(LIVE, 0, PAST_S):
            url = self.url
            form = {"name": NAME, "password": PASSWORD}
            with httpx.Client(base_url=url, timeout=60) as client:
                client.post("/login", data=form, headers={"Origin": url})
                self.cookie = str(client.cookies["mastra_session"])
            yield self

    @property
    def keys(self) -> Path:
        """The folder of keys."""
        return self._scene.keys

    @property
    def url(self) -> str:
        """The dashboard's."""
        return self._scene.url

    @property
    def dashboard(self) -> psutil.Process:
        """Its process."""
        assert self._scene.process is not None
        return psutil.Process(self._scene.process.pid)

    @contextlib.contextmanager
    def telling(self, live: int, told: int, past_s: int) -> Iterator[None]:
        """Devices that tell statuses."""
        arguments = (self.gateway.port, self._scene.keys, live, told, past_s)
        with module("bench.dashboard_devices", *arguments, stdin=subprocess.PIPE) as process:
            yield
            assert process.stdin is not None
            process.stdin.close()
            process.wait(30)

    @contextlib.contextmanager
    def looking(self, pages: int, seconds: float) -> Iterator[dict[str, Any]]:
        """So many pages, of which the last half shows a device each; what they saw comes after."""
        seen: dict[str, Any] = {}
        if not pages:
            yield seen
            return
        with self.opened(pages, seconds) as process:
            before = cpu_s(psutil.Process(process.pid))
            client = psutil.Process(process.pid)
            yield seen
            seen["cpu_s"] = cpu_s(client) - before
            told, _ = process.communicate(timeout=seconds + 60)
            seen |= {"told": json.loads(told)}

    @contextlib.contextmanager
    def opened(
        self, pages: int, seconds: float, *, idle: bool = False, **options: Any
    ) -> Iterator[subprocess.Popen[str]]:
        """So many pages, half of them of a device each, beginning with one of these.

        idle: their clients run only where a processor is free.
        """
        paths = [("/", f"/device/live-{n // 2}")[1 - n % 2] for n in range(pages)]
        arguments = (*("--idle",) * idle, self.url, self.cookie, seconds, *paths)
        with module("bench.dashboard_pages", *arguments, **options) as process:
            yield process

    def load(self, pages: int, seconds: float) -> dict[str, Any]:
        """As many frames as there can be, while so many pages look."""
        command = [sys.executable, "-m", "bench.serving.stream", str(self.gateway.port)]
        command += [str(self._scene.keys), DEVICE, str(DEVICES), str(seconds), str(TINY_PX)]
        if not pages:
            time.sleep(QUIET_S)
        with self.looking(pages, seconds + MARGIN_S) as seen:
            before, began = cpu_s(self.dashboard), time.perf_counter()
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            spent_s, took_s = cpu_s(self.dashboard) - before, time.perf_counter() - began
        told = json.loads(done.stdout)
        cores = os.cpu_count() or 1
        return {
            "pages": pages,
            "frames_per_s": round(len(told["latencies_ms"]) / told["took_s"], 1),
            "p50_ms": round(float(np.percentile(told["latencies_ms"], 50)), 3),
            "p99_ms": round(float(np.percentile(told["latencies_ms"], 99)), 3),
            "refused": told["refused"],
            "dashboard_percent": round(100 * spent_s / took_s / cores, 2),
            "clients_percent": round(100 * seen.get("cpu_s", 0.0) / took_s / cores, 2),
            "bytes_a_page_per_s": _rate(seen.get("told")),
        }

    def list_many(self) -> None:
        """All of LISTED devices have keys and have told a status."""
        more = LISTED - LIVE - 1  # and the one that sends frames
        for n in range(more):
            add_device(self._scene.keys, f"told-{n}")
        with self.telling(0, more, 0):
            pass


@contextlib.contextmanager
def module(name: str, *arguments: Any, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """One of our own, once it has said `ready`."""
    command = [sys.executable, "-m", name, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if line.strip() != "ready":
                raise RuntimeError(f"{name} did not start: {line!r}")
            yield process
        finally:
            process.kill()


def cpu_s(process: psutil.Process) -> float:
    """Processor time that a process has taken so far."""
    spent = process.cpu_times()
    return float(spent.user + spent.system)


def _rate(told: dict[str, Any] | None) -> int:
    return round(told["bytes"] / told["took_s"] / told["pages"]) if told else 0
