"""Bytes and agreement of every codec and of ours, as rate-accuracy curves a scene.

    python -m bench.compression [--part times|curves|all] [--scenes cars,line] [--curves auto,JPEG]
                                [--qualities 60,70] [--out bench/results/compression.json]

Needs MASTRA_DATA. `times`: encoding and decoding of the first TIMED frames of each scene at each
setting on one core, and of each encoder that `auto` may choose; about 5 minutes, for a quiet
machine. `curves`: bytes, F, PSNR; about 30 minutes on one core, which may be busy, since `auto`
is told the times that `times` has taken. What a plain codec makes of a scene is kept in a folder
of temporary files, so a second run takes about a third. Scenes can be run one by one into one
file. Then ours against the best codec (`compression_compare`): of the plain settings that keep the
time limits on this machine, the best for the scene, chosen by who knows it; ours is `auto`, which
does not. The scenes `unseen-...` are held out: nothing was chosen on them. All figures are without
transport headers; those of our packets stand in `header_bytes`. Plain codecs have a key frame each
60 frames.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import platform
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

import av
import cv2
import numpy as np

from bench.bars import judged
from bench.compression_clock import Replay, table_of
from bench.compression_codecs import KEY_EVERY, Ours, Run, Setting, Video, run, settings
from bench.compression_compare import P50_MS, P99_MS, Row, compared
from bench.compression_lossless import lossless
from bench.compression_scenes import SCENES, Judge, Picture, Scene, kept
from bench.compression_unseen import UNSEEN, frames_of
from mastra_ros.config.compression import VIDEO_QUALITY

VGA_PX = 640 * 480
TIMED = 150
QUALITIES = (25, 35, 45, 55, 60, 65, 70, 75, 80, 85)
"""Of ours; the royalty-free ones are every second of them."""
RIVAL, RIVAL_BETWEEN = "VP9 realtime 8", (16, 25, 35, 45)
RIVAL_OPTIONS = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "b": "0"}


def all_settings() -> list[Setting]:
    """All curves; the nearest rival's as dense as ours, since each point is chance to 0.015 of F:
    a curve that is made to rise gains nothing by luck where it has as many points."""
    made = settings(QUALITIES)
    rival = next(s for s in made if s.curve == RIVAL)
    place = made.index(rival)
    return [*made[:place], *_between(), *made[place:]]


def _between() -> list[Setting]:
    """Levels between those that the rival's curve has anyway."""

    def at(level: int) -> Setting:
        given = {**RIVAL_OPTIONS, "crf": str(level)}
        make = functools.partial(_rival, given)
        return Setting(RIVAL, f"crf{level}", make)

    return [at(level) for level in RIVAL_BETWEEN]


def _rival(options: dict[str, str], shape: Sequence[int]) -> Video:
    return Video("libvpx-vp9", options, shape, KEY_EVERY)


def wanted(curves: Sequence[str], qualities: Sequence[str]) -> list[Setting]:
    """The settings of these curves (`royalty-free`: of auto), at these qualities or levels; all
    where none is named."""
    return [
        setting
        for setting in all_settings()
        if (not curves or setting.curve.split(", ")[-1] in curves)
        and (not qualities or setting.quality.split()[-1] in qualities)
    ]


def points_of(
    scene: Scene, frames: Sequence[Picture], data: Path, chosen: Sequence[Setting], table: Row
) -> list[Row]:
    """Each setting on a scene. table: what the encoders of `auto` take."""
    judge = Judge(scene, frames, data)
    rows = []
    for setting in chosen:

        def measured(setting: Setting = setting) -> Row:
            return _point(setting, judge, frames, table)

        # Plain encoders make the same of the same pictures in every run.
        row = kept(scene, frames, setting, measured) if setting.plain else measured()
        print(scene.name, json.dumps(row), flush=True)
        rows.append(row)
    return rows


def _point(setting: Setting, judge: Judge, frames: Sequence[Picture], table: Row) -> Row:
    found, likeness = [], []
    coder = setting.make(frames[0].shape)
    if isinstance(coder, Ours) and table:
        coder.use(Replay(table, coder.config.video_quality))
    done = Run()
    for number, image in run(coder, frames, done):
        if judge.wants(number):
            found += judge.looks(image)
            likeness.append(min(cv2.PSNR(image, frames[number]), 100.0))
    f = judge.f_score(found)
    row = {
        "curve": setting.curve,
        "quality": setting.quality,
        "plain": setting.plain,
        "bytes": round(statistics.mean(done.sizes), 1),
        "header_bytes": round(statistics.mean(done.headers), 1),
        "largest_bytes": max(done.sizes),
        "f": None if np.isnan(f) else round(f, 4),
        "psnr_db": round(statistics.mean(likeness), 2),
    }
    if isinstance(coder, Ours):
        row["coding"] = coder.encoder.in_force
    return row


def _in_order(points: Sequence[Row]) -> list[Row]:
    """As the settings stand; of others there are none any more."""
    place = {(s.curve, s.quality): number for number, s in enumerate(all_settings())}
    known = [p for p in points if (p["curve"], p["quality"]) in place]
    return sorted(known, key=lambda p: place[p["curve"], p["quality"]])


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


def rows_of(told: Row) -> list[Row]:
    """A scene a row, as the tables of numbers read it: ours by default, beside JPEG q85."""
    rows = []
    for name, scene in told["scenes"].items():
        if "points" not in scene:
            continue
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


def measure(
    part: str, names: Sequence[str], chosen: Sequence[Setting], data: Path, told: Row
) -> Row:
    """Fill in what was asked for."""
    for scene in (*SCENES, *UNSEEN):
        if names and scene.name not in names:
            continue
        frames = frames_of(scene, data)
        entry = told["scenes"].setdefault(scene.name, {})
        if part in ("times", "all"):
            entry["encoders"] = table_of(frames)
            times = entry.setdefault("times", {})
            for setting in chosen:
                times[f"{setting.curve}, {setting.quality}"] = timed(setting, frames)
        if part in ("curves", "all"):
            height, width = frames[0].shape[:2]
            entry |= {"frames": len(frames), "size": f"{width}x{height}"}
            if "encoders" not in entry:  # not taken yet: as they are beside what else runs
                entry["encoders"] = table_of(frames)
            points = points_of(scene, frames, data, chosen, entry["encoders"])
            anew = {(p["curve"], p["quality"]) for p in points}
            old = [p for p in entry.get("points", ()) if (p["curve"], p["quality"]) not in anew]
            entry["points"] = _in_order(old + points)
            if scene.name == "ultrasound":
                told["lossless"] = lossless(frames)
        for row in entry.get("points", ()):
            row |= entry.get("times", {}).get(f"{row['curve']}, {row['quality']}", {})
        if "points" in entry:
            points, detector = entry["points"], bool(scene.detector)
            entry["compared"] = compared(points, detector=detector, less=scene.less)
            print(scene.name, json.dumps(entry["compared"]), flush=True)
    return told


def main() -> int:
    """Measure and write the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--part", choices=("curves", "times", "all"), default="all")
    parser.add_argument("--scenes", default="", help="names with commas; all without")
    parser.add_argument("--curves", default="", help="names with commas; all without")
    parser.add_argument("--qualities", default="", help="60 or crf30, with commas; all")
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
    names, curves, qualities = (
        [name.strip() for name in given.split(",") if name]
        for given in (options.scenes, options.curves, options.qualities)
    )
    told = measure(options.part, names, wanted(curves, qualities), data, told)
    told["rows"] = rows_of(told)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(judged("compression", told), indent=2, allow_nan=False)
    options.out.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
