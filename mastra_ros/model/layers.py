"""Looks into an int8 model beside the float one: errors layer by layer, and possible cuts."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DependencyError, ModelError
from .progress import Progress, silent
from .tflite_file import name_of, read_model, schema

PICTURES = 8
"""So many pictures are enough to rank layers."""


@dataclass(frozen=True)
class LayerError:
    """What quantisation adds to one layer's result.

    sqnr_db: power of the float result over that of the difference, in decibels; 40 dB is an
    error of one hundredth.
    """

    layer: str
    operator: str
    shape: tuple[int, ...]
    sqnr_db: float
    scale: float  # one step of the int8 result


@dataclass(frozen=True)
class Cut:
    """A tensor through which everything passes: the network could be parted there."""

    tensor: str
    after: int  # operators in the first half
    shape: tuple[int, ...]
    bytes_int8: int  # a frame


def layer_errors(
    float_path: Path,
    int8_path: Path,
    tensors: Sequence[NDArray[np.float32]],
    progress: Progress = silent,
) -> list[LayerError]:
    """The error of every layer that both models have, worst first.

    `tensors` are float inputs (1, height, width, channels); the first PICTURES are used.
    """
    exact, coarse = (interpreter(path) for path in (float_path, int8_path))
    theirs = {str(d["name"]): d for d in coarse.get_tensor_details()}
    makers = _makers(read_model(float_path))
    pairs = [
        (d, theirs[d["name"]])
        for d in exact.get_tensor_details()
        if d["name"] in makers and d["name"] in theirs and theirs[d["name"]]["quantization"][0]
    ]
    signal, noise = np.zeros(len(pairs)), np.zeros(len(pairs))
    for tensor in progress(tensors[:PICTURES], "compare layers"):
        invoke(exact, tensor)
        invoke(coarse, tensor)
        for i, (one, other) in enumerate(pairs):
            true = exact.get_tensor(one["index"]).astype(np.float64)
            scale, zero = other["quantization"]
            rough = (coarse.get_tensor(other["index"]).astype(np.float64) - zero) * scale
            signal[i] += float(np.square(true).sum())
            noise[i] += float(np.square(true - rough).sum())
    ratio = 10 * np.log10(np.maximum(signal, 1e-30) / np.maximum(noise, 1e-30))
    found = [
        LayerError(
            layer=str(one["name"]),
            operator=makers[one["name"]],
            shape=tuple(int(side) for side in one["shape"]),
            sqnr_db=round(float(db), 2),
            scale=float(other["quantization"][0]),
        )
        for (one, other), db in zip(pairs, ratio, strict=True)
    ]
    return sorted(found, key=lambda error: error.sqnr_db)


def cuts(path: Path) -> list[Cut]:
    """Every single-tensor cut of a .tflite model, from the input on, and its bytes as int8."""
    graph = read_model(path).subgraphs[0]
    last_use: dict[int, int] = {int(i): len(graph.operators) for i in graph.outputs}
    for at, operator in enumerate(graph.operators):
        for i in operator.inputs:
            last_use[int(i)] = max(last_use.get(int(i), -1), at)
    alive = {int(i) for i in graph.inputs}
    found = []
    for at, operator in enumerate(graph.operators[:-1]):
        alive |= {int(i) for i in operator.outputs}
        alive = {i for i in alive if last_use.get(i, -1) > at}
        if len(alive) == 1:
            (only,) = alive
            tensor = graph.tensors[only]
            shape = tuple(int(side) for side in tensor.shape)
            found.append(Cut(name_of(tensor), at + 1, shape, int(np.prod(shape))))
    return found


def operator_names(model: Any) -> list[str]:
    """The kinds of a model's operators, in order of running."""
    kinds = schema().BuiltinOperator
    names = {value: name for name, value in vars(kinds).items() if isinstance(value, int)}
    codes = [
        names.get(max(code.builtinCode, code.deprecatedBuiltinCode), "CUSTOM")
        for code in model.operatorCodes
    ]
    return [codes[operator.opcodeIndex] for operator in model.subgraphs[0].operators]


def _makers(model: Any) -> dict[str, str]:
    graph = model.subgraphs[0]
    return {
        name_of(graph.tensors[int(i)]): kind
        for operator, kind in zip(graph.operators, operator_names(model), strict=True)
        for i in operator.outputs
    }


def interpreter(path: Path) -> Any:
    """An interpreter that keeps every tensor, on the plain kernels."""
    try:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType
    except ImportError as error:
        raise DependencyError("LiteRT is needed here: pip install ai-edge-litert") from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = Interpreter(
            str(path),
            experimental_preserve_all_tensors=True,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
    try:
        made.allocate_tensors()
    except RuntimeError as error:
        text = " ".join(str(error).split())
        raise ModelError(f"{path.name}: LiteRT cannot run it: {text}") from error
    return made


def invoke(interpreter: Any, tensor: NDArray[np.float32]) -> None:
    feed = interpreter.get_input_details()[0]
    if feed["dtype"] != np.float32:
        scale, zero = feed["quantization"]
        limits = np.iinfo(feed["dtype"])
        steps = np.clip(np.rint(tensor / scale) + zero, limits.min, limits.max)
        tensor = steps.astype(feed["dtype"])
    interpreter.set_tensor(feed["index"], tensor)
    interpreter.invoke()
