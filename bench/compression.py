"""Bytes and agreement of every codec and of ours, as rate-accuracy curves a scene.

    python -m bench.compression [--part curves|times|all] [--scenes cars,line]
                                [--curves auto,JPEG] [--out bench/results/compression.json]

Needs MASTRA_DATA. `curves`: bytes, F, PSNR; about 12 minutes on one core. `times`: encoding and
decoding of the first TIMED frames of each scene at each setting on one core, about 2 minutes, for
a quiet machine; it completes what `curves` has written. Then ours against the best codec: the best
of the plain settings that keep the time limits on this machine, chosen for the scene by who knows
it, at equal F; ours is `auto`, which does not know the scene. All figures are without transport
headers; those of our packets stand in `header_bytes`. Plain codecs have a key frame each 60 frames.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from bench.bars import judged
from bench.compression_codecs import Ours, Run, Setting, run, settings
from bench.compression_lossless import lossless
from bench.compression_scenes import SCENES, Judge, Picture, Scene, frames_of
from bench.curves import bytes_at
from mastra_ros.config.compression import VIDEO_QUALITY

VGA_PX = 640 * 480
TIMED = 150
P50_MS, P99_MS = 3.0, 10.0
"""Most that encoding a VGA frame may take on one core."""
DB = 40.0
"""At which codecs are compared where there is no detector."""
BESIDE = ("JPEG", "tiles")

Row = dict[str, Any]


def points_of(
    scene: Scene, frames: Sequence[Picture], data: Path, curves: Sequence[str]
) -> list[Row]:
    """Each setting on a scene."""
    judge = Judge(scene, frames, data)
    rows = []
    for setting in settings():
        if curves and setting.curve not in curves:
            continue
        found, likeness = [], []
        coder = setting.make(frames[0].shape)
        done = Run()
        for number, image in run(coder, frames, done):
            if judge.wants(number):
                found.append(judge.detect(image))
                likeness.append(min(cv2.PSNR(image, frames[number]), 100.0))
        row = {
            "curve": setting.curve,
            "quality": setting.quality,
            "plain": setting.plain,
            "bytes": round(statistics.mean(done.sizes), 1),
            "header_bytes": round(statistics.mean(done.headers), 1),
            "largest_bytes": max(done.sizes),
            "f": round(judge.f_score(found), 4) if scene.detector else None,
            "psnr_db": round(statistics.mean(likeness), 2),
        }
        if isinstance(coder, Ours):
            row["coding"] = coder.encoder.in_force
        print(scene.name, json.dumps(row), flush=True)
        rows.append(row)
    return rows


def timed(setting: Setting, frames: Sequence[Picture]) -> Row:
    """Times of one setting, of frames of the scene's size and as if they were VGA."""
    done = Run()
    for _ in run(setting.make(frames[0].shape), frames[:TIMED], done):
        pass
    vga = VGA_PX / (frames[0].shape[0] * frames[0].shape[1])
    p50, p99 = (float(np.percentile(done.encode_ms, share)) for share in (50, 99))
    return {
        "encode_p50_ms": round(p50, 2),
        "encode_p99_ms": round(p99, 2),
        "vga_p50_ms": round(p50 * vga, 2),
        "vga_p99_ms": round(p99 * vga, 2),
        "decode_p50_ms": round(statistics.median(done.decode_ms), 2),
        "decode_p99_ms": round(float(np.percentile(done.decode_ms, 99)), 2),
    }


def compared(scene: Scene, rows: Sequence[Row]) -> Row:
    """Ours against the best codec, at the F (or dB) of the bars."""
    value = "f" if scene.detector else "psnr_db"
    curves: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        if row["plain"] and row["curve"] not in BESIDE and not _in_time(row):
            continue
        curves.setdefault(row["curve"], []).append((row["bytes"], row[value]))
    jpeg = next((r for r in rows if r["curve"] == "JPEG" and r["quality"] == "q85"), None)
    wanted = DB if not scene.detector or jpeg is None else round(jpeg["f"] - scene.less, 4)
    plain = {r["curve"] for r in rows if r["plain"]} - set(BESIDE)
    at = {name: bytes_at(points, wanted) for name, points in curves.items()}
    best = min((name for name in at if name in plain), key=lambda name: at[name], default="")
    ours, free = at.get("auto", math.inf), at.get("auto, royalty-free", math.inf)
    told: Row = {"at": wanted, "unit": value, "best": best}
    told |= {"bytes": {name: round(size, 1) for name, size in at.items() if size < math.inf}}
    if best and at[best] < math.inf:
        told["ratio"] = round(ours / at[best], 3) if ours < math.inf else None
        told["ratio_royalty_free"] = round(free / at[best], 3) if free < math.inf else None
    if jpeg is not None and ours < math.inf:
        told["of_jpeg"] = round(ours / jpeg["bytes"], 4)
    everyone = {r["curve"] for r in rows if r["plain"]} - set(BESIDE)
    told["too_slow"] = sorted(everyone - set(curves))
    return told


