"""TensorFlow Lite models on the device, by LiteRT or the older tflite_runtime."""

from __future__ import annotations

import contextlib
import logging
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ..errors import DependencyError, ModelError
from .engine import Tensor, TensorSpec, check_tensor

_log = logging.getLogger(__name__)

DELEGATED = "DELEGATE"  # name of an operation that a delegate has taken over


class LiteRTEngine:
    """A .tflite model. `delegate`: xnnpack (the runtime's default), none, or a library's path.

    A delegate that takes over no operation leaves everything to the plain kernels without a
    word; here that is logged as a warning and named in `missing`.
    """

    name = "litert"

    def __init__(self, path: Path, *, threads: int = 1, delegate: str = "xnnpack") -> None:
        runtime = _runtime()
        if not path.is_file():
            raise ModelError(f"{path}: model file not found")
        options: dict[str, Any] = {"model_path": str(path), "num_threads": threads}
        if delegate == "none":
            kernels = runtime.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
            options["experimental_op_resolver_type"] = kernels
        elif delegate != "xnnpack":
            options["experimental_delegates"] = [_load_delegate(runtime, delegate)]
        try:
            self._interpreter = runtime.Interpreter(**options)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ModelError(f"{path}: not a model that LiteRT can run: {_line(error)}") from error
        self._path = path
        self._inputs = _specs(self._interpreter.get_input_details())
        self._outputs = _specs(self._interpreter.get_output_details())
        if len(self._inputs) != 1:
            raise ModelError(f"{path}: expected one input, got {len(self._inputs)}")
        self._feed = self._interpreter.get_input_details()[0]["index"]
        self._fetch = [d["index"] for d in self._interpreter.get_output_details()]
        self._providers, self._missing = _in_use(self._interpreter, delegate)
        if self._missing:
            _log.warning("%s: delegate %s took nothing over, plain kernels run", path, delegate)

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        return self._inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        return self._outputs

    @property
    def providers(self) -> tuple[str, ...]:
        return self._providers

    @property
    def missing(self) -> tuple[str, ...]:
        return self._missing

    def run(self, tensor: Tensor) -> list[Tensor]:
        if self._interpreter is None:
            raise ModelError(f"{self._path}: the engine is closed")
        check_tensor(self.name, self._inputs[0], tensor)
        try:
            self._interpreter.set_tensor(self._feed, tensor)
            self._interpreter.invoke()
            return [self._interpreter.get_tensor(index) for index in self._fetch]
        except (ValueError, RuntimeError) as error:
            raise ModelError(f"{self._path}: LiteRT failed: {_line(error)}") from error

    def close(self) -> None:
        self._interpreter = None


def _runtime() -> ModuleType:
    with contextlib.suppress(ImportError):
        return import_module("ai_edge_litert.interpreter")
    try:
        return import_module("tflite_runtime.interpreter")
    except ImportError as error:
        raise DependencyError(
            "LiteRT is needed to run .tflite models: pip install ai-edge-litert (or tflite-runtime)"
        ) from error


def _load_delegate(runtime: ModuleType, library: str) -> Any:
    try:
        return runtime.load_delegate(library)
    except (ValueError, OSError, AttributeError) as error:
        raise ModelError(f"delegate {library}: cannot be loaded: {_line(error)}") from error


def _specs(details: list[dict[str, Any]]) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec(
            name=str(d["name"]),
            shape=tuple(int(side) for side in d["shape"]),
            dtype=np.dtype(d["dtype"]),
            scale=float(d["quantization"][0]),
            zero_point=int(d["quantization"][1]),
        )
        for d in details
    )


def _in_use(interpreter: Any, delegate: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The delegate that works and the one that was asked for in vain.

    The runtime has no public question for this; the list of its operations shows it. Where a
    version has no such list, the delegate is taken to work.
    """
    if delegate == "none":
        return ("cpu",), ()
    operations = getattr(interpreter, "_get_ops_details", None)
    if operations is None or any(op["op_name"] == DELEGATED for op in operations()):
        return (delegate,), ()
    return ("cpu",), (delegate,)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
