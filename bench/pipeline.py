"""Result age and frames/s of `mastra run`, beside the bare engine loop on the same frames.

    python -m bench.pipeline [--engines bundle,auto] [--repetitions 5] [--build]
                             [--out bench/results/pipeline.json]

For each size, in turn and interleaved: the bare loop (read a frame, preprocess, run the engine,
decode; one thread, no ROS) and `mastra run` with everything on the device. Paced runs at
`PACED_HZ` give ages from capture to result; saturated runs give frames/s, where `mastra run` is
offered somewhat more than the bare loop takes. Both draw the same seeded frames, and drawing counts
for both. Each engine has rows of its own: those of engines that are not measured stay. With
--build, the time of set-up, build and test of what is committed is measured too, once, in a fresh
clone; without it the times measured before are kept.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import bench.pinned  # noqa: F401
from bench.bars import judged
from mastra_ros.camera import open_source
from mastra_ros.config import CameraConfig
from mastra_ros.inference import load_bundle
from mastra_ros.inference.choosing.auto import AutoDetector, open_detector
from mastra_ros.inference.choosing.kept import choices_folder

ROOT = Path(__file__).resolve().parents[1]
SIZES = ((640, 480), (1920, 1080))
PACED_HZ = 10.0
PACED_FRAMES = 60
OFFERED_TIMES = 1.15
OFFERED_S = 5.0
BARE_FRAMES = 200
"""Saturated: `mastra run` is offered so many times what the bare loop takes, for so long. With
less it would be held by its camera; with more it would draw frames only to supersede them."""
ENGINES = ("bundle", "auto")
BUNDLE = "models/board_defects"
CHOICE_S = 30.0


def source_uri(width_px: int, height_px: int) -> str:
    """The same seeded frames for both sides."""
    return f"synthetic:pcb?seed=5&width={width_px}&height={height_px}"


def bare(width_px: int, height_px: int, frames: int, rate_hz: float) -> dict[str, float]:
    """The loop that one would write by hand: no scheduling, no ROS, no one else to serve."""
    source = open_source(CameraConfig(source=source_uri(width_px, height_px), rate_hz=rate_hz))
    choices = choices_folder("")  # those of `mastra run`
    detector = open_detector(load_bundle(BUNDLE), ("local",), choices_dir=choices)
    detector.warm_up(3)
    if isinstance(detector, AutoDetector):
        detector.detect(source.read(timeout_s=5.0))
        detector.await_choice(CHOICE_S)
    ages_ms = []
    began = time.perf_counter()
    for index in range(frames):
        if rate_hz:
            time.sleep(max(0.0, began + index / rate_hz - time.perf_counter()))
        frame = source.read(timeout_s=5.0)
        captured = time.perf_counter()
        detector.detect(frame)
        ages_ms.append((time.perf_counter() - captured) * 1e3)
    elapsed_s = time.perf_counter() - began
    source.close()
    detector.close()
    return {
        "age_p50_ms": float(np.percentile(ages_ms, 50)),
        "age_p99_ms": float(np.percentile(ages_ms, 99)),
        "frames_per_s": frames / elapsed_s,
    }


def ours(width_px: int, height_px: int, frames: int, rate_hz: float) -> dict[str, float]:
    """`mastra run` as a user starts it, with the device alone."""
    with tempfile.TemporaryDirectory() as folder:
        report_path = Path(folder) / "report.json"
        command = [
            *(sys.executable, "-m", "mastra_ros.cli.main", "run", "factory_inspection"),
            *("--source", source_uri(width_px, height_px), "--gateway", "none", "--quiet"),
            *("--frames", str(frames), "--rate", str(rate_hz), "--report", str(report_path)),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"mastra run failed:\n{done.stdout}{done.stderr}")
        report: dict[str, Any] = json.loads(report_path.read_text())
    return {
        "age_p50_ms": report["age_ms"]["p50"],
        "age_p99_ms": report["age_ms"]["p99"],
        "frames_per_s": report["results"] / report["flow_s"],
        "superseded": report["superseded"],
    }


def medians(runs: list[dict[str, float]]) -> dict[str, float]:
    """Median of each figure."""
    return {name: round(statistics.median(run[name] for run in runs), 2) for name in runs[0]}


def measure(engine: str, repetitions: int) -> list[dict[str, Any]]:
    """All sizes and loads with one engine; ours and the bare loop take turns."""
    os.environ["MASTRA_ENGINE"] = engine
    return [
        row(engine, size, load, repetitions) for size in SIZES for load in ("paced", "saturated")
    ]


def row(engine: str, size: tuple[int, int], load: str, repetitions: int) -> dict[str, Any]:
    """One size under one load."""
    loads: dict[Any, tuple[int, float]] = {ours: (PACED_FRAMES, PACED_HZ)}
    loads[bare] = loads[ours]
    name = f"{size[0]}x{size[1]}"
    if load == "saturated":
        offered_hz = round(OFFERED_TIMES * bare(*size, BARE_FRAMES, 0.0)["frames_per_s"], 1)
        loads = {ours: (round(offered_hz * OFFERED_S), offered_hz), bare: (BARE_FRAMES, 0.0)}
    pairs = []
    for repetition in range(repetitions):
        order = (bare, ours) if repetition % 2 == 0 else (ours, bare)
        ran = {run: run(*size, *loads[run]) for run in order}
        pairs.append((ran[ours], ran[bare]))
        print(f"{engine} {name} {load} {repetition + 1}/{repetitions}", flush=True)
    our_median, bare_median = (medians([pair[side] for pair in pairs]) for side in (0, 1))
    return {
        "engine": engine,
        "size": name,
        "load": load,
        "offered_hz": loads[ours][1],
        "mastra": our_median,
        "bare": bare_median,
        "age_p50_added_ms": round(our_median["age_p50_ms"] - bare_median["age_p50_ms"], 2),
        "frames_per_s_ratio": round(
            statistics.median(a["frames_per_s"] / b["frames_per_s"] for a, b in pairs), 3
        ),
    }


def outer_environment() -> dict[str, str]:
    """This process's environment without what points into this checkout, as before env.sh."""
    kept = {}
    for name, value in os.environ.items():
        parts = [p for p in value.split(":") if not Path(p).is_relative_to(ROOT)]
        if parts:
            kept[name] = ":".join(parts)
    return kept


