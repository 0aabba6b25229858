"""What the server says of its models, as JSON of the protocol."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .datatypes import TensorSpec

EXTENSIONS = ("binary_tensor_data", "model_configuration", "model_repository", "statistics")
SERVER = {"name": "mastra", "version": "1", "extensions": list(EXTENSIONS)}


def metadata(
    name: str,
    versions: Sequence[str],
    platform: str,
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
    parameters: dict[str, Any],
) -> dict[str, Any]:
    """Of one model."""
    return {
        "name": name,
        "versions": list(versions),
        "platform": platform.partition(" ")[0],
        "inputs": [spec.to_json() for spec in inputs],
        "outputs": [spec.to_json() for spec in outputs],
        "parameters": parameters,
    }


def configuration(
    name: str,
    platform: str,
    batch_size_max: int,
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
) -> dict[str, Any]:
    """Of one model, as far as clients need it. With a batch its first side is not told."""
    return {
        "name": name,
        "platform": platform.partition(" ")[0],
        "backend": "mastra",
        "max_batch_size": batch_size_max,
        "input": [_tensor(spec, batch_size_max) for spec in inputs],
        "output": [_tensor(spec, batch_size_max) for spec in outputs],
    }


def data_type(datatype: str) -> str:
    """As a configuration names it."""
    return "TYPE_STRING" if datatype == "BYTES" else f"TYPE_{datatype}"


def _tensor(spec: TensorSpec, batch_size_max: int) -> dict[str, Any]:
    shape = spec.shape[1:] if batch_size_max else spec.shape
    return {"name": spec.name, "data_type": data_type(spec.datatype), "dims": list(shape)}
