"""ONNX models, by ONNX Runtime."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ...errors import ModelError
from .engine import OpenedModel, Tensor, TensorSpec
from .reporting import load_onnxruntime

_log = logging.getLogger(__name__)

CPU = "CPUExecutionProvider"
DTYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
    "tensor(int8)": np.int8,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
}


class OnnxEngine(OpenedModel):
    """An .onnx model. `providers` in order of preference; the CPU always stands behind them.

    Threads do not spin while they wait, because the cores are shared with other nodes.
    """

    name = "onnxruntime"

    def __init__(self, path: Path, *, threads: int = 1, providers: Sequence[str] = (CPU,)) -> None:
        runtime = load_onnxruntime()
        if not path.is_file():
            raise ModelError(f"{path}: model file not found")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors; they are raised as well
        for kind in ("intra", "inter"):
            options.add_session_config_entry(f"session.{kind}_op.allow_spinning", "0")
        known = runtime.get_available_providers()
        wanted = [name for name in providers if name in known]
        self._failures = _failures(runtime)
        try:
            self._session = runtime.InferenceSession(
                str(path), options, providers=list(dict.fromkeys([*wanted, CPU]))
            )
        except self._failures as error:
            raise ModelError(
                f"{path}: not a model that ONNX Runtime can run: {_line(error)}"
            ) from error
        self._path = path
        self._inputs = _specs(path, self._session.get_inputs())
        self._outputs = _specs(path, self._session.get_outputs())
        self._check_one_input()
        self._providers = tuple(self._session.get_providers())
        self._missing = tuple(name for name in providers if name not in self._providers)
        if self._missing:
            _log.warning(
                "%s: %s not available, running on %s",
                path,
                ", ".join(self._missing),
                ", ".join(self._providers),
            )

    def run(self, tensor: Tensor) -> list[Tensor]:
        self._check_run(self._session, tensor)
        try:
            outputs: list[Tensor] = self._session.run(None, {self._inputs[0].name: tensor})
        except self._failures as error:
            raise ModelError(f"{self._path}: ONNX Runtime failed: {_line(error)}") from error
        return outputs

    def close(self) -> None:
        self._session = None


def _failures(runtime: ModuleType) -> tuple[type[Exception], ...]:
    """What ONNX Runtime raises: its own classes have no common base but Exception."""
    state = runtime.capi.onnxruntime_pybind11_state
    own = [value for value in vars(state).values() if isinstance(value, type)]
    raised = [value for value in own if issubclass(value, Exception)]
    return (*raised, RuntimeError, ValueError)


def _specs(path: Path, arguments: Sequence[Any]) -> tuple[TensorSpec, ...]:
    for argument in arguments:
        if argument.type not in DTYPES:
            raise ModelError(
                f"{path}: {argument.name}: expected one of {', '.join(DTYPES)}, got {argument.type}"
            )
    return tuple(
        TensorSpec(
            name=argument.name,
            shape=tuple(side if isinstance(side, int) else None for side in argument.shape),
            dtype=np.dtype(DTYPES[argument.type]),
        )
        for argument in arguments
    )


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())
