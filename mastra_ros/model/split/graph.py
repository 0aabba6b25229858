"""Cuts an ONNX graph in two, at a tensor that everything passes.

A *single-tensor cut* is a tensor that lies on every path from the input to the outputs: a dominator
of the outputs, so that head and tail have nothing else in common. Such tensors are found by going
through the nodes in order and keeping the set of tensors that are still needed; where it holds one
tensor alone, that is a cut. Without dead nodes this finds all of them, whatever the order: what a
cut depends on comes before it, what depends on it after it, and there is nothing third.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from ...errors import DependencyError, ModelError

ACTIVATIONS = frozenset(
    (
        *("Relu", "LeakyRelu", "PRelu", "Clip", "Elu", "Selu", "Sigmoid", "HardSigmoid"),
        *("HardSwish", "Tanh", "Softplus", "Mish", "Gelu"),
    )
)
"""Runtimes compute these together with the operator before, so a cut in between gains nothing."""

QUANTISE_OPSET = 10

Model = Any  # onnx.ModelProto; onnx has no types worth the name
Node = Any


def load_graph(path: Path) -> Model:
    """Read and check an ONNX model of one input.

    Raises:
        ModelError: the file is not a model that we can cut.
        DependencyError: the package onnx is not installed.
    """
    onnx = _onnx()
    try:
        model = onnx.load(str(path))
        onnx.checker.check_model(model)
    except Exception as error:  # protobuf, onnx and the file system have no common base
        text = " ".join(str(error).split())
        raise ModelError(f"{path}: not an ONNX model: {text:.200}") from error
    feeds = input_names(model)
    if len(feeds) != 1:
        raise ModelError(f"{path}: expected one input, got {', '.join(feeds) or 'none'}")
    return model


def input_names(model: Model) -> list[str]:
    """What has to be fed: old models list their weights among the inputs too."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return [value.name for value in model.graph.input if value.name not in weights]


def output_names(model: Model) -> list[str]:
    """The outputs in order."""
    return [value.name for value in model.graph.output]


def single_tensor_cuts(model: Model) -> list[str]:
    """Names of all the single-tensor cuts, from the input to the outputs, without these.

    Left out are those before an activation, see `ACTIVATIONS`.
    """
    outputs = output_names(model)
    dependent = _dependent(model)
    nodes = [node for node in _walk(model, outputs, ()) if dependent & set(node.output)]
    last_use = {name: i for i, node in enumerate(nodes) for name in needs(node)}
    last_use.update(dict.fromkeys(outputs, len(nodes)))
    users: dict[str, list[Node]] = {}
    for node in nodes:
        for name in needs(node):
            users.setdefault(name, []).append(node)
    live = set(input_names(model))
    found: list[str] = []
    for i, node in enumerate(nodes):
        live = {name for name in live if last_use.get(name, -1) > i}
        live |= {name for name in node.output if last_use.get(name, -1) > i}
        if len(live) == 1 and (name := next(iter(live))) not in outputs:
            used = users[name]
            if not (len(used) == 1 and used[0].op_type in ACTIVATIONS):
                found.append(name)
    return found


def extract(
    model: Model,
    sources: Sequence[str],
    targets: Sequence[str],
    shapes: Mapping[str, Sequence[int]] | None = None,
) -> Model:
    """The part of a model that makes `targets` out of `sources` (float32 where they lie inside).

    `shapes`: of tensors inside the model that become inputs or outputs, without the batch.
    """
    onnx = _onnx()
    helper = onnx.helper
    nodes = list(_walk(model, targets, sources))
    needed = {name for node in nodes for name in needs(node)} | set(targets)
    known = {value.name: value for value in (*model.graph.input, *model.graph.output)}
    batch = batch_of(model)

    def described(name: str) -> Any:
        if name in known:
            return known[name]
        sides = (shapes or {}).get(name)
        shape = None if sides is None else [batch, *sides]
        return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)

    graph = helper.make_graph(
        nodes,
        model.graph.name or "part",
        [described(name) for name in sources],
        [described(name) for name in targets],
        [tensor for tensor in model.graph.initializer if tensor.name in needed],
    )
    made = helper.make_model(
        graph,
        opset_imports=list(model.opset_import),
        producer_name="mastra",
        functions=list(model.functions),
    )
    made.ir_version = model.ir_version
    return made


def batch_of(model: Model) -> int | str:
    """The first side of the input: a number, or the name of a free one."""
    name = input_names(model)[0]
    shape = next(v for v in model.graph.input if v.name == name).type.tensor_type.shape
    if not shape.dim:
        return "batch"
    first = shape.dim[0]
    return int(first.dim_value) if first.dim_value else (first.dim_param or "batch")


def split_graph(
    model: Model, cut: str, shape: Sequence[int], scale: float, zero_point: int
) -> tuple[Model, Model]:
    """Head and tail, with the tensor between them as int8: value = real / scale + zero_point.

    The head rounds to the nearest step and saturates.
    """
    onnx = _onnx()
    opset = max((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), default=0)
    if opset < QUANTISE_OPSET:
        raise ModelError(f"expected an ONNX model of opset {QUANTISE_OPSET} or newer, got {opset}")
    helper, int8 = onnx.helper, onnx.TensorProto.INT8
    shapes = {cut: tuple(shape)}
    head = extract(model, input_names(model), [cut], shapes)
    tail = extract(model, [cut], output_names(model), shapes)
    inner = f"{cut}/int8"
    steps = (f"{cut}/scale", f"{cut}/zero_point")
    border = helper.make_tensor_value_info(inner, int8, [batch_of(model), *shape])
    for half in (head, tail):
        half.graph.initializer.extend(
            [
                helper.make_tensor(steps[0], onnx.TensorProto.FLOAT, [], [scale]),
                helper.make_tensor(steps[1], int8, [], [zero_point]),
            ]
        )
    head.graph.node.append(helper.make_node("QuantizeLinear", [cut, *steps], [inner]))
    del head.graph.output[:]
    head.graph.output.append(border)
    tail.graph.node.insert(0, helper.make_node("DequantizeLinear", [inner, *steps], [cut]))
    del tail.graph.input[:]
    tail.graph.input.append(border)
    for half in (head, tail):
        onnx.checker.check_model(half)
    return head, tail


def needs(node: Node) -> list[str]:
    """Tensors that a node reads, also those that its inner graphs take from outside."""
    names = [name for name in node.input if name]
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            made = {name for inner in graph.node for name in inner.output}
            made |= {value.name for value in graph.input}
            made |= {tensor.name for tensor in graph.initializer}
            inside = [name for inner in graph.node for name in needs(inner)]
            inside += [value.name for value in graph.output]
            names += [name for name in inside if name not in made]
    return names


def _walk(model: Model, targets: Sequence[str], sources: Sequence[str]) -> Iterator[Node]:
    """The nodes that `targets` need, in order, going back no further than `sources`."""
    wanted = set(targets) - set(sources)
    kept: list[Node] = []
    for node in reversed(model.graph.node):
        if wanted & set(node.output):
            kept.append(node)
            wanted |= set(needs(node)) - set(sources)
    return reversed(kept)


def _dependent(model: Model) -> set[str]:
    """The tensors that depend on the input, and not on constants alone."""
    names = set(input_names(model))
    for node in model.graph.node:
        if names & set(needs(node)):
            names |= set(node.output)
    return names


def _onnx() -> Any:
    try:
        import onnx
        import onnx.checker
        import onnx.helper
    except ImportError as error:
        raise DependencyError(
            'onnx is needed to cut models: pip install "mastra-ros[convert]"'
        ) from error
    return cast(Any, onnx)
