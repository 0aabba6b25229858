"""Our gateway under the load of devices, and what its heartbeats take meanwhile."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import statistics
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from websockets.asyncio.client import ClientConnection

from bench.attacks.healthy import open_websocket
from mastra_ros.gateway.embedded import EmbeddedGateway
from mastra_ros.protocol import Heartbeat, HeartbeatAck, Hello, Message, Welcome, decode, encode

HEARTBEAT_S = 0.05


class Beating:
    """A session that sends heartbeats only."""

    def __init__(self, websocket: ClientConnection, device: str) -> None:
        self._websocket = websocket
        self._device = device

    async def greet(self, stream: str) -> None:
        """Open the session."""
        await self._websocket.send(encode(Hello(1, self._device, stream)))
        answer = await self._receive()
        if not isinstance(answer, Welcome):
            raise RuntimeError(f"expected Welcome, got {answer}")

    async def beat(self, until: float) -> list[float]:
        """Round trips in ms."""
        taken_ms: list[float] = []
        while time.perf_counter() < until:
            sent = time.perf_counter()
            await self._websocket.send(encode(Heartbeat(len(taken_ms), 0)))
            while not isinstance(await self._receive(), HeartbeatAck):
                pass
            taken_ms.append((time.perf_counter() - sent) * 1e3)
            await asyncio.sleep(HEARTBEAT_S)
        return taken_ms

    async def _receive(self) -> Message | None:
        data = await self._websocket.recv()
        if isinstance(data, str):
            raise RuntimeError("expected bytes")
        return decode(data)


def heartbeats(port: int, keys: Path, device: str, stream: str, seconds: float) -> list[float]:
    """Round trips of heartbeats in ms; runs in a process of its own."""

    async def measure_them() -> list[float]:
        async with open_websocket(port, keys, device) as websocket:
            session = Beating(websocket, device)
            await session.greet(stream)
            return await session.beat(time.perf_counter() + seconds)

    return asyncio.run(measure_them())


def load(
    gateway: EmbeddedGateway, keys: Path, device: str, devices: int, px: int, seconds: float
) -> dict[str, Any]:
    """Drive the gateway with so many devices; what they saw."""
    before_s, memory_before = _taken(gateway)
    command = [sys.executable, "-m", "bench.serving.stream", str(gateway.port), str(keys), device]
    with (
        subprocess.Popen(
            [*command, str(devices), str(seconds), str(px)], stdout=subprocess.PIPE, text=True
        ) as sender,
        ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool,
    ):
        beats = pool.submit(
            heartbeats, gateway.port, keys, device, f"beat-{time.time_ns()}", seconds
        )
        told, _ = sender.communicate()
        beats_ms = beats.result()
    if sender.returncode:
        raise RuntimeError(f"the devices failed: {gateway.log_path.read_text()[-500:]}")
    seen = json.loads(told)
    frames = len(seen["latencies_ms"])
    after_s, memory_after = _taken(gateway)
    cpu_s = after_s - before_s
    return {
        "devices": devices,
        "frames_per_s": round(frames / seen["took_s"], 1),
        "refused": seen["refused"],
        "latency_ms": percentiles(seen["latencies_ms"]),
        "heartbeat_ms": percentiles(beats_ms),
        "gateway_us_a_frame": round(cpu_s / frames * 1e6),
        "client_us_a_frame": round(seen["client_cpu_s"] / frames * 1e6),
        "memory_mib": [
            round(memory_before / 2**20, 1),
            round(memory_after / 2**20, 1),
        ],
    }


def _taken(gateway: EmbeddedGateway) -> tuple[float, int]:
    """Processor time in s and memory in bytes of the gateway and the processes that it has."""
    own = psutil.Process(gateway.pid)
    times_s, memory = 0.0, 0
    for one in (own, *own.children(recursive=True)):
        times = one.cpu_times()
        times_s += times.user + times.system
        memory += one.memory_info().rss
    return times_s, memory


def percentiles(values: list[float]) -> dict[str, float]:
    """Median, 99th percentile and maximum."""
    return {
        "p50": round(statistics.median(values), 2),
        "p99": round(float(np.percentile(values, 99)), 2),
        "max": round(max(values), 2),
    }
