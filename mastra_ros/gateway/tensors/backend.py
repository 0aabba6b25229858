"""What runs a model of tensors, wherever that is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from ..openinference.datatypes import Array, TensorSpec

Tensors = Mapping[str, Array]


class Backend(Protocol):
    """A loaded model. Not for two threads at once."""

    @property
    def platform(self) -> str:
        """What runs it, in words that begin with its name."""
        ...

    @property
    def version(self) -> str:
        """Of the model, where whatever runs it knows one; else empty."""
        ...

    @property
    def inputs(self) -> tuple[TensorSpec, ...]: ...

    @property
    def outputs(self) -> tuple[TensorSpec, ...]: ...

    @property
    def rows_max(self) -> int:
        """Most rows (the first side of every tensor) in one run; 0: requests are not joined."""
        ...

    @property
    def ready(self) -> bool:
        """Whether a request has a chance now."""
        ...

    def run(self, inputs: Tensors) -> dict[str, Array]:
        """The outputs for inputs that fit. Raises ModelError; LinkError where nobody answers."""
        ...

    def close(self) -> None:
        """Free the model. May be called twice."""
        ...
