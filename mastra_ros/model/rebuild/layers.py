"""Operators with weights, and those that look along a whole axis."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..needs import require_torch
from .node import ANY, Inputs, Node, Rule, Table, given, ints, refuse


def layers() -> Table:
    """The operators by name."""
    torch = require_torch()
    f = torch.nn.functional
    table: Table = {
        "Gemm": Rule(_gemm, {"alpha": ANY, "beta": ANY, "transA": (0, 1), "transB": (0, 1)}),
        "MatMul": Rule(lambda x, _: torch.matmul(x[0], x[1])),
        "Einsum": Rule(lambda x, n: torch.einsum(n.attributes["equation"], x), {"equation": ANY}),
        "BatchNormalization": Rule(
            lambda x, n: f.batch_norm(
                x[0], x[3], x[4], x[1], x[2], False, 0.0, n.get("epsilon", 1e-5)
            ),
            {"epsilon": ANY, "momentum": ANY, "training_mode": (0,), "spatial": (1,)},
        ),
        "InstanceNormalization": Rule(
            lambda x, n: f.instance_norm(x[0], weight=x[1], bias=x[2], eps=n.get("epsilon", 1e-5)),
            {"epsilon": ANY},
        ),
        "LayerNormalization": Rule(_layer_norm, {"axis": ANY, "epsilon": ANY, "stash_type": (1,)}),
        "GroupNormalization": Rule(
            _group_norm, {"num_groups": ANY, "epsilon": ANY, "stash_type": (1,)}
        ),
        "LRN": Rule(
            lambda x, n: f.local_response_norm(
                x[0],
                n.attributes["size"],
                n.get("alpha", 1e-4),
                n.get("beta", 0.75),
                n.get("bias", 1.0),
            ),
            {"size": ANY, "alpha": ANY, "beta": ANY, "bias": ANY},
        ),
        "Softmax": Rule(_along(torch.softmax), {"axis": ANY}),
        "LogSoftmax": Rule(_along(torch.log_softmax), {"axis": ANY}),
        "GlobalAveragePool": Rule(lambda x, _: x[0].mean(_spatial(x[0]), keepdim=True)),
        "GlobalMaxPool": Rule(lambda x, _: x[0].amax(_spatial(x[0]), keepdim=True)),
    }
    for name, function in {
        "ReduceMean": lambda x, axes, keep: x.mean(axes, keepdim=keep),
        "ReduceSum": lambda x, axes, keep: x.sum(axes, keepdim=keep),
        "ReduceMax": lambda x, axes, keep: x.amax(axes, keepdim=keep),
        "ReduceMin": lambda x, axes, keep: x.amin(axes, keepdim=keep),
        "ReduceL1": lambda x, axes, keep: x.abs().sum(axes, keepdim=keep),
        "ReduceL2": lambda x, axes, keep: (x * x).sum(axes, keepdim=keep).sqrt(),
        "ReduceSumSquare": lambda x, axes, keep: (x * x).sum(axes, keepdim=keep),
        "ReduceLogSumExp": lambda x, axes, keep: torch.logsumexp(x, axes, keepdim=keep),
        "ReduceProd": _product,
    }.items():
        table[name] = Rule(
            _reduce(function),
            {"axes": ANY, "keepdims": (0, 1), "noop_with_empty_axes": (0, 1)},
            numbers_from=1,
        )
    return table


def _spatial(x: Any) -> list[int]:
    return list(range(2, x.ndim))


def _gemm(x: Inputs, node: Node) -> Any:
    torch = require_torch()
    left = x[0].t() if node.get("transA", 0) else x[0]
    right = x[1] if node.get("transB", 0) else x[1].t()
    alpha, beta = node.get("alpha", 1.0), node.get("beta", 1.0)
    right = right * alpha if alpha != 1.0 else right
    bias = given(x, 2)
    if bias is not None and beta != 1.0:
        bias = bias * beta
    if bias is not None and bias.numel() == bias.shape[-1:].numel() == right.shape[0]:
        return torch.nn.functional.linear(left, right, bias.reshape(-1))
    made = torch.nn.functional.linear(left, right)
    return made if bias is None else made + bias


def _layer_norm(x: Inputs, node: Node) -> Any:
    axis = node.get("axis", -1)
    sides = list(x[0].shape)[axis:]
    return require_torch().nn.functional.layer_norm(
        x[0],
        sides,
        _broadcast(x[1], sides),
        _broadcast(given(x, 2), sides),
        node.get("epsilon", 1e-5),
    )


def _broadcast(value: Any, sides: list[int]) -> Any:
    return None if value is None else value.expand(sides)


def _group_norm(x: Inputs, node: Node) -> Any:
    """Opset 18 has a scale for each group, 21 for each channel."""
    groups, channels = node.attributes["num_groups"], int(x[0].shape[1])
    scale, bias = (
        one if one.numel() == channels else one.repeat_interleave(channels // groups)
        for one in x[1:3]
    )
    return require_torch().nn.functional.group_norm(
        x[0], groups, scale, bias, node.get("epsilon", 1e-5)
    )


def _along(function: Callable[[Any, int], Any]) -> Callable[[Inputs, Node], Any]:
    """Softmax and its like: before opset 13 over all the axes from the one named on, by default 1;
    since then over one axis, by default the last."""

    def run(x: Inputs, node: Node) -> Any:
        axis = node.get("axis", -1 if node.opset >= 13 else 1)
        axis += x[0].ndim if axis < 0 else 0
        if node.opset >= 13 or all(side == 1 for side in x[0].shape[axis + 1 :]):
            return function(x[0], axis)
        rows = x[0].reshape(math.prod(x[0].shape[:axis]), -1)
        return function(rows, 1).reshape(x[0].shape)

    return run


def _reduce(function: Callable[[Any, list[int], bool], Any]) -> Callable[[Inputs, Node], Any]:
    def run(x: Inputs, node: Node) -> Any:
        named = given(x, 1)
        axes = ints(node.get("axes", []) if named is None else named)
        if not axes and node.get("noop_with_empty_axes", 0):
            if node.kind in ("ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSumExp"):
                raise refuse(node, "noop_with_empty_axes=1 without axes")
            return x[0]
        return function(x[0], axes or list(range(x[0].ndim)), bool(node.get("keepdims", 1)))

    return run


def _product(x: Any, axes: list[int], keep: bool) -> Any:
    for axis in sorted((axis % x.ndim for axis in axes), reverse=True):
        x = x.prod(axis, keepdim=keep)
    return x
