"""Traffic on the device, measured:

    python -m bench.traffic counts [--bundle BUNDLE] [--out bench/results/traffic.json]
    python -m bench.traffic plates [--reader READER] [--finder FINDER] [--out FILE]
    python -m bench.traffic vote [--reader READER] [--out FILE]
    python -m bench.traffic cascade [--bundle BUNDLE] [--out FILE]

counts: the video of a crossing at 30, 10 and 5 frames a second, against a count by eye
(`traffic_counts.yaml`). plates: recall of plates at an IoU of 0.5, and exact readings of single
photographs, with and without O, Q = 0 and I = 1 folded. vote: what the readings of a track tell
together, of drawn tracks and of that video. cascade: how long each part takes on one
core for drawn pictures of 1280x720, and frames a second with all of them. Prints JSON; with --out
the part is put into that file beside what was measured before, and the bars are worked out.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from bench.bars import judged
from bench.traffic_vote import FOLD, iou, vote
from mastra_ros.camera.drawn.crossing import Crossing as Drawn
from mastra_ros.camera.drawn.crossing import CrossingOptions
from mastra_ros.config import TrafficConfig, build
from mastra_ros.inference.bundle import load_bundle
from mastra_ros.inference.detector import Detector
from mastra_ros.pipeline.traffic.counting.crossings import Crossings
from mastra_ros.pipeline.traffic.device import TrafficDevice
from mastra_ros.pipeline.traffic.device.cascade import PlateCascade
from mastra_ros.pipeline.traffic.plates.countries import COUNTRIES
from mastra_ros.pipeline.traffic.plates.formats import formats_of, formatted
from mastra_ros.pipeline.traffic.plates.reading import Reading
from mastra_ros.pipeline.traffic.site.file import load_site
from mastra_ros.pipeline.traffic.tracks import Tracker
from mastra_ros.privacy.finders.region import PLATE
from mastra_ros.types import Detections, Frame, FrameKey

HERE = Path(__file__).parent
TRIED, NEARER = 4, 3.0
UNIONS = {"eu": tuple(one for one in COUNTRIES if one != "us"), "us": ("us",)}
"""One union of formats a set: of all European countries that are known, and of all states."""


def counts(data: Path, bundle: str) -> dict[str, Any]:
    """Counts by lane and direction at three rates, beside the count by eye."""
    detector = Detector.open(load_bundle(bundle), "local", score_threshold=0.1)
    capture = cv2.VideoCapture(str(data / "videos/crossing.mp4"))
    found: list[Detections] = []
    spent: list[float] = []
    while True:
        ok, image = capture.read()
        if not ok:
            break
        frame = Frame(FrameKey("bench", len(found) + 1), np.asarray(image, np.uint8))
        began = time.process_time()
        found.append(detector.detect(frame))
        spent.append((time.process_time() - began) * 1e3)
    site = load_site(HERE / "traffic_crossing.yaml")
    truth = yaml.safe_load((HERE / "traffic_counts.yaml").read_text())["lanes"]
    told: dict[str, Any] = {
        "by_eye": {f"{lane} {t['direction']}": len(t["frames"]) for lane, t in truth.items()},
        "detector_cpu_ms": round(float(np.median(spent)), 1),
    }
    for step in (1, 3, 6):
        tracker, crossings = Tracker(), Crossings(site)
        got: dict[str, int] = {}
        for n in range(0, len(found), step):
            views = tracker.update(n * 10**9 // 30 + 1, found[n], (640, 360))
            for passed in crossings.update(views):
                if passed.view.type != "person":
                    name = f"{passed.lane} {passed.direction}"
                    got[name] = got.get(name, 0) + 1
        told[f"fps_{30 // step}"] = got
        told[f"equal_{30 // step}"] = got == told["by_eye"]
    return told


def plates(data: Path, reader: str, finder: str) -> dict[str, Any]:
    """Recall and exact readings, a set each; and what the union of all formats makes of them."""
    told: dict[str, Any] = {"reader": reader, "finder": finder}
    every = formats_of(["all"])
    for name, union in UNIONS.items():
        values = {"plate_reader": reader, "plate_finder": finder, "plate_formats": union}
        cascade = PlateCascade.open(build(TrafficConfig, values))
        hits = exact = folded = by_all = total = 0
        for label in sorted((data / "plates" / name).glob("*.txt")):
            file, *box, text = label.read_text().strip().split("\t")
            x, y, w, h = (int(v) for v in box)
            image = np.asarray(cv2.imread(str(label.parent / file)), np.uint8)
            total += 1
            regions = [r for r in cascade.finder.find(image) if r.kind == PLATE]
            hits += any(
                iou((r.x, r.y, r.x + r.width, r.y + r.height), (x, y, x + w, y + h)) > 0.5
                for r in regions
            )
            regions.sort(key=lambda one: -one.score * one.width**0.5)
            read = [
                (cascade.read(image, (r.x, r.y, r.x + r.width, r.y + r.height)), r.width)
                for r in regions[:TRIED]
            ]
            said = _nearest(read, cascade.formats)
            exact += said == text
            folded += said.translate(FOLD) == text.translate(FOLD)
            by_all += _nearest(read, every).translate(FOLD) == text.translate(FOLD)
        told[name] = {
            "photographs": total,
            "recall": round(hits / total, 3),
            "exact": round(exact / total, 3),
            "exact_folded": round(folded / total, 3),
            "folded_by_all": round(by_all / total, 3),
        }
        cascade.close()
    return told


def _nearest(read: list[tuple[Reading, float]], formats: tuple[str, ...]) -> str:
    """The text of the nearest car's plate: of those that can be read as well the larger one."""
    best = ("", -np.inf)
    for reading, width_px in read:
        said = formatted(reading, formats)
        worth = said.worth + NEARER * float(np.log(width_px))
        if len(said.text) >= 4 and worth > best[1]:
            best = said.text, worth
    return best[0]


