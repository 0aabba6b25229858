"""Programs that PyTorch has exported (`torch.export.save`, .pt2), by PyTorch itself."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import DependencyError, ModelError
from ..openinference.datatypes import NAMES, Array, TensorSpec
from .backend import Tensors

_LOADING = threading.Lock()
_TYPES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64")


class TorchBackend:
    """A program whose inputs and outputs are tensors; inputs keep their names.

    Outputs have the keys of the dictionary that the program gives, else `output_0` and so on.
    Half precision in is half precision inside: nothing is converted.
    """

    version = ""
    ready = True

    def __init__(self, path: Path, *, threads: int = 1, device: str = "cpu") -> None:
        """Raises ModelError, DependencyError."""
        try:
            import torch
        except ImportError as error:
            raise DependencyError(
                'PyTorch is needed to run .pt2 programs: pip install "mastra-ros[torch]"'
            ) from error
        if not path.is_file():
            raise ModelError(f"{path}: model file not found")
        self._torch, self._path = torch, path
        try:
            with _LOADING:
                torch.set_num_threads(threads)
                program = torch.export.load(str(path))
                self._device = torch.device(device)
                self._module = program.module().to(self._device)
                # Constants and weights stay where they were traced unless the graph is told too.
                if self._device.type != "cpu":
                    program = torch.export.passes.move_to_device_pass(program, self._device)
                    self._module = program.module()
            values = {
                node.name: node.meta.get("val")
                for node in program.graph.nodes
                if node.op != "output"
            }
            signature = program.graph_signature
            inputs, outputs = signature.user_inputs, signature.user_outputs
            self.inputs = tuple(_spec(name, values[name]) for name in inputs)
            names = _names(program.call_spec.out_spec, len(outputs))
            self.outputs = tuple(
                _spec(name, values[node]) for name, node in zip(names, outputs, strict=True)
            )
            self.rows_max = _rows_max(program, [values[n] for n in (*inputs, *outputs)])
        except ModelError:
            raise
        except Exception as error:  # torch raises whatever its archive or its devices do
            told = " ".join(str(error).split())[:200]
            raise ModelError(f"{path}: not a program that PyTorch can run: {told}") from error
        self.platform = f"torch on {self._device}"

    def run(self, inputs: Tensors) -> dict[str, Array]:
        if self._module is None:
            raise ModelError(f"{self._path}: the model is closed")
        torch = self._torch
        try:
            with torch.inference_mode():
                fed = [
                    torch.from_numpy(np.require(inputs[spec.name], requirements="WC")).to(
                        self._device
                    )
                    for spec in self.inputs
                ]
                given = torch.utils._pytree.tree_leaves(self._module(*fed))
                arrays = [one.cpu().numpy() for one in given]
        except Exception as error:
            told = " ".join(str(error).split())[:200]
            raise ModelError(f"{self._path.name}: PyTorch failed: {told}") from error
        return {spec.name: array for spec, array in zip(self.outputs, arrays, strict=True)}

    def close(self) -> None:
        self._module = None


def _spec(name: str, value: Any) -> TensorSpec:
    kind = str(getattr(value, "dtype", "")).removeprefix("torch.")
    if kind not in _TYPES:
        raise ModelError(f"{name}: expected a tensor of {', '.join(_TYPES)}, got {kind or value}")
    sides = tuple(side if isinstance(side, int) else -1 for side in value.shape)
    return TensorSpec(name, NAMES[np.dtype(kind)], sides)


def _names(out_spec: Any, count: int) -> list[str]:
    """Keys of a dictionary of tensors, else numbers."""
    keys = out_spec.context if out_spec.type is dict else []
    if len(keys) == count and all(isinstance(key, str) for key in keys):
        return list(keys)
    return [f"output_{number}" for number in range(count)]


def _rows_max(program: Any, values: list[Any]) -> int:
    """Most rows in a run, where the first side of all tensors is one and the same; else 0."""
    firsts = {str(value.shape[0]) if len(value.shape) else "" for value in values}
    symbol = firsts.pop() if len(firsts) == 1 else ""
    for known, bounds in program.range_constraints.items():
        if str(known) == symbol:
            upper = bounds.upper
            return min(int(upper), 1 << 16) if upper.is_finite else 1 << 16
    return 0
