"""What the user says of a network, checked before anything else is done."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...errors import ConfigError, DependencyError, ModelError
from ...inference import Bundle, BundlePart, Engine
from ...inference.bundle import FILE_NAME, TASKS
from ...inference.contract import Contract, agree
from ...inference.fields import Fields
from ...inference.interface import LAYOUTS, SCORE_FORMS, TYPES, read_input, read_output
from ..needs import INSTALL
from .options import Options
from .source import Source

PACKAGES = {
    "torch": ("torch", "litert_torch", "onnx", "onnxruntime"),
    "exported": ("torch", "litert_torch", "onnx", "onnxruntime"),
    "onnx": ("torch", "litert_torch", "onnx", "onnxruntime"),
    "tflite": (),
    "tensorflow": ("tensorflow",),
}
"""What each kind of source needs."""


def read_promise(document: Mapping[str, Any], out: Path) -> Bundle:
    """The bundle that is to be, without parts. Raises ConfigError with all that is wrong."""
    fields = Fields(document)
    labels = fields.strings("labels")
    task = fields.choice("task", TASKS)
    bundle = Bundle(
        path=out / FILE_NAME,
        name=fields.text("name"),
        version=fields.text("version"),
        task=task,
        labels=labels,
        input=read_input(fields.section("input")),
        output=read_output(fields.section("output"), task),
        parts={},
    )
    if fields.problems:
        raise ConfigError(f"description of the network: {'; '.join(fields.problems)}")
    return bundle


def check_options(options: Options) -> None:
    """Raise ConfigError for a value that makes no sense."""
    problems = []
    for name, given, allowed in (
        ("--quantize", options.quantise, ("ptq", "qat", "none")),
        ("--layout", options.layout, ("", *LAYOUTS)),
        ("--scores", options.scores, ("", *SCORE_FORMS)),
    ):
        if given not in allowed:
            expected = ", ".join(filter(None, allowed))
            problems.append(f"{name}: expected one of {expected}, got {given!r}")
    for name, number, low, high in (
        ("--max-loss", options.max_loss, -1.0, 1.0),
        ("--threshold", options.threshold, 0.0, 1.0),
        ("--calibration", options.calibration, 1, math.inf),
        ("--epochs", options.tuning.epochs, 1, math.inf),
    ):
        if not low <= number <= high:
            problems.append(f"{name}: expected {_range(low, high)}, got {number:g}")
    if not 0 < options.tuning.rate < math.inf:
        problems.append(f"--rate: expected a number above 0, got {options.tuning.rate:g}")
    if problems:
        raise ConfigError("; ".join(problems))


def _range(low: float, high: float) -> str:
    return f"{low:g} or more" if math.isinf(high) else f"{low:g} to {high:g}"


def check_packages(source: Source, options: Options) -> None:
    """Raise DependencyError naming all that is not installed, ConfigError where QAT cannot be."""
    needed = set(PACKAGES[source.kind]) | ({"onnx", "onnxruntime"} if options.cloud else set())
    if options.quantise == "qat" and source.kind not in ("torch", "exported", "onnx"):
        raise ModelError("--quantize qat needs a source in PyTorch or ONNX: this one cannot learn")
    if options.quantise != "none":
        needed.add("ai_edge_quantizer")
    missing = sorted(name for name in needed if importlib.util.find_spec(name) is None)
    if missing:
        raise DependencyError(f"converting needs {', '.join(missing)}: {INSTALL}")


def keep(bundle: Bundle, engine: Engine, path: Path, layout: str) -> Contract:
    """The contract of the promised bundle with a network; ModelError where it is not kept."""
    dtype = str(engine.inputs[0].dtype)
    part = BundlePart(
        name="source",
        path=path,
        engine=engine.name,
        sha256="",
        model=bundle.name,
        version=bundle.version,
        score_threshold=0.0,
        input_type=dtype if dtype in TYPES else "",
        layout=layout,
    )
    return agree(bundle, part, engine)


def with_scores(bundle: Bundle, form: str) -> Bundle:
    """The bundle with another form of its scores."""
    return replace(bundle, output=replace(bundle.output, scores=form))
