"""Measures the parts of a bundle that has just been made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ModelError
from ...inference import Bundle, BundlePart, Detector, open_engine
from ..dataset import Dataset
from ..judge.bench import compare
from ..judge.evaluate import Answer, WholeModel, above, answers, score
from ..judge.score import agreement
from ..layers import LayerError, cuts, layer_errors
from ..progress import Progress
from .options import Options

WORST_LAYERS = 5
THREADS = (1, 2)

Floats = NDArray[np.float32]


def measure(
    bundle: Bundle,
    exact: Path | None,
    data: Dataset,
    tensors: Sequence[Floats],
    options: Options,
    progress: Progress,
) -> dict[str, Any]:
    """The report on a bundle: what each part is worth, and what sets int8 apart from `exact`."""
    local = bundle.part("local")
    given: dict[str, list[Answer]] = {}
    parts: dict[str, dict[str, Any]] = {}
    whole = {part.name: part for part in bundle.parts.values()}
    if exact is not None:
        whole["float"] = replace(local, name="float", path=exact)
    for name, part in whole.items():
        engine = open_engine(part)
        detector = Detector(bundle, part, engine)
        way = WholeModel(detector, sent=name == "cloud")
        given[name] = answers(way, data, f"accuracy of {name}", progress)
        detector.close()
        one = score(name, given[name], data, threshold=part.score_threshold)
        parts[name] = {
            "bytes": part.path.stat().st_size,
            "accuracy": round(one.accuracy, 4),
            "precision": round(one.precision, 4),
            "recall": round(one.recall, 4),
        }
    report: dict[str, Any] = {
        "bundle": bundle.name,
        "pictures": len(data),
        "parts": parts,
        "accuracy_float": parts["float"]["accuracy"] if exact else None,
        "accuracy_int8": parts["local"]["accuracy"],
        "loss": None,
        "agreement": None,
        "cuts": [asdict(cut) for cut in cuts(exact or local.path)],
        "layers": [],
    }
    if exact is not None:
        _compare(report, bundle, whole["float"], given, tensors, options, progress)
    return report


def _compare(
    report: dict[str, Any],
    bundle: Bundle,
    exact: BundlePart,
    given: dict[str, list[Answer]],
    tensors: Sequence[Floats],
    options: Options,
    progress: Progress,
) -> None:
    """Add to the report what sets int8 apart from float: loss, agreement, speed, layers."""
    local, parts = bundle.part("local"), report["parts"]
    found = {
        name: [above(a.detections, local.score_threshold) for a in given[name]]
        for name in ("float", "local")
    }
    report["loss"] = round(report["accuracy_float"] - report["accuracy_int8"], 4)
    report["agreement"] = round(agreement(found["float"], found["local"]), 4)
    report["size_ratio"] = round(parts["local"]["bytes"] / parts["float"]["bytes"], 4)
    report["speedup"] = {}
    for threads in progress(THREADS, "speed"):
        slow, fast = compare(exact, local, threads, options.runs)
        for name, times in (("float", slow), ("local", fast)):
            parts[name][f"p50_ms_{threads}_threads"] = round(float(np.percentile(times, 50)), 3)
            parts[name][f"p99_ms_{threads}_threads"] = round(float(np.percentile(times, 99)), 3)
        ratio = float(np.percentile(slow, 50) / np.percentile(fast, 50))
        report["speedup"][f"{threads}_threads"] = round(ratio, 2)
    if tensors and options.quantise != "none":
        worst: list[LayerError] = layer_errors(exact.path, local.path, tensors, progress)
        report["layers"] = [asdict(one) for one in worst]


def refuse(report: dict[str, Any], options: Options) -> None:
    """Raise ModelError where int8 loses more than allowed, with the layers that suffer most."""
    loss = report["loss"]
    if loss is None or options.allow_loss or loss <= options.max_loss:
        return
    worst = ", ".join(
        f"{one['layer']} ({one['operator']}, {one['sqnr_db']:.1f} dB)"
        for one in report["layers"][:WORST_LAYERS]
    )
    raise ModelError(
        f"int8 loses {loss:.4f} of an accuracy of {report['accuracy_float']:.4f}, more than "
        f"--max-loss {options.max_loss:g}; worst layers: {worst}; try --quantize qat, or "
        "--allow-loss to keep it"
    )
