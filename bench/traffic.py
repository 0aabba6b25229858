"""Traffic on the device, measured:

    python -m bench.traffic counts [--bundle BUNDLE]
    python -m bench.traffic plates [--reader READER] [--finder FINDER]

counts: the video of a crossing at 30, 10 and 5 frames a second, against a count by eye
(`traffic_counts.yaml`). plates: recall of plates at an IoU of 0.5, and exact readings of single
photographs, with and without O, Q = 0 and I = 1 folded. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from mastra_ros.config import TrafficConfig, build
from mastra_ros.inference.bundle import load_bundle
from mastra_ros.inference.detector import Detector
from mastra_ros.pipeline.traffic.counting.crossings import Crossings
from mastra_ros.pipeline.traffic.device.cascade import PlateCascade
from mastra_ros.pipeline.traffic.plates.formats import formats_of, formatted
from mastra_ros.pipeline.traffic.plates.rectify import cut_out, straightened
from mastra_ros.pipeline.traffic.site.file import load_site
from mastra_ros.pipeline.traffic.tracks import Tracker
from mastra_ros.privacy.finders.region import PLATE
from mastra_ros.types import Detections, Frame, FrameKey

HERE = Path(__file__).parent
FOLD = str.maketrans("OQI", "001")


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
    """Recall and exact readings, a set each."""
    config = build(TrafficConfig, {"plate_reader": reader, "plate_finder": finder})
    cascade = PlateCascade.open(config)
    formats = formats_of(["all"])
    told: dict[str, Any] = {"reader": reader, "finder": finder}
    for name in ("eu", "us"):
        hits = exact = folded = total = 0
        for label in sorted((data / "plates" / name).glob("*.txt")):
            file, *box, text = label.read_text().strip().split("\t")
            x, y, w, h = (int(v) for v in box)
            image = np.asarray(cv2.imread(str(label.parent / file)), np.uint8)
            total += 1
            regions = [r for r in cascade.finder.find(image) if r.kind == PLATE]
            hits += any(
                _iou((r.x, r.y, r.x + r.width, r.y + r.height), (x, y, x + w, y + h)) > 0.5
                for r in regions
            )
            if not regions:
                continue
            r = max(regions, key=lambda one: one.score)
            plate = straightened(cut_out(image, (r.x, r.y, r.x + r.width, r.y + r.height)))
            said = formatted(cascade.reader.read([plate])[0], formats).text
            exact += said == text
            folded += said.translate(FOLD) == text.translate(FOLD)
        told[name] = {
            "photographs": total,
            "recall": round(hits / total, 3),
            "exact": round(exact / total, 3),
            "exact_folded": round(folded / total, 3),
        }
    cascade.close()
    return told


def _iou(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    across = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    down = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = sum((c[2] - c[0]) * (c[3] - c[1]) for c in (a, b))
    return across * down / (areas - across * down)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=("counts", "plates"))
    parser.add_argument("--bundle", default="models/traffic")
    parser.add_argument("--reader", default="own")
    parser.add_argument("--finder", default="plates_and_heads")
    args = parser.parse_args()
    data = Path(os.environ["MASTRA_DATA"])
    made = (
        counts(data, args.bundle)
        if args.part == "counts"
        else plates(data, args.reader, args.finder)
    )
    print(json.dumps(made, indent=1))


if __name__ == "__main__":
    main()
