"""From a trained network to a bundle, with the numbers that say what it costs."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ConfigError, ModelError
from ...inference import Bundle, BundleInput, BundlePart, Detector, open_engine
from ..dataset import Dataset
from ..judge.bench import compare
from ..judge.evaluate import Answer, WholeModel, above, answers, score
from ..judge.score import agreement
from ..layers import LayerError, cuts, layer_errors
from ..progress import Progress, silent
from ..writer import BundleWriter
from .bias import correct_biases
from .qat import Tuning, fine_tune
from .quantise import calibration_tensors, limits_of, quantise
from .source import Source, is_quantised, load_network, write_cloud, write_float

WORST_LAYERS = 5
THREADS = (1, 2)

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Options:
    """How to convert. Losses are differences of accuracy, 0 to 1."""

    quantise: str = "ptq"  # ptq, qat or none
    max_loss: float = 0.02
    allow_loss: bool = False
    calibration: int = 100  # pictures
    cloud: Path | None = None  # an .onnx for the server instead of the source's own
    threshold: float = 0.0
    runs: int = 40  # of each model when it is timed
    tuning: Tuning = field(default_factory=Tuning)
    replace: bool = False


def convert(
    source: Source,
    out: Path,
    document: dict[str, Any],
    data: Dataset,
    options: Options,
    *,
    calibration: Sequence[Floats] | None = None,
    training: Dataset | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Write the bundle and its report to `out`; the report.

    Args:
        document: bundle.yaml without parts.
        data: what accuracy is measured on; pictures that calibrate are left out of that where
            as many remain.
        calibration: tensors to calibrate with instead of pictures of `data`.
        training: what QAT learns from; without it, `data`.

    Raises:
        ModelError: the network cannot be converted, or loses more than `max_loss`.
        DataError, ConfigError, DependencyError: as they say.
    """
    spec = input_of(document)
    with BundleWriter(out, replace=options.replace) as writer, tempfile.TemporaryDirectory() as tmp:
        for _ in progress(range(1), f"convert {source.kind}"):
            network = (
                None if source.kind in ("tflite", "tensorflow") else load_network(source, spec)
            )
            ready = source.kind == "tflite" and is_quantised(source.path)
            exact = Path(tmp) / "float.tflite"
            if not ready:
                write_float(source, network, spec, exact)
            has_cloud = _cloud(source, network, spec, options, writer.path("cloud.onnx"))
        local = writer.path("local.tflite")
        used: Dataset | None = None
        tensors = list(calibration) if calibration is not None else []
        if ready:
            local.write_bytes(source.path.read_bytes())
        elif options.quantise == "none":
            local.write_bytes(exact.read_bytes())
        else:
            if not tensors:
                used = (training or data).some(options.calibration)
                tensors = calibration_tensors(used, spec, progress)
            tuned = exact
            if options.quantise == "qat":
                tuned = Path(tmp) / "tuned.tflite"
                better = fine_tune(
                    network, spec, training or data, tensors, options.tuning, progress
                )
                write_float(source, better, spec, tuned)
            quantise(tuned, local, tensors, limits=limits_of(spec), progress=progress)
            if options.quantise == "ptq":  # fine-tuning has fitted its biases to rounded weights
                correct_biases(tuned, local, tensors, progress)
        document["parts"] = _parts(document, options, has_cloud)
        bundle = writer.describe(document)
        report = _measure(
            bundle, None if ready else exact, _unused(data, used), tensors, options, progress
        )
        report["source"] = {"kind": source.kind, "given": source.text, "quantise": options.quantise}
        refuse(report, options)
        for name in bundle.parts:
            document["parts"][name]["measurements"] = report["parts"][name]
        writer.describe(document)
        from ..judge.report import write_report

        write_report(report, writer.path("report/report.json").parent)
        writer.commit()
    return report


def input_of(document: dict[str, Any]) -> BundleInput:
    """The section `input` as the value that preprocessing takes. Raises ConfigError."""
    values = dict(document["input"])
    try:
        values["mean"], values["std"] = tuple(values["mean"]), tuple(values["std"])
        return BundleInput(**values)
    except (TypeError, KeyError) as error:
        raise ConfigError(f"input: {error}") from error


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


def _cloud(source: Source, network: Any, spec: BundleInput, options: Options, out: Path) -> bool:
    if options.cloud is None:
        return write_cloud(source, network, spec, out)
    given = Source("onnx", str(options.cloud))
    if not given.path.is_file():
        raise ModelError(f"{options.cloud}: model file not found")
    return write_cloud(given, None, spec, out)


def _parts(document: dict[str, Any], options: Options, has_cloud: bool) -> dict[str, Any]:
    """The section `parts`, without digests."""
    entry = {"version": document["version"], "score_threshold": options.threshold}
    name = document["name"]
    local = {"file": "local.tflite", "engine": "litert", "model": f"{name}_device", **entry}
    cloud = {"file": "cloud.onnx", "engine": "onnxruntime", "model": f"{name}_gateway", **entry}
    return {"local": local, "cloud": cloud} if has_cloud else {"local": local}


def _unused(data: Dataset, used: Dataset | None) -> Dataset:
    """The pictures that did not calibrate, where they are at least as many."""
    gone = {sample.path for sample in used.samples} if used else set()
    kept = tuple(sample for sample in data.samples if sample.path not in gone)
    return replace(data, samples=kept) if 2 * len(kept) >= len(data) else data


def _measure(
    bundle: Bundle,
    exact: Path | None,
    data: Dataset,
    tensors: Sequence[Floats],
    options: Options,
    progress: Progress,
) -> dict[str, Any]:
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