def build_times() -> dict[str, float]:
    """Set-up, set-up again, build alone, and test, in a fresh clone; seconds.

    The packages come from pip's cache if they are there: what the network takes is not ours.
    """
    steps = (
        ("setup_s", ("setup",)),
        ("setup_again_s", ("setup",)),
        ("build_s", ("clean", "setup")),
        ("test_s", ("test",)),
    )
    times = {}
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "mastra_ros"
        subprocess.run(["git", "clone", "-q", ".", str(clone)], check=True)  # noqa: S607
        for name, targets in steps:
            began = time.perf_counter()
            subprocess.run(
                ["make", *targets],  # noqa: S607
                cwd=clone,
                env=outer_environment(),
                check=True,
                stdout=subprocess.DEVNULL,
            )
            times[name] = round(time.perf_counter() - began, 1)
            print(f"{name} {times[name]:g}", flush=True)
    return times


def main() -> int:
    """Measure and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--engines", default=",".join(ENGINES), help="default: %(default)s")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--build", action="store_true", help="also time set-up, build and test")
    parser.add_argument("--out", type=Path, default=Path("bench/results/pipeline.json"))
    options = parser.parse_args()
    before = json.loads(options.out.read_text()) if options.out.exists() else {}
    rows = []
    for engine in options.engines.split(","):
        rows += measure(engine, options.repetitions)
    new = {row["engine"] for row in rows}
    kept = [row for row in before.get("rows", []) if row.get("engine", ENGINES[0]) not in new]
    told: dict[str, Any] = {
        "command": "python -m bench.pipeline",
        "machine": {"cpus": os.cpu_count(), "processor": platform.machine()},
        "repetitions": options.repetitions,
        "rows": sorted(kept + rows, key=lambda row: row.get("engine", ENGINES[0]) != ENGINES[0]),
    }
    if options.build:
        told["build"] = build_times()
    elif "build" in before:
        told["build"] = before["build"]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(judged("pipeline", told), indent=2) + "\n")
    print(json.dumps(told["rows"], indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
