"""ONNX models, by ONNX Runtime."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import ModelError
from .engine import OpenedModel, Tensor, TensorSpec, fallen_back
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
        opened = open_session(path, threads, providers)
        self._failures = failures_of()
        self._session = opened.session
        self._path = path
        self._inputs = _specs(path, self._session.get_inputs())
        self._outputs = _specs(path, self._session.get_outputs())
        self._check_one_input()
        self._providers, self._missing = opened.providers, opened.missing

    def run(self, tensor: Tensor) -> list[Tensor]:
        self._check_run(self._session, tensor)
        try:
            outputs: list[Tensor] = self._session.run(None, {self._inputs[0].name: tensor})
        except self._failures as error:
            raise ModelError(f"{self._path}: ONNX Runtime failed: {line_of(error)}") from error
        return outputs

    def close(self) -> None:
        self._session = None


@dataclass(frozen=True)
class OpenedSession:
    """A session of ONNX Runtime, the providers that it has, and those asked for that it has not."""

    session: Any
    providers: tuple[str, ...]
    missing: tuple[str, ...]

    @property
    def fallen_back(self) -> str:
        """What to say behind the runtime's name where a provider is not in use; else empty."""
        return fallen_back(self.providers, self.missing)


def open_session(path: Path, threads: int, providers: Sequence[str]) -> OpenedSession:
    """A session for a file; ONNX Runtime leaves out a provider without a word, so this says it.

    Raises ModelError, DependencyError.
    """
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
    try:
        session = runtime.InferenceSession(
            str(path), options, providers=list(dict.fromkeys([*wanted, CPU]))
        )
    except failures_of() as error:
        raise ModelError(
            f"{path}: not a model that ONNX Runtime can run: {line_of(error)}"
        ) from error
    used = tuple(session.get_providers())
    missing = tuple(name for name in providers if name not in used)
    if missing:
        _log.warning(
            "%s: %s not available, running on %s", path, ", ".join(missing), ", ".join(used)
        )
    return OpenedSession(session, used, missing)


def failures_of() -> tuple[type[Exception], ...]:
    """What ONNX Runtime raises: its own classes have no common base but Exception."""
    state = load_onnxruntime().capi.onnxruntime_pybind11_state
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


def line_of(error: BaseException) -> str:
    return " ".join(str(error).split())
