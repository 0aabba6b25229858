"""Ages of results under ROS: all the nodes in one process, and a process a node.

    python -m bench.launch_ages [--repetitions 5] [--out bench/results/launch_ages.json]

Starts the processes that `ros2 launch mastra_ros factory_inspection.launch.py` starts, with
`composed:=true` and `composed:=false`, and listens to `result`. The two ways take turns. All is
inferred on the device, so the frames go the same way in both. Needs no launch.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
import yaml

from bench.bars import AT_MOST, Bar
from mastra_ros.msg import InferenceResult
from mastra_ros.nodes.run.compose import ORDER

SIZES = ((640, 480), (1920, 1080))
RATE_HZ = 10.0
SKIPPED = 50
"""First results left out: everything is still starting."""
FRAMES = 80
LIMIT_S = 120.0
STOP_S = 20.0
NAMESPACE = "launch_ages"
WAYS: dict[str, tuple[str, ...]] = {"composed": ("run.composed",), "apart": ORDER}
JUDGED = "1920x1080"
DRAWN = {"mode": "off", "reason": "boards that are drawn"}
APART_MAX = 2.0
"""The bar: apart, a result may be so many times as old as in one process."""


@contextlib.contextmanager
def running(modules: tuple[str, ...], parameters: dict[str, Any]) -> Iterator[None]:
    """These entry points of `mastra_ros.nodes` as processes, until the block ends."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "parameters.yaml"
        file.write_text(
            yaml.safe_dump({f"/**/{n}": {"ros__parameters": v} for n, v in parameters.items()})
        )
        processes = [
            subprocess.Popen(
                [
                    *(sys.executable, "-c"),
                    f"from mastra_ros.nodes.{module} import main; raise SystemExit(main())",
                    *("--ros-args", "-r", f"__ns:=/{NAMESPACE}", "--params-file", str(file)),
                    *("--log-level", "warn"),
                ]
            )
            for module in modules
        ]
        try:
            yield
        finally:
            for process in processes:
                process.send_signal(signal.SIGINT)
            for process in processes:
                process.wait(STOP_S)


def ages(way: str, width_px: int, height_px: int) -> dict[str, float]:
    """Percentiles of the ages of some results, and how often a frame had none or two."""
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("listener", namespace=NAMESPACE, context=context)
    executor = rclpy.executors.SingleThreadedExecutor(context=context)
    executor.add_node(node)
    results: list[Any] = []
    node.create_subscription(InferenceResult, "result", results.append, 200)
    camera = {
        "source": f"synthetic:pcb?seed=5&width={width_px}&height={height_px}",
        "rate_hz": RATE_HZ,
    }
    began = time.monotonic()
    with running(
        WAYS[way], {"camera": camera, "scheduling": {"policy": "fixed"}, "privacy": DRAWN}
    ):
        while len(results) < SKIPPED + FRAMES:
            if time.monotonic() - began > LIMIT_S:
                raise RuntimeError(f"{way}: {len(results)} results in {LIMIT_S:g} s")
            executor.spin_once(timeout_sec=0.1)
    executor.shutdown()
    node.destroy_node()
    rclpy.shutdown(context=context)
    taken = results[SKIPPED : SKIPPED + FRAMES]
    stamps_ms = [m.header.stamp.sec * 1e3 + m.header.stamp.nanosec / 1e6 for m in taken]
    return {
        "age_p50_ms": float(np.percentile([m.age_ms for m in taken], 50)),
        "age_p99_ms": float(np.percentile([m.age_ms for m in taken], 99)),
        "inference_p50_ms": float(np.percentile([m.inference_ms for m in taken], 50)),
        "missing": round((stamps_ms[-1] - stamps_ms[0]) * RATE_HZ / 1e3) + 1 - len(set(stamps_ms)),
    }


def measure(repetitions: int) -> list[dict[str, Any]]:
    """All sizes; the ways take turns."""
    rows = []
    for width_px, height_px in SIZES:
        pairs = []
        for repetition in range(repetitions):
            order = list(WAYS) if repetition % 2 == 0 else list(WAYS)[::-1]
            pairs.append({way: ages(way, width_px, height_px) for way in order})
            print(f"{width_px}x{height_px} {repetition + 1}/{repetitions}", flush=True)
        row: dict[str, Any] = {"size": f"{width_px}x{height_px}", "rate_hz": RATE_HZ}
        for way in WAYS:
            row[way] = {
                name: round(statistics.median(pair[way][name] for pair in pairs), 2)
                for name in pairs[0][way]
            }
        row["ratio"] = round(
            statistics.median(
                p["apart"]["age_p50_ms"] / p["composed"]["age_p50_ms"] for p in pairs
            ),
            2,
        )
        row["ratios"] = [
            round(p["apart"]["age_p50_ms"] / p["composed"]["age_p50_ms"], 2) for p in pairs
        ]
        rows.append(row)
    return rows


def bars(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is to hold."""
    what = "age of a result apart (p50), times that in one process"
    return [
        Bar(f"{row['size']}: {what}", row["ratio"], AT_MOST, APART_MAX).to_json()
        for row in rows
        if row["size"] == JUDGED
    ]


def main() -> int:
    """Measure and write the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("bench/results/launch_ages.json"))
    options = parser.parse_args()
    rows = measure(options.repetitions)
    told = {
        "command": "python -m bench.launch_ages",
        "machine": {"cpus": os.cpu_count(), "processor": platform.machine()},
        "repetitions": options.repetitions,
        "rows": rows,
        "bars": bars(rows),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(told, indent=2) + "\n")
    print(json.dumps(told["bars"], indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
