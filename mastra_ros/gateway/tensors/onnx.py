"""ONNX models of any inputs and outputs, by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...errors import ModelError
from ...inference.engines.onnx import CPU, failures_of, line_of, open_session
from ..openinference.datatypes import BYTES, NAMES, Array, TensorSpec
from .backend import Tensors

DATATYPES = {
    "tensor(bool)": "BOOL",
    "tensor(float16)": "FP16",
    "tensor(float)": "FP32",
    "tensor(double)": "FP64",
    "tensor(string)": BYTES,
    **{f"tensor(int{bits})": f"INT{bits}" for bits in (8, 16, 32, 64)},
    **{f"tensor(uint{bits})": f"UINT{bits}" for bits in (8, 16, 32, 64)},
}


class OnnxBackend:
    """An .onnx file."""

    version = ""
    ready = True

    def __init__(self, path: Path, *, threads: int = 1, providers: Sequence[str] = (CPU,)) -> None:
        opened = open_session(path, threads, providers)
        self._path, self._failures = path, failures_of()
        self._session = opened.session
        self.platform = f"onnxruntime{opened.fallen_back}"
        self.inputs = self._specs(self._session.get_inputs())
        self.outputs = self._specs(self._session.get_outputs())

    def run(self, inputs: Tensors) -> dict[str, Array]:
        if self._session is None:
            raise ModelError(f"{self._path}: the model is closed")
        fed = {name: _text(array) for name, array in inputs.items()}
        names = [spec.name for spec in self.outputs]
        try:
            values = self._session.run(names, fed)
        except self._failures as error:
            raise ModelError(f"{self._path.name}: ONNX Runtime failed: {line_of(error)}") from error
        return {name: _bytes(np.asarray(value)) for name, value in zip(names, values, strict=True)}

    def close(self) -> None:
        self._session = None

    def _specs(self, arguments: Sequence[object]) -> tuple[TensorSpec, ...]:
        specs = []
        for one in arguments:
            kind, shape, name = (getattr(one, field) for field in ("type", "shape", "name"))
            if kind not in DATATYPES:
                known = ", ".join(DATATYPES)
                raise ModelError(f"{self._path}: {name}: expected one of {known}, got {kind}")
            sides = tuple(side if isinstance(side, int) else -1 for side in shape)
            specs.append(TensorSpec(name, DATATYPES[kind], sides))
        return tuple(specs)


def _text(array: Array) -> Array:
    if array.dtype != np.object_:
        return array
    decoded = [one.decode("utf-8", "replace") for one in array.ravel().tolist()]
    return np.array(decoded, np.object_).reshape(array.shape)


def _bytes(array: Array) -> Array:
    if array.dtype in NAMES and array.dtype != np.object_:
        return array
    encoded = np.empty(array.size, np.object_)
    encoded[:] = [str(one).encode() for one in array.ravel().tolist()]
    return encoded.reshape(array.shape)