def _in_time(row: Row) -> bool:
    p50_ms, p99_ms = (float(row.get(f"vga_{share}_ms", 0.0)) for share in ("p50", "p99"))
    return p50_ms <= P50_MS and p99_ms <= P99_MS


def rows_of(told: Row) -> list[Row]:
    """A scene a row, as the tables of numbers read it: ours by default, beside JPEG q85."""
    rows = []
    for name, scene in told["scenes"].items():
        found = {(p["curve"], p["quality"]): p for p in scene["points"]}
        ours, jpeg = found.get(("auto", f"quality {VIDEO_QUALITY}")), found.get(("JPEG", "q85"))
        if ours is None or jpeg is None:
            continue
        sides = {"mastra": ours, "jpeg": jpeg}
        made = {
            side: {"bytes_per_frame": p["bytes"], "f": p["f"], "psnr_db": p["psnr_db"]}
            for side, p in sides.items()
        }
        share = round(ours["bytes"] / jpeg["bytes"], 4)
        rows.append({"scene": name, "frames": scene["frames"], **made, "bytes_ratio": share})
    return rows


def measure(part: str, names: Sequence[str], curves: Sequence[str], data: Path, told: Row) -> Row:
    """Fill in what was asked for."""
    for scene in SCENES:
        if names and scene.name not in names:
            continue
        frames = frames_of(scene, data)
        entry = told["scenes"].setdefault(scene.name, {})
        if part in ("curves", "all"):
            height, width = frames[0].shape[:2]
            entry |= {"frames": len(frames), "size": f"{width}x{height}"}
            points = points_of(scene, frames, data, curves)
            if curves:
                points += [p for p in entry.get("points", ()) if p["curve"] not in curves]
            entry["points"] = points
            if not scene.detector:
                told["lossless"] = lossless(frames)
        if part in ("times", "all"):
            made = {(s.curve, s.quality): s for s in settings()}
            for row in entry["points"]:
                row |= timed(made[row["curve"], row["quality"]], frames)
        entry["compared"] = compared(scene, entry["points"])
        print(scene.name, json.dumps(entry["compared"]), flush=True)
    return told


def main() -> int:
    """Measure and write the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--part", choices=("curves", "times", "all"), default="all")
    parser.add_argument("--scenes", default="", help="names with commas; all without")
    parser.add_argument("--curves", default="", help="names with commas; all without")
    parser.add_argument("--out", type=Path, default=Path("bench/results/compression.json"))
    options = parser.parse_args()
    data = Path(os.environ.get("MASTRA_DATA", ""))
    if not (data / "videos").is_dir():
        print("bench.compression: set MASTRA_DATA to the folder of data sets", file=sys.stderr)
        return 2
    cv2.setNumThreads(1)
    if options.part == "times" and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    told: Row = {"scenes": {}}
    if options.out.exists():
        before = json.loads(options.out.read_text())
        told = before if "scenes" in before else told
    told |= {
        "command": "python -m bench.compression",
        "machine": {"cpus": os.cpu_count(), "processor": platform.machine()},
        "pyav": av.__version__,
        "opencv": cv2.__version__,
        "limits_ms": {"vga_p50": P50_MS, "vga_p99": P99_MS},
    }
    names, curves = (
        [name for name in given.split(",") if name] for given in (options.scenes, options.curves)
    )
    told = measure(options.part, names, curves, data, told)
    told["rows"] = rows_of(told)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(judged("compression", told), indent=2, allow_nan=False)
    options.out.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
