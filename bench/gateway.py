"""What the gateway adds to a model: frames/s and latency of `/v1/stream` beside a bare loop.

    python -m bench.gateway [--seconds 8] [--devices 1 4 16 64] [--out bench/results/gateway.json]

A real gateway process serves a bundle over TLS on loopback; N devices in another process send key
frames that were encoded beforehand, all of them different (`bench/serving/stream.py`), each keeping
two in flight, for some seconds. Measured are frames answered with result and acknowledgement (that
is, committed to disk) a second, the time from sending to acknowledgement, the processor time of
the gateway and of the clients for a frame, the gateway's memory before and after, and the round
trip of a heartbeat every 50 ms on a session of another process that sends no frames. Beside it:
the same model in ONNX Runtime's own interface, one prepared tensor, one thread, before and after.
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
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from websockets.asyncio.client import ClientConnection

import bench.pinned  # noqa: F401
from bench.attacks.healthy import open_websocket
from bench.bars import judged
from bench.serving.beside import measure as beside
from bench.serving.stream import IN_FLIGHT
from bench.tiny_model import TINY_PX, write_tiny_bundle
from mastra_ros.config import GatewayConfig
from mastra_ros.gateway.embedded import EmbeddedGateway
from mastra_ros.inference import load_bundle
from mastra_ros.inference.engines.reporting import load_onnxruntime
from mastra_ros.protocol import Heartbeat, HeartbeatAck, Hello, Message, Welcome, decode, encode
from mastra_ros.protocol.keys import add_device, init_keys

REAL = "models/board_defects"
DEVICE = "bench"
HEARTBEAT_S = 0.05
BOARD_PX = 640
BOARD_DEVICES_MAX = 16
"""More would wait for longer than a session without a word lasts."""


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


class Beating:
    """A session that sends heartbeats only."""

    def __init__(self, websocket: ClientConnection) -> None:
        self._websocket = websocket

    async def greet(self, stream: str) -> None:
        """Open the session."""
        await self._websocket.send(encode(Hello(1, DEVICE, stream)))
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


def heartbeats(port: int, keys: Path, stream: str, seconds: float) -> list[float]:
    """Round trips of heartbeats in ms; runs in a process of its own."""

    async def measure_them() -> list[float]:
        async with open_websocket(port, keys, DEVICE) as websocket:
            session = Beating(websocket)
            await session.greet(stream)
            return await session.beat(time.perf_counter() + seconds)

    return asyncio.run(measure_them())


def load(gateway: EmbeddedGateway, keys: Path, devices: int, px: int, args: Any) -> dict[str, Any]:
    """Drive the gateway with so many devices; what they saw."""
    process = psutil.Process(gateway.pid)
    before, memory_before = process.cpu_times(), process.memory_info().rss
    command = [sys.executable, "-m", "bench.serving.stream", str(gateway.port), str(keys), DEVICE]
    with (
        subprocess.Popen(
            [*command, str(devices), str(args.seconds), str(px)], stdout=subprocess.PIPE, text=True
        ) as sender,
        ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool,
    ):
        beats = pool.submit(heartbeats, gateway.port, keys, f"beat-{time.time_ns()}", args.seconds)
        told, _ = sender.communicate()
        beats_ms = beats.result()
    if sender.returncode:
        raise RuntimeError(f"the devices failed: {gateway.log_path.read_text()[-500:]}")
    seen = json.loads(told)
    after, frames = process.cpu_times(), len(seen["latencies_ms"])
    cpu_s = after.user + after.system - before.user - before.system
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
            round(process.memory_info().rss / 2**20, 1),
        ],
    }


def percentiles(values: list[float]) -> dict[str, float]:
    """Median, 99th percentile and maximum."""
    return {
        "p50": round(statistics.median(values), 2),
        "p99": round(float(np.percentile(values, 99)), 2),
        "max": round(max(values), 2),
    }


def measure(bundle: str, px: int, args: argparse.Namespace) -> dict[str, Any]:
    """One bundle: the bare loop, the gateway under each load, the bare loop again."""
    most = max(args.devices) + 8
    config = GatewayConfig(sessions_max=4 * most, sessions_device_max=2 * most)
    with tempfile.TemporaryDirectory() as folder:
        keys = Path(folder) / "keys"
        init_keys(keys, own_audience=True)
        add_device(keys, DEVICE)
        before = bare_fps(bundle, args.seconds / 2)
        with EmbeddedGateway(keys, [bundle], config=config) as gateway:
            runs = []
            for devices in args.devices:
                if px == BOARD_PX and devices > BOARD_DEVICES_MAX:
                    continue
                runs.append(load(gateway, keys, devices, px, args))
                print(json.dumps(runs[-1]), flush=True)
        after = bare_fps(bundle, args.seconds / 2)
    return {
        "frame": f"{px}x{px} mono8 jpeg key frames",
        "bare_runs_per_s": round(statistics.mean([before, after]), 1),
        "bare_before_after": [round(before, 1), round(after, 1)],
        "gateway": runs,
    }


def main() -> int:
    """Measure both models and write the report."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=8.0, help="of each run")
    parser.add_argument("--devices", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--only", choices=["tiny", "board_defects"], help="one of the models")
    parser.add_argument("--beside", type=Path, help="environment of others: serving/others.py")
    parser.add_argument("--out", type=Path, default=Path("bench/results/gateway.json"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tiny = str(write_tiny_bundle(Path(folder)))
        models = {"tiny": (tiny, TINY_PX), "board_defects": (REAL, BOARD_PX)}
        report = {
            "machine": {"cpu": platform.processor() or platform.machine(), "cores": os.cpu_count()},
            "python": platform.python_version(),
            "load_average": os.getloadavg()[0],
            "in_flight_each": IN_FLIGHT,
            "seconds": args.seconds,
            **{
                name: measure(*model, args)
                for name, model in models.items()
                if args.only in (None, name)
            },
        }
    if args.beside is not None:
        report["beside"] = beside(args.beside.absolute(), args.seconds, [*args.devices, 256])
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(judged("gateway", report), indent=2) + "\n")
    print(f"wrote {args.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