def cascade(bundle: str, frames: int = 60) -> dict[str, Any]:
    """Each part's time on one core; a plate is looked for on each frame where one is wanted."""
    cv2.setNumThreads(1)
    config = TrafficConfig()
    detector = Detector.open(load_bundle(bundle), "local", threads=1, score_threshold=0.1)
    device = TrafficDevice(config, load_site("config/traffic_crossing.yaml"), None)
    looker = PlateCascade.open(config)
    crossing = Drawn(CrossingOptions(seed=1, width_px=1280, height_px=720, rate_hz=10.0))
    spent: dict[str, list[float]] = {"vehicles": [], "tracks": [], "finding": [], "reading": []}
    whole: list[float] = []
    for n in range(frames):
        image = crossing.frame(n)[0]
        frame = Frame(FrameKey("bench", n + 1), image)
        times = [time.perf_counter()]
        found = detector.detect(frame)
        times.append(time.perf_counter())
        device.on_frame(n * 100_000_000 + 1, image, found)
        wanted = device.wanted()[:1]
        times.append(time.perf_counter())
        for one in wanted:
            looked = looker.look(image, one.box)
            spent["finding"].append(looked.finding_ms)
            if looked.box is not None:
                spent["reading"].append(looked.reading_ms)
            width_px = 0.0 if looked.box is None else looked.box[2] - looked.box[0]
            device.on_plate(one.track, width_px, looked.reading)
        times.append(time.perf_counter())
        spent["vehicles"].append((times[1] - times[0]) * 1e3)
        spent["tracks"].append((times[2] - times[1]) * 1e3)
        whole.append((times[3] - times[0]) * 1e3)
    looker.close()
    told = {name: _percentiles(values) for name, values in spent.items()}
    rate = 1e3 / float(np.mean(whole))
    return {**told, "whole": _percentiles(whole), "frames_per_s": round(rate, 1), "threads": 1}


def _percentiles(values: list[float]) -> dict[str, Any]:
    if not values:
        return {"count": 0}
    p50, p99 = (round(float(np.percentile(values, q)), 2) for q in (50, 99))
    return {"count": len(values), "p50_ms": p50, "p99_ms": p99}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=("counts", "plates", "vote", "cascade"))
    parser.add_argument("--bundle", default="models/traffic")
    parser.add_argument("--reader", default="own")
    parser.add_argument("--finder", default="plates_and_heads")
    parser.add_argument("--out", type=Path, help="file of results that the part is put into")
    args = parser.parse_args()
    if args.part == "cascade":
        made = cascade(args.bundle)
    else:
        data = Path(os.environ["MASTRA_DATA"])
        parts = {
            "counts": lambda: counts(data, args.bundle),
            "plates": lambda: plates(data, args.reader, args.finder),
            "vote": lambda: vote(data, args.bundle, args.reader),
        }
        made = parts[args.part]()
    print(json.dumps(made, indent=1))
    if args.out is not None:
        keep(args.out, args.part, made)


def _who(made: dict[str, Any]) -> tuple[str, ...]:
    return made["reader"], made.get("finder", "")


def keep(path: Path, part: str, made: dict[str, Any]) -> None:
    """Put a part into the file of results; of plates and votes each reader and finder has a row."""
    kept = json.loads(path.read_text("utf-8")) if path.exists() else {}
    kept["machine"] = {"cpus": os.cpu_count(), "processor": platform.machine()}
    if part in ("plates", "vote"):
        others = [one for one in kept.get(part, []) if _who(one) != _who(made)]
        kept[part] = [*others, made]
    else:
        kept[part] = made
    path.write_text(json.dumps(judged("traffic", kept), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
