"""One node of an ONNX graph, and what is known of its kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...errors import ModelError

ANY = None
"""Any value of an attribute is understood."""

ALL = 99
"""More inputs than any operator has."""


@dataclass(frozen=True)
class Node:
    """A node: names of its inputs ("" where one is left out) and outputs, and its attributes."""

    kind: str
    name: str
    takes: tuple[str, ...]
    makes: tuple[str, ...]
    attributes: Mapping[str, Any]
    opset: int

    def __str__(self) -> str:
        return f"{self.kind} (layer {self.name or next(filter(None, self.makes), '?')})"

    def get(self, name: str, default: Any) -> Any:
        """An attribute, or what ONNX says where it is left out."""
        return self.attributes.get(name, default)


Inputs = list[Any]
"""Values of a node's inputs: tensors, numpy arrays where numbers are needed, None if left out."""


@dataclass(frozen=True)
class Rule:
    """How an operator is rebuilt: `run(inputs, node)` gives its output, or a tuple of them.

    An attribute that is not in `attributes`, or has none of the values there, is refused by name.
    """

    run: Callable[[Inputs, Node], Any]
    attributes: Mapping[str, tuple[Any, ...] | None] = field(default_factory=dict)
    numbers_from: int = ALL  # inputs from this one on must be known without the picture
    outputs: int = 1  # further ones may stand in the graph, but nobody may use them


Table = dict[str, Rule]


def node_of(proto: Any, opset: int) -> Node:
    """A node of the protocol buffer."""
    return Node(
        kind=proto.op_type,
        name=proto.name,
        takes=tuple(proto.input),
        makes=tuple(proto.output),
        attributes={one.name: _value(one) for one in proto.attribute},
        opset=opset,
    )


def _value(attribute: Any) -> Any:
    from onnx import helper, numpy_helper

    value = helper.get_attribute_value(attribute)
    if hasattr(value, "raw_data"):
        return numpy_helper.to_array(value)
    if isinstance(value, list) and value and isinstance(value[0], bytes):
        return [one.decode() for one in value]
    return value.decode() if isinstance(value, bytes) else value


def complaint(node: Node, rule: Rule) -> str:
    """The attributes of a node that its rule does not understand; empty where there are none."""
    wrong = []
    for name, value in node.attributes.items():
        known = rule.attributes.get(name, ())
        if known is ANY or (np.ndim(value) == 0 and value in known):
            continue
        shown = f"{name}={value!r:.60}"
        wrong.append(f"{shown} (known: {', '.join(map(repr, known))})" if known else shown)
    return f"{node} with {', '.join(wrong)}" if wrong else ""


def ints(value: Any) -> list[int]:
    """The integers of a small array, or of a list."""
    return [int(one) for one in np.asarray(value).reshape(-1).tolist()]


def given(x: Inputs, index: int) -> Any:
    """An input, None where it is left out or empty."""
    value = x[index] if len(x) > index else None
    return None if value is not None and np.size(value) == 0 else value


def refuse(node: Node, why: str) -> ModelError:
    """The error of a node that cannot be rebuilt."""
    return ModelError(f"{node} cannot be converted: {why}")
