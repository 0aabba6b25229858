"""Parts an output whose values are of different kinds, such as boxes in px and scores.

In int8 one scale would have to serve both, and with steps of several px no score is left. So the
device's network gives them apart: what they were joined from, where the graph shows it.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .model_file import OnnxModel
from .node import Node, ints, node_of

PASSED = ("Identity", "Cast")


def parted(
    model: OnnxModel, axis: int, columns: Sequence[tuple[int, int]], shape: Sequence[int]
) -> OnnxModel:
    """The model with its one output replaced by ranges of its columns, in this order.

    Args:
        axis: along which the columns lie.
        columns: first and last but one of each range.
        shape: of the input, every side known.
    """
    proto = copy.deepcopy(model.proto)
    parter = _Parter(proto, model.feed, shape, model.opset)
    names = [parter.part(model.outputs[0], axis, *pair) for pair in columns]
    output = proto.graph.output[0]
    del proto.graph.output[:]
    for name in names:
        value = proto.graph.output.add()
        value.name = name
        value.type.tensor_type.elem_type = output.type.tensor_type.elem_type
    _prune(proto)
    return replace(model, proto=proto, outputs=tuple(names))


class _Parter:
    def __init__(self, proto: Any, feed: str, shape: Sequence[int], opset: int) -> None:
        from onnx import helper, numpy_helper

        self._graph, self._helper, self._to_array = proto.graph, helper, numpy_helper
        self._shapes = _shapes(proto, feed, shape)
        self._opset = opset
        self._makers = {name: node for node in proto.graph.node for name in node.output}
        self._constants = {one.name: one for one in proto.graph.initializer}
        self._made: dict[tuple[str, int, int, int], str] = {}

    def part(self, name: str, axis: int, start: int, stop: int) -> str:
        """The name of a tensor with the columns of another; nodes for it are added."""
        shape = self._shapes.get(name)
        if shape is not None and (start, stop) == (0, shape[axis]):
            return name
        key = (name, axis, start, stop)
        if key not in self._made:
            self._made[key] = self._part(name, axis, start, stop)
        return self._made[key]

    def _part(self, name: str, axis: int, start: int, stop: int) -> str:
        maker = self._makers.get(name)
        node = node_of(maker, self._opset) if maker is not None else None
        made = None
        if node is not None and node.kind in PASSED:
            made = self._add(node, [self.part(node.takes[0], axis, start, stop)])
        elif node is not None and node.kind == "Concat":
            made = self._of_concat(node, axis, start, stop)
        elif node is not None and node.kind == "Transpose" and "perm" in node.attributes:
            inner = self.part(node.takes[0], node.attributes["perm"][axis], start, stop)
            made = self._add(node, [inner])
        elif node is not None and node.kind == "Reshape":
            made = self._of_reshape(node, axis, start, stop)
        return made or self._slice(name, axis, start, stop)

    def _of_concat(self, node: Node, axis: int, start: int, stop: int) -> str | None:
        shapes = [self._shapes.get(name) for name in node.takes]
        if any(shape is None for shape in shapes):
            return None
        joined = node.attributes["axis"] % len(shapes[0] or ())
        if joined != axis:
            return self._add(node, [self.part(name, axis, start, stop) for name in node.takes])
        parts, at = [], 0
        for name, shape in zip(node.takes, shapes, strict=True):
            width = (shape or ())[axis]
            first, last = max(start - at, 0), min(stop - at, width)
            if first < last:
                parts.append(self.part(name, axis, first, last))
            at += width
        return parts[0] if len(parts) == 1 else self._add(node, parts)

    def _of_reshape(self, node: Node, axis: int, start: int, stop: int) -> str | None:
        """Where the columns are a side of their own before it too, the first ones or the last."""
        before, after = (self._shapes.get(name) for name in (node.takes[0], node.makes[0]))
        stored = self._constants.get(node.takes[1])
        if before is None or after is None or stored is None:
            return None
        behind = len(after) - axis
        if before[:axis] == after[:axis] and before[axis] == after[axis]:
            inner = axis
        elif behind <= len(before) and before[len(before) - behind :] == after[axis:]:
            inner = len(before) - behind
        else:
            return None
        sides = ints(self._to_array.to_array(stored))
        sides[axis] = stop - start
        part = self.part(node.takes[0], inner, start, stop)
        return self._add(node, [part, self._constant(sides)])

    def _slice(self, name: str, axis: int, start: int, stop: int) -> str:
        takes = [name, *(self._constant([value]) for value in (start, stop, axis))]
        return self._add(Node("Slice", "", (), (), {}, self._opset), takes)

    def _constant(self, values: Sequence[int]) -> str:
        name = f"mastra_numbers_{len(self._graph.initializer)}"
        array = np.array(values, np.int64)
        self._graph.initializer.append(self._to_array.from_array(array, name))
        return name

    def _add(self, like: Node, takes: Sequence[str]) -> str:
        name = f"mastra_part_{len(self._graph.node)}"
        node = self._helper.make_node(like.kind, list(takes), [name], name, **like.attributes)
        self._graph.node.append(node)
        return name


def _shapes(proto: Any, feed: str, shape: Sequence[int]) -> dict[str, tuple[int, ...]]:
    """The tensors whose sides can all be told, for an input of this shape."""
    from onnx import shape_inference

    fixed = copy.deepcopy(proto)
    for value in fixed.graph.input:
        if value.name == feed:
            for side, size in zip(value.type.tensor_type.shape.dim, shape, strict=True):
                side.dim_value = size
    del fixed.graph.value_info[:]
    for value in fixed.graph.output:
        value.type.tensor_type.ClearField("shape")
    graph = shape_inference.infer_shapes(fixed, data_prop=True).graph
    known = {}
    for value in [*graph.value_info, *graph.output, *graph.input]:
        sides = value.type.tensor_type.shape.dim
        if value.type.tensor_type.HasField("shape") and all(
            side.HasField("dim_value") for side in sides
        ):
            known[value.name] = tuple(int(side.dim_value) for side in sides)
    return known


def _prune(proto: Any) -> None:
    """Leave out what no output needs."""
    needed = {value.name for value in proto.graph.output}
    kept = []
    for node in reversed(list(proto.graph.node)):
        if needed.intersection(node.output):
            needed.update(node.input)
            kept.append(copy.deepcopy(node))
    del proto.graph.node[:]
    proto.graph.node.extend(reversed(kept))
