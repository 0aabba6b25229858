"""What the gateway adds to a model: frames/s and latency of `/v1/stream` beside a bare loop.

    python -m bench.gateway [--seconds 8] [--devices 1 4 16] [--out bench/results/gateway.json]

A real gateway process serves a bundle over TLS on loopback; N devices in this process send
frames, each keeping two in flight, for some seconds. Measured are frames answered with result and
acknowledgement (that is, committed to disk) a second, the time from sending to acknowledgement,
and the round trip of a heartbeat every 50 ms on a session of another process that sends no
frames. Beside it: the same model in ONNX Runtime's own interface, one prepared tensor, one thread,
before and after.
`tiny` is a model of one pooling layer: what is measured there is the gateway itself.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import platform
import statistics
import tempfile
import time
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from websockets.asyncio.client import ClientConnection, connect

import bench.pinned  # noqa: F401
from bench.tiny_model import TINY_PX, write_tiny_bundle
from mastra_ros.camera.drawn.board import draw_board
from mastra_ros.compression import Encoder
from mastra_ros.config import CompressionConfig
from mastra_ros.gateway.embedded import EmbeddedGateway
from mastra_ros.inference import load_bundle
from mastra_ros.inference.engines.reporting import load_onnxruntime
from mastra_ros.privacy import hiding_nothing
from mastra_ros.protocol import (
    Ack,
    FrameMessage,
    Heartbeat,
    HeartbeatAck,
    Hello,
    Message,
    Nack,
    Welcome,
    decode,
    encode,
)
from mastra_ros.protocol.keys import add_device, init_keys, load_device_key
from mastra_ros.protocol.tls import client_context
from mastra_ros.protocol.tokens import sign_token
from mastra_ros.types import Frame, FrameKey

GATE = hiding_nothing("drawn pictures; nobody is on them")
REAL = "models/board_defects"
IN_FLIGHT = 2
HEARTBEAT_S = 0.05
FRAME_PX = (640, 480)


@dataclass
class Tally:
    """What the devices of one run have seen."""

    latencies_ms: list[float] = field(default_factory=list)
    refused: int = 0


def bare_fps(bundle_path: str, seconds: float) -> float:
    """Runs a second of ONNX Runtime itself on one thread."""
    onnxruntime = load_onnxruntime()

    bundle = load_bundle(bundle_path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        str(bundle.part("cloud").path), options, providers=["CPUExecutionProvider"]
    )
    sides = (1, 1, bundle.input.height_px, bundle.input.width_px)
    tensor = {session.get_inputs()[0].name: np.zeros(sides, np.float32)}
    for _ in range(3):
        session.run(None, tensor)
    runs, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        session.run(None, tensor)
        runs += 1
    return runs / (time.perf_counter() - started)


class Device:
    """One connection, past its greeting."""

    def __init__(
        self, websocket: ClientConnection, stream: str, picture: NDArray[np.uint8]
    ) -> None:
        self._websocket = websocket
        self._stream = stream
        self._encoder = Encoder(CompressionConfig(), stream)
        self._picture = picture
        self._sent_at: dict[int, float] = {}
        self._stamp_ns = 0

    async def send_frames(self, tally: Tally, until: float) -> None:
        """Keep `IN_FLIGHT` frames in flight; count the answers."""
        for _ in range(IN_FLIGHT):
            await self._send_frame()
        while self._sent_at:
            answer = await self._receive()
            if not isinstance(answer, (Ack, Nack)):
                continue
            now = time.perf_counter()
            sent = self._sent_at.pop(answer.stamp_ns)
            if isinstance(answer, Ack):
                tally.latencies_ms.append((now - sent) * 1e3)
            else:
                tally.refused += 1
            if now < until:
                await self._send_frame()

    async def beat(self, until: float) -> list[float]:
        """Send heartbeats only; their round trips in ms."""
        taken_ms: list[float] = []
        while time.perf_counter() < until:
            sent = time.perf_counter()
            await self._say(Heartbeat(len(taken_ms), 0))
            while not isinstance(await self._receive(), HeartbeatAck):
                pass
            taken_ms.append((time.perf_counter() - sent) * 1e3)
            await asyncio.sleep(HEARTBEAT_S)
        return taken_ms

    async def greet(self, device: str) -> None:
        """Open the session."""
        await self._say(Hello(1, device, self._stream))
        answer = await self._receive()
        if not isinstance(answer, Welcome):
            raise RuntimeError(f"expected Welcome, got {answer}")

    async def _send_frame(self) -> None:
        self._stamp_ns += 1
        frame = Frame(FrameKey(self._stream, self._stamp_ns), self._picture, "mono8")
        # Whole pictures: what is measured is the server, and a delta of a still picture is empty.
        packet = replace(self._encoder.encode(GATE.clear(frame), late=True), late=False)
        self._sent_at[self._stamp_ns] = time.perf_counter()
        await self._say(FrameMessage.from_packet(packet))

    async def _say(self, message: Message) -> None:
        await self._websocket.send(encode(message))

    async def _receive(self) -> Message | None:
        data = await self._websocket.recv()
        if isinstance(data, str):
            raise RuntimeError("expected bytes")
        return decode(data)


async def open_device(
    port: int, keys: Path, stream: str, picture: NDArray[np.uint8], stack: AsyncExitStack
) -> Device:
    """Connect and greet; `stack` closes the connection."""
    token = sign_token("bench", load_device_key(keys, "bench"), "mastra-gateway")
    websocket = await stack.enter_async_context(
        connect(
            f"wss://127.0.0.1:{port}/v1/stream",
            ssl=client_context(keys / "ca.crt"),
            additional_headers={"Authorization": f"Bearer {token}"},
            compression=None,
            proxy=None,
            ping_interval=None,
        )
    )
    device = Device(websocket, stream, picture)
    await device.greet("bench")
    return device


def heartbeats(port: int, keys: Path, stream: str, seconds: float) -> list[float]:
    """Round trips of heartbeats in ms; runs in a process of its own."""

    async def measure_them() -> list[float]:
        async with AsyncExitStack() as stack:
            nothing = np.zeros((1, 1), np.uint8)
            device = await open_device(port, keys, stream, nothing, stack)
            return await device.beat(time.perf_counter() + seconds)

    return asyncio.run(measure_them())


async def load(
    port: int, keys: Path, devices: int, seconds: float, picture: NDArray[np.uint8], pool: Executor
) -> dict[str, Any]:
    """Drive the gateway with so many devices; what they saw."""
    tally = Tally()
    run = f"{devices}-{time.monotonic_ns()}"
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        senders = [
            await open_device(port, keys, f"{run}-{i}", picture, stack) for i in range(devices)
        ]
        beating = loop.run_in_executor(pool, heartbeats, port, keys, f"{run}-beat", seconds)
        started = time.perf_counter()
        until = started + seconds
        await asyncio.gather(*(device.send_frames(tally, until) for device in senders))
        took_s = time.perf_counter() - started
        beats_ms = await beating
    return {
        "devices": devices,
        "frames_per_s": round(len(tally.latencies_ms) / took_s, 1),
        "refused": tally.refused,
        "latency_ms": percentiles(tally.latencies_ms),
        "heartbeat_ms": percentiles(beats_ms),
    }


def percentiles(values: list[float]) -> dict[str, float]:
    """Median, 99th percentile and maximum."""
    return {
        "p50": round(statistics.median(values), 2),
        "p99": round(float(np.percentile(values, 99)), 2),
        "max": round(max(values), 2),
    }


def measure(bundle: str, picture: NDArray[np.uint8], args: argparse.Namespace) -> dict[str, Any]:
    """One bundle: the bare loop, the gateway under each load, the bare loop again."""
    with tempfile.TemporaryDirectory() as folder:
        keys = Path(folder) / "keys"
        init_keys(keys)
        add_device(keys, "bench")
        before = bare_fps(bundle, args.seconds / 2)
        spawn = multiprocessing.get_context("spawn")
        with (
            EmbeddedGateway(keys, [bundle]) as gateway,
            ProcessPoolExecutor(1, mp_context=spawn) as pool,
        ):
            pool.submit(percentiles, [0.0]).result()
            runs = [
                asyncio.run(load(gateway.port, keys, devices, args.seconds, picture, pool))
                for devices in args.devices
            ]
        after = bare_fps(bundle, args.seconds / 2)
    for run in runs:
        print(json.dumps(run))
    return {
        "frame": f"{picture.shape[1]}x{picture.shape[0]} mono8 jpeg key frames",
        "bare_runs_per_s": round(statistics.mean([before, after]), 1),
        "bare_before_after": [round(before, 1), round(after, 1)],
        "gateway": runs,
    }


def main() -> int:
    """Measure both models and write the report."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=8.0, help="of each run")
    parser.add_argument("--devices", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--out", type=Path, default=Path("bench/results/gateway.json"))
    args = parser.parse_args()
    board = draw_board(np.random.default_rng(5), *FRAME_PX, None).image
    with tempfile.TemporaryDirectory() as folder:
        tiny = str(write_tiny_bundle(Path(folder)))
        report = {
            "machine": {"cpu": platform.processor() or platform.machine(), "cores": os.cpu_count()},
            "python": platform.python_version(),
            "load_average": os.getloadavg()[0],
            "in_flight_each": IN_FLIGHT,
            "seconds": args.seconds,
            "tiny": measure(tiny, np.zeros((TINY_PX, TINY_PX), np.uint8), args),
            "board_defects": measure(REAL, board, args),
        }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(report, indent=2) + "\n")
    print(f"wrote {args.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
