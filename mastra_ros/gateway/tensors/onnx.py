"""ONNX models of any inputs and outputs, by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

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


ROWS_MAX = 1 << 16


class OnnxBackend:
    """An .onnx file."""

    version = ""
    ready = True

    def __init__(self, path: Path, *, threads: int = 1, providers: Sequence[str] = (CPU,)) -> None:
        opened = open_session(path, threads, providers)
        self._path, self._failures = path, failures_of()
        self._session = opened.session
        self.platform = f"onnxruntime{opened.fallen_back}"
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        self.inputs, self.outputs = self._specs(inputs), self._specs(outputs)
        self.rows_max = ROWS_MAX if _share_a_batch([*inputs, *outputs]) else 0

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

    def _specs(self, arguments: Sequence[Any]) -> tuple[TensorSpec, ...]:
        specs = []
        for one in arguments:
            kind, shape, name = one.type, one.shape, one.name
            if kind not in DATATYPES:
                known = ", ".join(DATATYPES)
                raise ModelError(f"{self._path}: {name}: expected one of {known}, got {kind}")
            sides = tuple(side if isinstance(side, int) else -1 for side in shape)
            specs.append(TensorSpec(name, DATATYPES[kind], sides))
        return tuple(specs)


def _share_a_batch(arguments: Sequence[Any]) -> bool:
    """Whether the first side of all has one and the same name: then it is that of a batch."""
    firsts = {one.shape[0] if one.shape else 0 for one in arguments}
    return len(firsts) == 1 and isinstance(firsts.pop(), str)


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
