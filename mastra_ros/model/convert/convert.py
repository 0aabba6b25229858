"""From a trained network to a bundle, with the numbers that say what it costs."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ConfigError
from ...inference import Bundle, BundleInput
from ..dataset import Dataset
from ..judge.report import write_report
from ..progress import Progress, silent
from ..writer import BundleWriter
from .bias import correct_biases
from .export import write_tflite
from .floats import FloatModels, described, fed_as, make_floats
from .measure import measure, refuse
from .options import Options
from .promise import check_options, check_packages, read_promise
from .qat import fine_tune
from .quantise import calibration_tensors, limits_of, quantise
from .source import Source, is_quantised

__all__ = ["Options", "convert", "input_of"]

_log = logging.getLogger(__name__)

LABELS_SHOWN = 4

Floats = NDArray[np.float32]


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
        ModelError: the network is not what the document says or cannot be converted, what was
            made from it computes something else, or int8 loses more than `max_loss`.
        DataError, ConfigError, DependencyError: as they say.
    """
    check_options(options)
    check_packages(source, options)
    promised = read_promise(document, out)
    asked = options.scores or str(document["output"].get("scores", ""))
    with BundleWriter(out, replace=options.replace) as writer, tempfile.TemporaryDirectory() as tmp:
        for _ in progress(range(1), f"convert {source.kind}"):
            made = make_floats(source, promised, data, options, asked, Path(tmp))
        if made.cloud is not None and made.cloud.model is not None:
            made.cloud.model.write(writer.path("cloud.onnx"))
        document = described(document, made.promised)
        ready = is_quantised(made.device)
        local = writer.path("local.tflite")
        used: Dataset | None = None
        tensors = list(calibration) if calibration is not None else []
        if ready or options.quantise == "none":
            local.write_bytes(made.device.read_bytes())
        else:
            if not tensors:
                used = (training or data).some(options.calibration)
                tensors = calibration_tensors(used, promised.input, progress)
            _quantise(made, training or data, tensors, options, local, progress)
        document["parts"] = _parts(document, options, made)
        bundle = writer.describe(document)
        exact = None if ready else made.device
        report = measure(bundle, exact, _unused(data, used), tensors, options, progress)
        report["source"] = {"kind": source.kind, "given": source.text, "quantise": options.quantise}
        report["float_differences"] = made.differences
        _doubt_labels(report, promised)
        refuse(report, options)
        for name in bundle.parts:
            document["parts"][name]["measurements"] = report["parts"][name]
        writer.describe(document)
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


def _doubt_labels(report: dict[str, Any], promised: Bundle) -> None:
    """Warn where a classifier is hardly better than guessing: its labels may be mixed up."""
    best = max(part["accuracy"] for part in report["parts"].values())
    chance = 1 / len(promised.labels)
    if promised.task == "classification" and len(promised.labels) > 1 and best < 1.5 * chance:
        _log.warning(
            "%s: right in %.0f%% of the pictures, guessing in %.0f%%: are the labels in the order "
            "of the network's outputs (%s)? --labels FILE gives them",
            promised.name,
            100 * best,
            100 * chance,
            ", ".join(promised.labels[:LABELS_SHOWN]),
        )


def _quantise(
    made: FloatModels,
    training: Dataset,
    tensors: list[Floats],
    options: Options,
    local: Path,
    progress: Progress,
) -> None:
    """Write the int8 model of the device, after fine-tuning where that is asked for."""
    spec = made.promised.input
    if options.quantise == "qat":
        better = fine_tune(made.module, spec, training, tensors, options.tuning, progress)
        tuned = made.device.with_name("tuned.tflite")
        write_tflite(better, spec, tuned)
    else:
        tuned = made.device
    quantise(tuned, local, tensors, limits=limits_of(spec), progress=progress)
    if options.quantise == "ptq":  # fine-tuning has fitted its biases to rounded weights
        correct_biases(tuned, local, tensors, progress)


def _parts(document: dict[str, Any], options: Options, made: FloatModels) -> dict[str, Any]:
    """The section `parts`, without digests."""
    entry = {"version": document["version"], "score_threshold": options.threshold}
    name = document["name"]
    local = {"file": "local.tflite", "engine": "litert", "model": f"{name}_device", **entry}
    if made.cloud is None:
        return {"local": local}
    cloud = {"file": "cloud.onnx", "engine": "onnxruntime", "model": f"{name}_gateway", **entry}
    feed = fed_as(made.cloud)
    return {"local": local, "cloud": {**cloud, "input": feed} if feed else cloud}


def _unused(data: Dataset, used: Dataset | None) -> Dataset:
    """The pictures that did not calibrate, where they are at least as many."""
    gone = {sample.path for sample in used.samples} if used else set()
    kept = tuple(sample for sample in data.samples if sample.path not in gone)
    return replace(data, samples=kept) if 2 * len(kept) >= len(data) else data
