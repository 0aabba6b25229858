"""An ONNX graph as a PyTorch network, operator by operator, so that LiteRT can be made from it.

Covers what convolutional classifiers and detectors are made of (opset 11 to 21); anything else is
refused by name. Shapes that the graph works out at run time are worked out here from constants.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import DependencyError, ModelError
from .export import INSTALL, require_torch
from .onnx_operators import NUMBERS, operators


def load_onnx(path: Path) -> Any:
    """Read and check an ONNX model. Raises ModelError, DependencyError without onnx."""
    try:
        import onnx
    except ImportError as error:
        raise DependencyError(f"reading ONNX needs onnx: {INSTALL}") from error
    try:
        model = onnx.load(str(path))
        onnx.checker.check_model(model)
    except Exception as error:  # protobuf, onnx and the file system have no common base
        text = " ".join(str(error).split())
        raise ModelError(f"{path}: not an ONNX model: {text:.200}") from error
    return model


def network_of(path: Path, shape: tuple[int, int, int]) -> Any:
    """The network of an ONNX file, a torch.nn.Module in evaluation mode.

    `shape` is of one frame (channels, height, width). Raises ModelError naming every operator
    that is not covered, with a layer that has it.
    """
    torch = require_torch()
    model = load_onnx(path)
    known = operators()
    missing: dict[str, str] = {}
    for node in model.graph.node:
        if node.op_type not in known or node.domain not in ("", "ai.onnx"):
            missing.setdefault(node.op_type, node.name or node.output[0])
    if missing:
        named = ", ".join(f"{kind} (layer {layer})" for kind, layer in missing.items())
        raise ModelError(f"{path}: operators that cannot be converted to LiteRT: {named}")
    numbers = {
        name
        for node in model.graph.node
        for name in node.input[NUMBERS.get(node.op_type, len(node.input)) :]
    }
    weights = {tensor.name for tensor in model.graph.initializer}
    feeds = [value.name for value in model.graph.input if value.name not in weights]
    if len(feeds) != 1:
        raise ModelError(f"{path}: expected one input, got {len(feeds)}")

    class OnnxNetwork(torch.nn.Module):  # type: ignore[misc, name-defined, unused-ignore]
        """Runs the nodes in their order, which ONNX keeps topological.

        `constants` hold numbers (numpy), which never depend on the picture: shapes and the like.
        """

        def __init__(self) -> None:
            super().__init__()
            from onnx import numpy_helper

            self.steps: list[Step] = []
            self.places: dict[str, str] = {}
            self.constants: dict[str, Any] = {}
            self.feed, self.gives = feeds[0], [value.name for value in model.graph.output]
            for i, tensor in enumerate(model.graph.initializer):
                value = numpy_helper.to_array(tensor)
                if value.dtype.kind == "f" and value.size > 1 and tensor.name not in numbers:
                    self.places[tensor.name] = f"weight_{i}"
                    weight = torch.nn.Parameter(torch.from_numpy(value.astype("float32")))
                    self.register_parameter(f"weight_{i}", weight)
                else:
                    self.constants[tensor.name] = value

        def read(self, image: Any) -> None:
            """Go through the nodes once: what needs no picture is worked out for good."""
            values: dict[str, Any] = {self.feed: image, **self._weights(), **self.constants}
            for node in model.graph.node:
                attributes = {a.name: _attribute(a) for a in node.attribute}
                step = Step(node.op_type, list(node.input), list(node.output), attributes)
                fixed = all(not name or name in self.constants for name in step.takes)
                values.update(made := self._run(step, values))
                if fixed or node.op_type == "Shape":
                    self.constants.update({k: v.detach().numpy() for k, v in made.items()})
                    values.update(self.constants)
                else:
                    self.steps.append(step)

        def forward(self, image: Any) -> Any:
            values = {self.feed: image, **self._weights(), **self.constants}
            for step in self.steps:
                values.update(self._run(step, values))
            given = tuple(values[name] for name in self.gives)
            return given[0] if len(given) == 1 else given

        def _weights(self) -> dict[str, Any]:
            return {name: getattr(self, place) for name, place in self.places.items()}

        def _run(self, step: Step, values: Mapping[str, Any]) -> dict[str, Any]:
            takes = [values[name] if name else None for name in step.takes]
            numbers = NUMBERS.get(step.kind, 99)  # from this input on they stay numbers
            takes = [
                torch.from_numpy(np.array(value))
                if i < numbers and isinstance(value, (np.ndarray, np.generic))
                else value
                for i, value in enumerate(takes)
            ]
            try:
                made = known[step.kind](takes, step.attributes)
            except (RuntimeError, IndexError, KeyError, TypeError, AttributeError) as error:
                text = f"{step.kind} (layer {step.makes[0]})"
                raise ModelError(f"{path}: {text} cannot be converted: {error}") from error
            made = made if isinstance(made, (list, tuple)) else [made]
            return dict(zip(step.makes, made, strict=False))

    network = OnnxNetwork()
    with torch.no_grad():
        network.read(torch.zeros(1, *shape))
    return network.eval()


@dataclass(frozen=True)
class Step:
    """One node of the graph."""

    kind: str
    takes: list[str]
    makes: list[str]
    attributes: Mapping[str, Any]


def _attribute(attribute: Any) -> Any:
    from onnx import helper, numpy_helper

    value = helper.get_attribute_value(attribute)
    if hasattr(value, "raw_data"):
        return numpy_helper.to_array(value)
    return value.decode() if isinstance(value, bytes) else value
