"""Programs that PyTorch has exported (`torch.export.save`, .pt2), by PyTorch itself."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import DependencyError, ModelError
from .engine import OpenedModel, Tensor, TensorSpec

_LOADING = threading.Lock()
_TYPES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64")
ROWS_MAX = 1 << 16
"""Where a program takes any number of rows."""


class TorchProgram:
    """A program whose inputs and outputs are tensors; inputs keep their names.

    Outputs have the keys of the dictionary that the program gives, else `output_0` and so on.
    Half precision in is half precision inside: nothing is converted. Not for two threads at once.
    `rows_max`: most rows, the first side of every tensor, in a run; 0 where that is not any number.
    """

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
                self.device = torch.device(device)
                self._module = program.module().to(self.device)
                # Constants and weights stay where they were traced unless the graph is told too.
                if self.device.type != "cpu":
                    from torch.export.passes import move_to_device_pass

                    program = move_to_device_pass(program, self.device)
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

    def run(self, inputs: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """The outputs for inputs in the order of `inputs`. Raises ModelError."""
        if self._module is None:
            raise ModelError(f"{self._path}: the model is closed")
        torch = self._torch
        try:
            with torch.inference_mode():
                fed = [
                    torch.from_numpy(np.require(one, requirements=["W", "C"])).to(self.device)
                    for one in inputs
                ]
                given = torch.utils._pytree.tree_leaves(self._module(*fed))
                return [one.cpu().numpy() for one in given]
        except Exception as error:
            told = " ".join(str(error).split())[:200]
            raise ModelError(f"{self._path.name}: PyTorch failed: {told}") from error

    def close(self) -> None:
        """Free the model; may be called twice."""
        self._module = None


class TorchEngine(OpenedModel):
    """The network of a bundle as a program. `device`: cpu, cuda, cuda:1; never another instead."""

    name = "torch"
    _missing = ()

    def __init__(self, path: Path, *, threads: int = 1, device: str = "cpu") -> None:
        self._path = path
        self._program: TorchProgram | None = TorchProgram(path, threads=threads, device=device)
        self._inputs, self._outputs = self._program.inputs, self._program.outputs
        self._providers = (str(self._program.device),)
        self._check_one_input()

    def run(self, tensor: Tensor) -> list[Tensor]:
        self._check_run(self._program, tensor)
        assert self._program is not None
        return self._program.run([tensor])

    def close(self) -> None:
        if self._program is not None:
            self._program.close()
        self._program = None


def _spec(name: str, value: Any) -> TensorSpec:
    kind = str(getattr(value, "dtype", "")).removeprefix("torch.")
    if kind not in _TYPES:
        raise ModelError(f"{name}: expected a tensor of {', '.join(_TYPES)}, got {kind or value}")
    sides = tuple(side if isinstance(side, int) else None for side in value.shape)
    return TensorSpec(name, sides, np.dtype(kind))


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
            return min(int(upper), ROWS_MAX) if upper.is_finite else ROWS_MAX
    return 0
