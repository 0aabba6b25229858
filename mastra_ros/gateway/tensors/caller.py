"""What speaks to another server of the Open Inference Protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ...errors import LinkError
from ..openinference.datatypes import DTYPES, Array, TensorSpec
from .backend import Tensors


class Unreachable(LinkError):  # noqa: N818 - as the other errors of a link are
    """The server gave no answer, or said that it cannot now: another try may do."""


@dataclass(frozen=True)
class Described:
    """A model as its server describes it."""

    platform: str
    versions: tuple[str, ...]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    batch_size_max: int  # 0: requests must not be joined


class Caller(Protocol):
    """One connection. Every call raises Unreachable, or ModelError with the server's words."""

    def describe(self, limit_s: float) -> Described:
        """Ask what the model is."""
        ...

    def infer(self, inputs: Tensors, outputs: Sequence[str], limit_s: float) -> dict[str, Array]:
        """Ask for these outputs."""
        ...

    def close(self) -> None:
        """Hang up; the next call connects anew."""
        ...


def spec_of(name: str, datatype: str, shape: Sequence[int]) -> TensorSpec:
    """A tensor that another server tells of. Raises KeyError for a datatype that is unknown."""
    DTYPES[datatype]
    return TensorSpec(name, datatype, tuple(max(int(side), -1) for side in shape))
