"""What `Detector.detect` costs beside the bare runtime, and where its time goes.

    python -m bench.inference [--repetitions 7] [--runs 20] [--out bench/results/inference.json]

For each part of the bundle and each size of frame, run by run in turn: the bare loop
(LiteRT's or ONNX Runtime's own interface, one prepared tensor, nothing read from the outputs)
and `Detector.detect` on a drawn board (convert, resize, quantise, run, decode, suppress).
One thread each. A repetition counts with the medians of its runs; the ratio is taken within
each repetition, and the median of the repetitions is reported.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mastra_ros.camera.drawn.board import draw_board
from mastra_ros.inference import Bundle, Detector, load_bundle
from mastra_ros.inference.engines.reporting import load_onnxruntime
from mastra_ros.types import Frame, FrameKey

BUNDLE = "models/board_defects"
SIZES = ((640, 480), (640, 640), (1920, 1080))
ENCODINGS = ("mono8", "bgr8")


def bare_loop(bundle: Bundle, part_name: str) -> Callable[[], object]:
    """One run of the runtime itself, on one thread, without anything of ours around it."""
    part = bundle.part(part_name)
    rng = np.random.default_rng(1)
    sides = (bundle.input.height_px, bundle.input.width_px)
    if part.engine == "litert":
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(model_path=str(part.path), num_threads=1)
        interpreter.allocate_tensors()
        feed = interpreter.get_input_details()[0]
        outputs = [output["index"] for output in interpreter.get_output_details()]
        pixels = rng.integers(-128, 128, (1, *sides, 1)).astype(feed["dtype"])

        def invoke() -> object:
            interpreter.set_tensor(feed["index"], pixels)
            interpreter.invoke()
            return [interpreter.get_tensor(index) for index in outputs]

        return invoke
    onnxruntime = load_onnxruntime()

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        str(part.path), options, providers=["CPUExecutionProvider"]
    )
    tensor = {session.get_inputs()[0].name: rng.random((1, 1, *sides), np.float32)}
    return lambda: session.run(None, tensor)


def drawn_frame(width_px: int, height_px: int, encoding: str) -> Frame:
    """A seeded board with defects."""
    image = draw_board(np.random.default_rng(5), width_px, height_px, None).image
    if encoding == "bgr8":
        image = np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR), np.uint8)
    return Frame(FrameKey("bench", 1), image, encoding)


def median_ms_in_turn(
    first: Callable[[], object], second: Callable[[], object], runs: int
) -> tuple[float, float]:
    """The median times of two things that run alternately, so that both see the same machine."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(runs):
        for run, taken in zip((first, second), times, strict=True):
            started = time.perf_counter()
            run()
            taken.append((time.perf_counter() - started) * 1e3)
    return statistics.median(times[0]), statistics.median(times[1])


def compare(
    detector: Detector, bare: Callable[[], object], frame: Frame, repetitions: int, runs: int
) -> dict[str, Any]:
    """Ours and bare, run by run in turn."""
    stages: dict[str, list[float]] = {"pre_ms": [], "infer_ms": [], "post_ms": []}
    found = 0

    def ours() -> None:
        nonlocal found
        found = len(detector.detect(frame))
        for name, values in stages.items():
            values.append(getattr(detector.times, name))

    pairs = [median_ms_in_turn(ours, bare, runs) for _ in range(repetitions)]
    ratios = [mine / plain for mine, plain in pairs]
    return {
        "detect_ms": round(statistics.median(mine for mine, _ in pairs), 3),
        "bare_ms": round(statistics.median(plain for _, plain in pairs), 3),
        "ratio": round(statistics.median(ratios), 3),
        "ratio_min_max": [round(min(ratios), 3), round(max(ratios), 3)],
        "stages_ms": {name: round(statistics.median(v), 3) for name, v in stages.items()},
        "detections": found,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", default=BUNDLE)
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--runs", type=int, default=20, help="runs in a repetition")
    parser.add_argument("--out", type=Path, default=Path("bench/results/inference.json"))
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    bundle = load_bundle(arguments.bundle)
    results = []
    for part_name in bundle.parts:
        detector = Detector.open(bundle, part_name, threads=1)
        detector.warm_up(3)
        bare = bare_loop(bundle, part_name)
        for width_px, height_px in SIZES:
            for encoding in ENCODINGS:
                frame = drawn_frame(width_px, height_px, encoding)
                row = {
                    "part": part_name,
                    "frame": f"{width_px}x{height_px} {encoding}",
                    **compare(detector, bare, frame, arguments.repetitions, arguments.runs),
                }
                print(json.dumps(row))
                results.append(row)
        detector.close()
    report = {
        "machine": {"cpu": platform.processor() or platform.machine(), "cores": os.cpu_count()},
        "python": platform.python_version(),
        "load_average": os.getloadavg()[0],
        "bundle": f"{bundle.name} {bundle.version}",
        "repetitions": arguments.repetitions,
        "runs": arguments.runs,
        "results": results,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(report, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
