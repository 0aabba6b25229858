"""An ONNX graph as a PyTorch network, operator by operator.

Covers what convolutional classifiers and detectors are made of; any other operator, attribute or
mode is refused by name. What does not depend on the picture is worked out once, by ONNX's own
reference implementation: shapes that the graph works out at run time, and weights that it changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ModelError
from ..needs import require_torch
from .model_file import DOMAINS, OnnxModel
from .node import Node, Rule, complaint, node_of
from .operators import HINTS, operators

Values = dict[str, Any]
NEVER_FOLDED = (
    *("RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike"),
    *("Bernoulli", "Multinomial", "Dropout", "If", "Loop", "Scan"),
)


def network_of(model: OnnxModel, shape: tuple[int, int, int], layout: str = "nchw") -> Any:
    """The network of an ONNX model, a torch.nn.Module in evaluation mode.

    It is fed with pictures (n, channels, height, width) of float32, whatever type the file wants
    and in whatever `layout`. `shape` is of one picture (channels, height, width).

    Raises ModelError naming every operator and attribute that is not covered, with its layer.
    """
    torch = require_torch()
    known = operators()
    used = _used(model.proto)

    class OnnxNetwork(torch.nn.Module):  # type: ignore[misc, name-defined, unused-ignore]
        """Runs the nodes in their order, which ONNX keeps topological.

        `constants` hold numbers (numpy), which never depend on the picture: shapes and the like.
        """

        def __init__(self) -> None:
            super().__init__()
            self.steps: list[Node] = []
            self.places: dict[str, str] = {}
            self.constants: dict[str, Any] = _weights(model.proto)
            self.gives = list(model.outputs)

        def read(self, image: Any) -> None:
            """Sort out what depends on the picture. Raises ModelError."""
            values: Values = {model.feed: self._feed(image)}
            wrong: dict[str, str] = {}
            for proto in model.proto.graph.node:
                node = node_of(proto, model.opset)
                if self._fold(proto, node):
                    continue
                why = _problem(proto, node, known, used)
                if why:
                    wrong.setdefault(why.replace(str(node), node.kind), why)
                if why or any(
                    name and name not in values and name not in self.constants
                    for name in node.takes
                ):
                    continue  # behind something that is refused
                self._keep_weights(node)
                made = self._run(node, values)
                if node.kind in ("Shape", "Size"):
                    self.constants.update({name: one.numpy() for name, one in made.items()})
                else:
                    self.steps.append(node)
                    values.update(made)
            if wrong:
                raise ModelError(
                    f"{model.path}: operators that cannot be converted to LiteRT: "
                    f"{'; '.join(wrong.values())}"
                )
            fixed = [name for name in self.gives if name not in values]
            if fixed:
                raise ModelError(f"{model.path}: output {fixed[0]} does not depend on the picture")

        def forward(self, image: Any) -> Any:
            values: Values = {model.feed: self._feed(image)}
            for node in self.steps:
                values.update(self._run(node, values))
            given = tuple(values[name] for name in self.gives)
            return given[0] if len(given) == 1 else given

        def _feed(self, image: Any) -> Any:
            return image.permute(0, 2, 3, 1) if layout == "nhwc" else image

        def _fold(self, proto: Any, node: Node) -> bool:
            """Work a node out where it does not depend on the picture; whether it could be."""
            if node.kind in NEVER_FOLDED or any(a.HasField("g") for a in proto.attribute):
                return False
            if any(name and name not in self.constants for name in node.takes):
                return False
            made = _reference(model, proto, self.constants)
            self.constants.update(zip(node.makes, map(_as_float32, made), strict=False))
            return True

        def _keep_weights(self, node: Node) -> None:
            """Weights of a node become parameters, so that fine-tuning can change them."""
            for name in node.takes[: known[node.kind].numbers_from]:
                value = self.constants.get(name)
                if name in self.places or value is None or value.dtype.kind != "f":
                    continue
                if value.size > 1:
                    place = f"weight_{len(self.places)}"
                    self.places[name] = place
                    weight = torch.from_numpy(np.array(value))
                    self.register_parameter(place, torch.nn.Parameter(weight))

        def _run(self, node: Node, values: Mapping[str, Any]) -> Values:
            rule = known[node.kind]
            takes: list[Any] = []
            for i, name in enumerate(node.takes):
                if not name:
                    takes.append(None)
                elif i >= rule.numbers_from:
                    if name not in self.constants:
                        text = f"its input {i + 1} ({name}) depends on the picture"
                        raise ModelError(f"{model.path}: {node} cannot be converted: {text}")
                    takes.append(self.constants[name])
                elif name in values:
                    takes.append(values[name])
                elif name in self.places:
                    takes.append(getattr(self, self.places[name]))
                else:
                    takes.append(torch.from_numpy(np.array(self.constants[name])))
            try:
                made = rule.run(takes, node)
            except ModelError as error:
                raise ModelError(f"{model.path}: {error}") from error
            except (RuntimeError, IndexError, KeyError, TypeError, ValueError) as error:
                text = " ".join(str(error).split())
                raise ModelError(
                    f"{model.path}: {node} cannot be converted: {text:.200}"
                ) from error
            made = made if isinstance(made, tuple) else (made,)
            return dict(zip(node.makes, made, strict=False))

    network = OnnxNetwork()
    with torch.no_grad():
        network.read(torch.zeros(1, *shape))
    return network.eval()


def _problem(proto: Any, node: Node, known: Mapping[str, Rule], used: set[str]) -> str:
    """Why a node cannot be rebuilt; empty where it can."""
    if proto.domain not in DOMAINS:
        return f"{proto.domain}.{node}"
    rule = known.get(node.kind)
    if rule is None:
        hint = HINTS.get(node.kind)
        return f"{node}: {hint}" if hint else str(node)
    more = [name for name in node.makes[rule.outputs :] if name in used]
    if more:
        return f"{node} with a second output ({more[0]})"
    return complaint(node, rule)


def _used(proto: Any) -> set[str]:
    """Names that a node takes or the graph gives."""
    taken = {name for node in proto.graph.node for name in node.input}
    return taken | {value.name for value in proto.graph.output}


def _weights(proto: Any) -> dict[str, Any]:
    from onnx import numpy_helper

    return {
        tensor.name: _as_float32(numpy_helper.to_array(tensor))
        for tensor in proto.graph.initializer
    }


def _as_float32(value: Any) -> Any:
    """Numbers of any other floating type become float32, which the device computes in."""
    array: NDArray[Any] = np.asarray(value)
    floating = array.dtype.kind == "f" or "float" in array.dtype.name
    return array.astype(np.float32) if floating else array


def _reference(model: OnnxModel, proto: Any, constants: Mapping[str, Any]) -> list[Any]:
    """What a node makes of constants, by ONNX's reference implementation."""
    from onnx import helper
    from onnx.reference import ReferenceEvaluator

    takes = list(dict.fromkeys(name for name in proto.input if name))
    makes = [name for name in proto.output if name]
    function = helper.make_function(
        "mastra", "fold", takes, makes, [proto], list(model.proto.opset_import)
    )
    try:
        feeds = {name: constants[name] for name in takes}
        made = ReferenceEvaluator(function).run(None, feeds, attributes={})
    except Exception as error:  # the evaluator raises whatever numpy and its operators do
        text = " ".join(str(error).split())
        node = node_of(proto, model.opset)
        raise ModelError(f"{model.path}: {node} cannot be worked out: {text:.200}") from error
    by_name = dict(zip(makes, made, strict=True))
    return [by_name.get(name) for name in proto.output]
