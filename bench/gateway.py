"""What the gateway adds to a model, beside other inference servers with equal work, and alone.

    python -m bench.gateway --beside SERVING [--out bench/results/gateway.json]
    python -m bench.gateway --only tiny --devices 1 16 --rounds 1 --seconds 1 --out FILE

Real processes on loopback, all behind TLS 1.3, clients that send what was encoded beforehand, all
of it different (`bench/serving`). SERVING is the environment of Triton and mosec
(`bench/serving/others.py` says how to make it); without it only ours is measured. All servers meet
each number of clients in turn, `--rounds` times; `--seconds` is for a row, all rounds together,
and what is told is the median of the rounds.

`tiny` is a model of one pooling layer, so what is measured is the server. Of ours also: processor
time of gateway (all its processes) and clients a frame, memory, and the round trip of a heartbeat
every 50 ms on a session of another process that sends no frames. `board_defects` is the network of
the bundle: the whole gateway beside ONNX Runtime itself, one thread each; both decode the same JPEG
files.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import bench.pinned  # noqa: F401
from bench.bars import leave
from bench.serving.beside import measure as measure_tiny
from bench.serving.ours import load
from bench.serving.stream import IN_FLIGHT
from mastra_ros.config import GatewayConfig
from mastra_ros.gateway.embedded import EmbeddedGateway
from mastra_ros.inference import load_bundle
from mastra_ros.inference.engines.reporting import load_onnxruntime
from mastra_ros.protocol.keys import add_device, init_keys

REAL = "models/board_defects"
DEVICE = "bench"
BOARD_PX = 640
BOARD_DEVICES = 4
BOARD_ROUNDS_MAX = 3
BOARD_S_MIN = 3.0
"""Of one measurement; a frame takes about 0.1 s."""


def bare_fps(bundle_path: str, seconds: float) -> float:
    """Frames/s of ONNX Runtime itself on one thread: a JPEG decoded, and all views of it run."""
    onnxruntime = load_onnxruntime()
    bundle = load_bundle(bundle_path)
    part, spec = bundle.part("cloud"), bundle.input
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        str(part.path), options, providers=["CPUExecutionProvider"]
    )
    name = session.get_inputs()[0].name
    rng = np.random.default_rng(1)
    image = np.full((BOARD_PX, BOARD_PX), 90, np.uint8)
    for row, column in rng.integers(0, BOARD_PX // 8, (6, 2)) * 8:
        image[row : row + 8, column : column + 8] = rng.integers(256)
    file = np.frombuffer(cv2.imencode(".jpg", image)[1].tobytes(), np.uint8)
    tensor = np.zeros((part.views, 1, spec.height_px, spec.width_px), np.float32)

    def once() -> None:
        cv2.imdecode(file, cv2.IMREAD_GRAYSCALE)
        session.run(None, {name: tensor})

    once()
    runs, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        once()
        runs += 1
    return runs / (time.perf_counter() - started)


def measure_board(rounds: int, seconds: float) -> dict[str, Any]:
    """The board's network: alone and through the gateway, in turn."""
    each_s = max(seconds / rounds, BOARD_S_MIN)
    config = GatewayConfig(sessions_device_max=4 * BOARD_DEVICES, engine="onnxruntime", threads=1)
    alone, through = [], []
    with tempfile.TemporaryDirectory() as folder:
        keys = Path(folder) / "keys"
        init_keys(keys, own_audience=True)
        add_device(keys, DEVICE)
        with EmbeddedGateway(keys, [REAL], config=config) as gateway:
            for _ in range(rounds):
                alone.append(bare_fps(REAL, each_s))
                through.append(load(gateway, keys, DEVICE, BOARD_DEVICES, BOARD_PX, each_s))
                print("board_defects", round(alone[-1], 2), json.dumps(through[-1]), flush=True)
    shares = [one["frames_per_s"] / bare for one, bare in zip(through, alone, strict=True)]
    return {
        "frame": f"{BOARD_PX}x{BOARD_PX} mono8 jpeg key frames",
        "devices": BOARD_DEVICES,
        "alone_per_s": [round(one, 2) for one in alone],
        "gateway": through,
        "share_of_alone": round(statistics.median(shares), 4),
    }


def main() -> int:
    """Measure both models and write the report."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=6.0, help="of a row, all rounds together")
    parser.add_argument("--rounds", type=int, default=5, help="so often each row is measured")
    parser.add_argument("--devices", type=int, nargs="+", default=[1, 4, 16, 64, 256])
    parser.add_argument("--processes", type=int, default=2, help="gateway.processes, for `tiny`")
    parser.add_argument("--only", choices=["tiny", "board_defects"], help="one of the models")
    parser.add_argument("--beside", type=Path, help="environment of others: serving/others.py")
    parser.add_argument("--out", type=Path, default=Path("bench/results/gateway.json"))
    args = parser.parse_args()
    began_s = time.monotonic()
    report: dict[str, Any] = {
        "machine": {"cpu": platform.processor() or platform.machine(), "cores": os.cpu_count()},
        "python": platform.python_version(),
        "load_average": os.getloadavg()[0],
        "in_flight_each": IN_FLIGHT,
        "seconds": args.seconds,
        "rounds": args.rounds,
        "processes": args.processes,
    }
    if args.only in (None, "tiny"):
        venv = None if args.beside is None else args.beside.absolute()
        report |= measure_tiny(venv, args.seconds, args.devices, args.rounds, args.processes)
    if args.only in (None, "board_defects"):
        rounds = min(args.rounds, BOARD_ROUNDS_MAX)
        report["board_defects"] = measure_board(rounds, args.seconds)
    leave(args.out, "gateway", report, began_s)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
