"""Programs that PyTorch has exported (.pt2) as models of tensors."""

from __future__ import annotations

from pathlib import Path

from ...inference.engines.torch import TorchProgram
from ..openinference.datatypes import NAMES, Array, TensorSpec
from .backend import Tensors


class TorchBackend:
    """See `TorchProgram`. Raises ModelError, DependencyError."""

    version = ""
    ready = True

    def __init__(self, path: Path, *, threads: int = 1, device: str = "cpu") -> None:
        self._program = program = TorchProgram(path, threads=threads, device=device)
        self.inputs, self.outputs = (
            tuple(
                TensorSpec(
                    one.name,
                    NAMES[one.dtype],
                    tuple(-1 if side is None else side for side in one.shape),
                )
                for one in specs
            )
            for specs in (program.inputs, program.outputs)
        )
        self.rows_max = program.rows_max
        self.platform = f"torch on {program.device}"

    def run(self, inputs: Tensors) -> dict[str, Array]:
        given = self._program.run([inputs[spec.name] for spec in self.inputs])
        return {spec.name: array for spec, array in zip(self.outputs, given, strict=True)}

    def close(self) -> None:
        self._program.close()
