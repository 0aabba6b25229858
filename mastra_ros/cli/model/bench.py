"""`mastra model bench`: how fast a bundle's models are on this machine."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from ...errors import ConfigError
from ..output import check_output, write_json

HELP = """\
Latency and throughput of each part by installed engine, threads and batch, beside the bare
runtime, and what joining frames into one run gains."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("bundle", metavar="BUNDLE", help="folder, or name of an installed bundle")
    parser.add_argument("--part", choices=("local", "cloud", "cloud_int8"), help="this one")
    parser.add_argument(
        "--engine",
        default="all",
        metavar="NAME,NAME",
        help="bundle (the part's own), litert, onnxruntime, openvino; default: all installed",
    )
    parser.add_argument("--threads", default="1,2", metavar="N,N", help="default: 1,2")
    parser.add_argument("--batch", default="1,4,8", metavar="N,N", help="default: 1,4,8")
    parser.add_argument("--runs", type=int, default=30, help="of each case; default: 30")
    parser.add_argument(
        "--delegate", default="xnnpack", help="of LiteRT: xnnpack, none or a library"
    )
    parser.add_argument(
        "--providers", default="CPUExecutionProvider", help="of ONNX Runtime, separated by commas"
    )
    parser.add_argument("--device", default="CPU", help="of OpenVINO: CPU, GPU, NPU, …")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there")


def run(args: argparse.Namespace) -> int:
    """Measure and print a table."""
    from ...inference import load_bundle
    from ...inference.opening import BUNDLE, SUFFIXES, EngineOptions
    from ...model.judge.bench import PARTS, bench
    from ...model.progress import Bar

    check_output(args.json, "--json")
    engines = () if args.engine == "all" else tuple(args.engine.split(","))
    if unknown := set(engines) - {BUNDLE, *SUFFIXES}:
        raise ConfigError(f"--engine: expected all, {BUNDLE}, {', '.join(SUFFIXES)}, got {unknown}")
    timings = bench(
        load_bundle(args.bundle),
        parts=(args.part,) if args.part else PARTS,
        engines=engines,
        threads=_numbers(args.threads, "--threads"),
        batches=_numbers(args.batch, "--batch"),
        runs=max(args.runs, 1),
        options=EngineOptions(
            delegate=args.delegate,
            providers=tuple(args.providers.split(",")),
            device=args.device,
        ),
        progress=Bar(),
    )
    head = "part       engine       threads batch  p50 ms  p99 ms frames/s"
    print(f"{head} | bare p50     p99 frames/s  gain")
    alone: dict[tuple[str, str, int], float] = {}
    for one in timings:
        first = alone.setdefault((one.part, one.engine, one.threads), one.frames_per_s)
        note = "" if one.joined or one.batch == 1 else " (one run a frame)"
        note += f" ({one.missing} is not in use: {one.providers})" if one.missing else ""
        print(
            f"{one.part:10} {one.engine:12} {one.threads:7} {one.batch:5} {one.p50_ms:7.2f} "
            f"{one.p99_ms:7.2f} {one.frames_per_s:8.1f} | {one.bare_p50_ms:8.2f} "
            f"{one.bare_p99_ms:7.2f} {one.bare_frames_per_s:8.1f} "
            f"{one.frames_per_s / first:5.2f}{note}"
        )
    print("gain: frames/s over those of the first batch size with the same threads")
    if args.json:
        rows = [{**asdict(one), "frames_per_s": one.frames_per_s} for one in timings]
        write_json(args.json, rows)
    return 0


def _numbers(text: str, option: str) -> list[int]:
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or not all(1 <= number <= 1024 for number in numbers):
        raise ConfigError(f"{option}: expected numbers of 1 to 1024 with commas, got {text!r}")
    return numbers
