"""TensorFlow Lite models on the device, by LiteRT or the older tflite_runtime."""

from __future__ import annotations

import contextlib
import ctypes
import logging
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ...errors import DependencyError, ModelError
from .engine import OpenedModel, Tensor, TensorSpec

_log = logging.getLogger(__name__)

DELEGATED = "DELEGATE"  # name of an operation that a delegate has taken over


class LiteRTEngine(OpenedModel):
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
            by_library = _delegated(self._interpreter)  # XNNPACK takes its share when allocating
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ModelError(f"{path}: not a model that LiteRT can run: {_line(error)}") from error
        self._path = path
        self._inputs = _specs(self._interpreter.get_input_details())
        self._outputs = _specs(self._interpreter.get_output_details())
        self._check_one_input()
        self._feed = self._interpreter.get_input_details()[0]["index"]
        self._fetch = [d["index"] for d in self._interpreter.get_output_details()]
        working = []
        if delegate not in ("none", "xnnpack") and by_library != 0:
            working.append(delegate)
        if delegate != "none" and _delegated(self._interpreter) != (by_library or 0):
            working.append("xnnpack")
        self._providers = tuple(working) or ("cpu",)
        self._missing = tuple({delegate} - {"none", *working})
        if self._missing:
            running = ", ".join(self._providers)
            _log.warning("%s: delegate %s took nothing over, using %s", path, delegate, running)

    def run(self, tensor: Tensor) -> list[Tensor]:
        self._check_run(self._interpreter, tensor)
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
        # Looked into first, as the runtime's own object fails once more when it is deleted.
        is_delegate = hasattr(ctypes.CDLL(library), "tflite_plugin_create_delegate")
        made = runtime.load_delegate(library) if is_delegate else None
    except (ValueError, OSError) as error:
        raise ModelError(f"delegate {library}: cannot be loaded: {_line(error)}") from error
    if made is None:
        raise ModelError(f"delegate {library}: is not a LiteRT delegate")
    return made


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


def _delegated(interpreter: Any) -> int | None:
    """Groups of operations that delegates have taken over; None where that cannot be seen.

    The runtime has no public question for this, but its list of operations shows it.
    """
    operations = getattr(interpreter, "_get_ops_details", None)
    if operations is None:
        return None
    return [operation["op_name"] for operation in operations()].count(DELEGATED)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
