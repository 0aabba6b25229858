"""What a runtime of models offers, whichever it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ...errors import ModelError

Tensor = NDArray[Any]


@dataclass(frozen=True)
class TensorSpec:
    """An input or output. Where scale is not 0: real = (value - zero_point) * scale."""

    name: str
    shape: tuple[int | None, ...]  # None: any size
    dtype: np.dtype[Any]
    scale: float = 0.0
    zero_point: int = 0

    def __str__(self) -> str:
        sides = ", ".join("any" if side is None else str(side) for side in self.shape)
        return f"{self.name} {self.dtype} [{sides}]"

    def fits(self, shape: Sequence[int]) -> bool:
        """Whether an array of this shape may be this tensor."""
        return len(shape) == len(self.shape) and all(
            mine is None or mine == given for mine, given in zip(self.shape, shape, strict=True)
        )


@runtime_checkable
class Engine(Protocol):
    """A loaded model with one input. Not for two threads at once.

    `providers` are the delegates or execution providers in use, "cpu" where there is none;
    `missing` are those that were asked for and are not in use.
    """

    @property
    def name(self) -> str: ...

    @property
    def inputs(self) -> tuple[TensorSpec, ...]: ...

    @property
    def outputs(self) -> tuple[TensorSpec, ...]: ...

    @property
    def providers(self) -> tuple[str, ...]: ...

    @property
    def missing(self) -> tuple[str, ...]: ...

    def run(self, tensor: Tensor) -> list[Tensor]:
        """Outputs in the order of `outputs`, raw (quantised ones stay integers).

        Raises ModelError when the tensor does not fit or the runtime fails.
        """
        ...

    def close(self) -> None:
        """Free the model; run() raises ModelError from now on. May be called twice."""
        ...


def check_tensor(engine: str, spec: TensorSpec, tensor: Tensor) -> None:
    """Raise ModelError unless `tensor` may be fed as `spec`."""
    if tensor.dtype != spec.dtype or not spec.fits(tensor.shape):
        got = f"{tensor.dtype} {list(tensor.shape)}"
        raise ModelError(f"{engine}: expected input {spec}, got {got}")


def fallen_back(providers: Sequence[str], missing: Sequence[str]) -> str:
    """In words for people: that another provider runs than was asked for; else empty."""
    if not missing:
        return ""
    return f" ({', '.join(missing)} asked for and not in use, running on {', '.join(providers)})"


class OpenedModel:
    """What every runtime's engine knows of its model once it is open. Engines derive from it."""

    name: str
    _path: Path
    _inputs: tuple[TensorSpec, ...]
    _outputs: tuple[TensorSpec, ...]
    _providers: tuple[str, ...]
    _missing: tuple[str, ...]

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

    def _check_one_input(self) -> None:
        if len(self._inputs) != 1:
            raise ModelError(f"{self._path}: expected one input, got {len(self._inputs)}")

    def _check_run(self, runtime: object, tensor: Tensor) -> None:
        """Raise ModelError where the runtime's object is gone, or the tensor does not fit."""
        if runtime is None:
            raise ModelError(f"{self._path}: the engine is closed")
        check_tensor(self.name, self._inputs[0], tensor)
