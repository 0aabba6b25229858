"""Measure the bundle: python -m train.evaluate --bundle DIR --data DIR [--part ...] [--write].

By DeepPCB's rule a detection is right if its class matches and IoU > 0.33; precision, recall and F
stand at the bundle's score threshold, which was chosen without val.txt. `--write` enters the
numbers into bundle.yaml and into the tables in README.md beside it. `--file` measures another file
in the part's place, e.g. the float model that the int8 one was made from.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

from mastra_ros.camera.drawn.board import LABELS
from train.bundle import read_bundle, threshold_of, write_bundle
from train.data import Sample, letterbox, read_ids, read_sample, synthetic_sample
from train.decode import Counts, count, decode, scores_of
from train.runner import Runner, open_runner

SYNTHETIC_SEED = 2026
SYNTHETIC_SIZES = {(640, 640): 100, (640, 480): 40, (1920, 1080): 40}
TIMED_RUNS = 100
START, END = "<!-- measured: start -->", "<!-- measured: end -->"


def measure(run: Runner, samples: list[Sample], threshold: float) -> Counts:
    """Counts per class on samples of any size."""
    found, truth = [], []
    for sample in samples:
        fitted = letterbox(sample)
        found.append(decode(*run(fitted.image)).above(threshold))
        truth.append((fitted.boxes, fitted.labels))
    return count(found, truth, len(LABELS))


def latencies_ms(run: Runner, sample: Sample) -> list[float]:
    """Times of the network alone on one thread, after ten runs of warm-up."""
    run.feed(sample.image)
    times = []
    for i in range(TIMED_RUNS + 10):
        start = time.perf_counter()
        run.invoke()
        if i >= 10:
            times.append(1000 * (time.perf_counter() - start))
    return times


def synthetic_samples(width_px: int, height_px: int) -> list[Sample]:
    """The drawn boards of one size, other ones than any seen in training."""
    rng = np.random.default_rng([SYNTHETIC_SEED, width_px, height_px])
    number = SYNTHETIC_SIZES[width_px, height_px]
    return [synthetic_sample(rng, width_px, height_px) for _ in range(number)]


def row(name: str, counts: Counts) -> str:
    """One line of the table."""
    precision, recall, f_score = scores_of(counts)
    return f"| {name} | {int(counts.true.sum())} | {precision:.4f} | {recall:.4f} | {f_score:.4f} |"


def one_class(counts: Counts, label: int) -> Counts:
    """The counts of one class."""
    at = slice(label, label + 1)
    return Counts(counts.right[at], counts.found[at], counts.true[at])


def evaluate(
    path: Path, threshold: float, data: Path, views: int = 1
) -> tuple[dict[str, Any], list[str]]:
    """Measurements for the bundle, and the lines of the model card."""
    run = open_runner(path, views)
    samples = [read_sample(data, name) for name in read_ids(data, "val.txt")]
    counts = measure(run, samples, threshold)
    lines = ["| boards | defects | precision | recall | F |", "| --- | --- | --- | --- | --- |"]
    lines.append(row(f"DeepPCB val.txt, {len(samples)} boards", counts))
    lines += [row(f"... {name}", one_class(counts, i)) for i, name in enumerate(LABELS)]
    precision, recall, f_score = scores_of(counts)
    values: dict[str, Any] = {
        "f_score": round(f_score, 4),
        "precision": round(precision, 4),
        "recall": round(recall, 4),
    }
    for (width, height), number in SYNTHETIC_SIZES.items():
        drawn = measure(run, synthetic_samples(width, height), threshold)
        lines.append(row(f"synthetic {width}x{height}, {number} boards", drawn))
        if (width, height) == (640, 640):
            values["synthetic_f_score"] = round(scores_of(drawn)[2], 4)
    times = latencies_ms(run, samples[0])
    values["latency_ms_1_thread"] = round(float(np.median(times)), 1)
    values["bytes"] = path.stat().st_size
    speed = f"median {np.median(times):.1f} ms, fastest {min(times):.1f} ms a frame"
    both = ", both views" if views > 1 else ""
    lines += ["", f"Score threshold {threshold:.2f}. One thread, network alone{both}: {speed}."]
    lines[-1] += f" {path.stat().st_size} bytes."
    return values, lines


def in_one_view(path: Path, threshold: float, data: Path) -> tuple[float, str]:
    """F on val.txt with one view of each frame, and a line of the model card."""
    samples = [read_sample(data, name) for name in read_ids(data, "val.txt")]
    f_score = scores_of(measure(open_runner(path), samples, threshold))[2]
    told = f"One view of each frame, score threshold {threshold:.2f}: F {f_score:.4f} on val.txt."
    return round(f_score, 4), told


def main() -> None:
    """Read the command line, measure, print, and write where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, required=True, help="folder of bundle.yaml")
    parser.add_argument("--data", type=Path, required=True, help="the folder deeppcb")
    parser.add_argument("--part", choices=("local", "cloud"))
    parser.add_argument("--file", type=Path, help="measure this file in the part's place")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    content = read_bundle(options.bundle)
    card: list[str] = []
    for part, entry in content["parts"].items():
        if options.part in (None, part):
            path = options.file or options.bundle / entry["file"]
            views = entry.get("views", 1)
            values, lines = evaluate(path, threshold_of(entry, views), options.data, views)
            if views > 1:
                once = in_one_view(path, threshold_of(entry, 1), options.data)
                values["f_score_1_view"], more = once
                lines += ["", more]
            entry["measurements"] = values
            card += [f"### {part}: `{path.name}`", "", *lines, ""]
            print("\n".join([f"{part}: {path.name}", *lines]), flush=True)
    if options.write:
        if options.part or options.file:
            parser.error("--write needs both parts of the bundle, so no --part and no --file")
        write_bundle(options.bundle, content)
        readme = options.bundle / "README.md"
        before, rest = readme.read_text().split(START)
        after = rest.split(END)[1]
        readme.write_text("\n".join([before + START, "", *card]) + END + after)


if __name__ == "__main__":
    main()
