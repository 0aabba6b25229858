"""Gives a bundle the int8 form of its server's network, as a part of its own, judged."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from ...errors import ModelError
from ...inference import Bundle, BundlePart, Detector
from ...inference.bundle import FILE_NAME
from ...inference.contract import agree
from ...inference.engines.engine import Tensor
from ...inference.engines.onnx import OnnxEngine
from ...inference.feeder import Feeder
from ..dataset import Dataset
from ..judge.bench import compare
from ..judge.evaluate import WholeModel, above, answers, score
from ..judge.score import agreement
from ..progress import Progress, silent
from ..writer import BundleWriter
from .onnx_int8 import MAKERS, quantise_onnx

EXACT, PART = "cloud", "cloud_int8"
FILE = "cloud_int8.onnx"
THREADS = (1, 2)


@dataclass(frozen=True)
class Int8Options:
    """How to quantise the server's network, and what it may cost."""

    by: str = MAKERS[0]
    calibration: int = 200  # pictures
    max_loss: float = 0.02  # of accuracy, 0 to 1
    allow_loss: bool = False
    views: int = 0  # of the new part; 0: as many as the exact one's
    threshold: float | None = None  # None: the exact part's
    runs: int = 20  # of each model when it is timed
    replace: bool = False


def add_int8(
    bundle: Bundle,
    out: Path,
    data: Dataset,
    options: Int8Options,
    *,
    training: Dataset | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Write the bundle with the part `cloud_int8` to `out`, which may be its own folder.

    Args:
        data: what accuracy is measured on.
        training: what calibrates; without it pictures of `data`, which then do not count.

    Raises:
        ModelError: there is no ONNX model to begin with, it cannot be quantised, or it loses more
            than allowed.
    """
    exact = bundle.part(EXACT)
    if exact.path.suffix != ".onnx":
        raise ModelError(f"{exact.path}: expected an .onnx to quantise")
    if PART in bundle.parts and not options.replace:
        raise ModelError(f"{bundle.path}: has a part {PART} already; --replace makes it anew")
    used = (training or data).some(options.calibration)
    counted = data if training is not None else _others(data, used)
    with BundleWriter(out, replace=options.replace or _same(bundle, out)) as writer:
        tensors = list(calibration_feeds(bundle, exact, used, progress))
        quantise_onnx(exact.path, writer.path(FILE), tensors, by=options.by, progress=progress)
        folder = bundle.path.parent
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            if path.is_file() and name not in (FILE_NAME, FILE):
                shutil.copyfile(path, writer.path(name))
        document = _document(bundle, options)
        made = writer.describe(document)
        report = judge(made, counted, options, progress)
        report["by"], report["calibration_pictures"] = options.by, len(used)
        if report["loss"] > options.max_loss and not options.allow_loss:
            raise ModelError(
                f"{PART}: int8 loses {report['loss']:.4f} of an accuracy of "
                f"{report['parts'][EXACT]['accuracy']:.4f}, more than --max-loss "
                f"{options.max_loss:g}; --allow-loss keeps it"
            )
        document["parts"][PART]["measurements"] = {
            **report["parts"][PART],
            "loss": report["loss"],
            "agreement": report["agreement"],
            "speedup_1_thread": report["speedup"]["1_threads"],
        }
        writer.describe(document)
        writer.commit()
    return report


def calibration_feeds(
    bundle: Bundle, part: BundlePart, pictures: Dataset, progress: Progress = silent
) -> Iterator[Tensor]:
    """Each picture as the part's model is fed in service."""
    engine = OnnxEngine(part.path)
    try:
        feeder = Feeder(bundle.input, agree(bundle, part, engine).feed)
    finally:
        engine.close()
    size = engine.inputs[0].shape[0] or 1
    for i in progress(range(len(pictures)), "calibration pictures"):
        tensor, _ = feeder.batch([pictures.frame(i)] * size, size)
        yield tensor


def judge(
    bundle: Bundle, data: Dataset, options: Int8Options, progress: Progress = silent
) -> dict[str, Any]:
    """What int8 costs and gains: accuracy of both parts, loss, agreement, bytes, speed."""
    found, parts = {}, {}
    for name in (EXACT, PART):
        part = bundle.part(name)
        detector = Detector.open(bundle, name)
        given = answers(WholeModel(detector, sent=False), data, f"accuracy of {name}", progress)
        detector.close()
        one = score(name, given, data, threshold=part.score_threshold)
        found[name] = [above(answer.detections, part.score_threshold) for answer in given]
        parts[name] = {
            "bytes": part.path.stat().st_size,
            "accuracy": round(one.accuracy, 4),
            "precision": round(one.precision, 4),
            "recall": round(one.recall, 4),
        }
    report: dict[str, Any] = {"bundle": bundle.name, "pictures": len(data), "parts": parts}
    report["loss"] = round(parts[EXACT]["accuracy"] - parts[PART]["accuracy"], 4)
    report["agreement"] = round(agreement(found[EXACT], found[PART]), 4)
    report["size_ratio"] = round(parts[PART]["bytes"] / parts[EXACT]["bytes"], 4)
    report["speedup"] = {}
    for threads in progress(THREADS, "speed"):
        slow, fast = compare(bundle.part(EXACT), bundle.part(PART), threads, options.runs)
        for name, times in ((EXACT, slow), (PART, fast)):
            for percent in (50, 99):
                ms = round(float(np.percentile(times, percent)), 3)
                parts[name][f"p{percent}_ms_{threads}_threads"] = ms
        ratio = float(np.percentile(slow, 50) / np.percentile(fast, 50))
        report["speedup"][f"{threads}_threads"] = round(ratio, 2)
    return report


def table(report: Mapping[str, Any]) -> str:
    """The report to read."""
    pictures = f"{report['calibration_pictures']} pictures, judged on {report['pictures']}"
    lines = [
        f"{report['bundle']}: int8 by {report['by']}, calibrated on {pictures}",
        "",
        "| part | bytes | accuracy | p50 ms, 1 thread | 2 threads |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, one in report["parts"].items():
        times = f"{one['p50_ms_1_threads']:.2f} | {one['p50_ms_2_threads']:.2f}"
        lines.append(f"| {name} | {one['bytes']} | {one['accuracy']:.4f} | {times} |")
    speed = " / ".join(f"{report['speedup'][f'{n}_threads']:.2f}" for n in THREADS)
    told = [
        f"lost {100 * report['loss']:.2f} points",
        f"the same answers {report['agreement']:.1%}",
        f"{report['size_ratio']:.1%} of the bytes",
        f"{speed} times as fast",
    ]
    return "\n".join([*lines, "", "; ".join(told)])


def _others(data: Dataset, used: Dataset) -> Dataset:
    """The pictures that did not calibrate, where they are at least half."""
    gone = {sample.path for sample in used.samples}
    kept = tuple(sample for sample in data.samples if sample.path not in gone)
    return replace(data, samples=kept) if 2 * len(kept) >= len(data) else data


def _same(bundle: Bundle, out: Path) -> bool:
    return out.absolute() == bundle.path.parent.absolute()


def _document(bundle: Bundle, options: Int8Options) -> dict[str, Any]:
    """The bundle's own description, with the new part behind `cloud`."""
    document: dict[str, Any] = yaml.safe_load(bundle.path.read_text(encoding="utf-8"))
    given = dict(document["parts"][EXACT])
    part = {**given, "file": FILE, "engine": "onnxruntime", "model": f"{given['model']}_int8"}
    part.pop("measurements", None)
    if options.views:
        part["views"] = options.views
        seen = bundle.part(EXACT).seen(options.views)
        if "score_thresholds" not in part:
            part["score_threshold"] = seen.score_threshold
    if options.threshold is not None:
        part.pop("score_thresholds", None)
        part["score_threshold"] = options.threshold
    parts = {}
    for name, one in document["parts"].items():
        if name != PART:
            parts[name] = one
        if name == EXACT:
            parts[PART] = part
    document["parts"] = parts
    return document
