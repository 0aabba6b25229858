"""What sending the least confident frames to the gateway gains: the curve that `mastra plan` uses.

    python -m bench.escalation [--data FOLDER] [--out bench/results/escalation.json]

Both models of the bundle look at every board of DeepPCB's val.txt. The boards are ordered by how
confident the device is (its lowest score among the detections; a board without any comes last),
and the least confident share takes the gateway's answer. F is DeepPCB's: class and IoU > 0.33.
The gain is the part of the gateway's advantage in F that is had, beside that of random boards,
which is the share itself. Prints lines for `escalation` in config/prices.yaml.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mastra_ros.camera.drawn.board import LABELS
from mastra_ros.inference import Detector, load_bundle
from mastra_ros.types import Detections, Frame, FrameKey
from train.data import Sample, read_ids, read_sample
from train.decode import Found, count

BUNDLE = "models/board_defects"
SHARES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)


def of_board(found: Detections, truth: Sample) -> tuple[int, int, int]:
    """Detections that are right, detections, and true defects of one board."""
    mine = Found(found.boxes, found.scores, found.classes.astype(np.int64))
    counts = count([mine], [(truth.boxes, truth.labels)], len(LABELS))
    return int(counts.right.sum()), int(counts.found.sum()), int(counts.true.sum())


def f_score(boards: Sequence[tuple[int, int, int]]) -> float:
    """Harmonic mean of precision and recall over boards."""
    right, found, true = (sum(column) for column in zip(*boards, strict=True))
    return float(2 * right / max(found + true, 1))


def measure(data: Path) -> dict[str, Any]:
    """F and gain by the share that is sent."""
    bundle = load_bundle(BUNDLE)
    detectors = {part: Detector.open(bundle, part) for part in ("local", "cloud")}
    counts: dict[str, list[tuple[int, int, int]]] = {"local": [], "cloud": []}
    confidence: list[float] = []
    for number, name in enumerate(read_ids(data, "val.txt")):
        sample = read_sample(data, name)
        frame = Frame(FrameKey("val", number), sample.image, "mono8")
        for part, detector in detectors.items():
            found = detector.detect(frame)
            counts[part].append(of_board(found, sample))
            if part == "local":
                confidence.append(float(found.scores.min()) if len(found) else 1.0)
    order = np.argsort(confidence, kind="stable")
    rows = []
    for share in SHARES:
        sent = {int(i) for i in order[: round(share * len(order))]}
        boards = [counts["cloud" if i in sent else "local"][i] for i in range(len(order))]
        rows.append({"share": share, "f_score": round(f_score(boards), 4)})
    low, high = rows[0]["f_score"], rows[-1]["f_score"]
    for row in rows:
        row["gain"] = round((row["f_score"] - low) / (high - low), 3) if high > low else 1.0
    return {"boards": len(order), "rows": rows}


def main() -> int:
    """Measure, write the JSON and print the curve."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    default = Path(os.environ.get("MASTRA_DATA", ".")) / "deeppcb"
    parser.add_argument("--data", type=Path, default=default, help="the folder deeppcb")
    parser.add_argument("--out", type=Path, default=Path("bench/results/escalation.json"))
    options = parser.parse_args()
    told = {"command": "python -m bench.escalation", "bundle": BUNDLE, **measure(options.data)}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(told, indent=2) + "\n")
    best = 0.0
    for row in told["rows"]:
        # A curve for planning rises, and promises no more than the gateway alone has.
        best = max(best, min(row["gain"], 1.0))
        print(f"  - [{row['share']}, {best:g}]  # F {row['f_score']:.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
