"""Operators that work on each value by itself, or on values in the same place of several tensors.

Each function takes the inputs and the node. See onnx.ai/onnx/operators for their meaning.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

from ..needs import require_torch
from .node import ANY, Inputs, Node, Rule, Table, given, refuse

FLOATS = (1, 10, 11, 16)  # float32, float16, double, bfloat16: all become float32
ONNX_TYPES = (*FLOATS, 2, 3, 5, 6, 7, 9)


def pointwise() -> Table:
    """The operators by name."""
    torch = require_torch()
    f = torch.nn.functional
    table: Table = {}
    for name, function in {
        "Relu": torch.relu,
        "Sigmoid": torch.sigmoid,
        "Tanh": torch.tanh,
        "Exp": torch.exp,
        "Log": torch.log,
        "Sqrt": torch.sqrt,
        "Abs": torch.abs,
        "Neg": torch.neg,
        "Erf": torch.erf,
        "Floor": torch.floor,
        "Ceil": torch.ceil,
        "Round": torch.round,
        "Sign": torch.sign,
        "Reciprocal": torch.reciprocal,
        "Sin": torch.sin,
        "Cos": torch.cos,
        "Not": torch.logical_not,
        "Softplus": f.softplus,
        "Softsign": f.softsign,
        "HardSwish": f.hardswish,
        "Mish": f.mish,
        "Identity": _same,
    }.items():
        table[name] = Rule(_one(function))
    for name, function in {
        "Add": torch.add,
        "Sub": torch.sub,
        "Mul": torch.mul,
        "Pow": _power,
        "Div": _divide,
        "Equal": torch.eq,
        "Greater": torch.gt,
        "GreaterOrEqual": torch.ge,
        "Less": torch.lt,
        "LessOrEqual": torch.le,
        "And": torch.logical_and,
        "Or": torch.logical_or,
        "Xor": torch.logical_xor,
        "Min": torch.minimum,
        "Max": torch.maximum,
        "Sum": torch.add,
    }.items():
        table[name] = Rule(_many(function))
    alpha: dict[str, Any] = {"alpha": ANY}
    table |= {
        "Mean": Rule(lambda x, _: reduce(torch.add, x) / len(x)),
        "Mod": Rule(_mod, {"fmod": (0, 1)}),
        "Where": Rule(lambda x, _: torch.where(x[0], x[1], x[2])),
        "PRelu": Rule(lambda x, _: torch.where(x[0] >= 0, x[0], x[0] * x[1])),
        "LeakyRelu": Rule(lambda x, n: f.leaky_relu(x[0], n.get("alpha", 0.01)), alpha),
        "Elu": Rule(lambda x, n: f.elu(x[0], n.get("alpha", 1.0)), alpha),
        "Celu": Rule(lambda x, n: f.celu(x[0], n.get("alpha", 1.0)), alpha),
        "Selu": Rule(_selu, {"alpha": ANY, "gamma": ANY}),
        "ThresholdedRelu": Rule(_thresholded, alpha),
        "HardSigmoid": Rule(_hard_sigmoid, {"alpha": ANY, "beta": ANY}),
        "Gelu": Rule(
            lambda x, n: f.gelu(x[0], approximate=n.get("approximate", "none")),
            {"approximate": ("none", "tanh")},
        ),
        "Clip": Rule(_clip, {"min": ANY, "max": ANY}, numbers_from=1),
        "Cast": Rule(_cast, {"to": ONNX_TYPES, "saturate": (1,)}),
        "Dropout": Rule(_dropout, {"ratio": ANY, "seed": ANY}, numbers_from=1),
    }
    return table


def _one(function: Callable[[Any], Any]) -> Callable[[Inputs, Node], Any]:
    return lambda x, _: function(x[0])


def _many(function: Callable[[Any, Any], Any]) -> Callable[[Inputs, Node], Any]:
    """Any number of inputs, one after the other; most operators have two."""
    return lambda x, _: reduce(function, x)


def _same(x: Any) -> Any:
    return x


def _power(x: Any, exponent: Any) -> Any:
    """The result has the type of the base."""
    return require_torch().pow(x, exponent).to(x.dtype)


def _divide(x: Any, y: Any) -> Any:
    whole = not x.dtype.is_floating_point and not y.dtype.is_floating_point
    return require_torch().div(x, y, rounding_mode="trunc" if whole else None)


def _mod(x: Inputs, node: Node) -> Any:
    torch = require_torch()
    return (torch.fmod if node.get("fmod", 0) else torch.remainder)(x[0], x[1])


def _selu(x: Inputs, node: Node) -> Any:
    torch = require_torch()
    alpha = node.get("alpha", 1.67326319217681884765625)
    gamma = node.get("gamma", 1.05070102214813232421875)
    return gamma * torch.where(x[0] > 0, x[0], alpha * torch.expm1(x[0].clamp(max=0.0)))


def _thresholded(x: Inputs, node: Node) -> Any:
    torch = require_torch()
    return torch.where(x[0] > node.get("alpha", 1.0), x[0], torch.zeros_like(x[0]))


def _hard_sigmoid(x: Inputs, node: Node) -> Any:
    scaled = x[0] * node.get("alpha", 0.2) + node.get("beta", 0.5)
    return require_torch().clamp(scaled, 0.0, 1.0)


def _clip(x: Inputs, node: Node) -> Any:
    limits: list[float | None] = []
    for index, name in ((1, "min"), (2, "max")):
        value = given(x, index)
        value = node.get(name, None) if value is None else value
        limits.append(None if value is None else float(value))
    torch = require_torch()
    if limits == [None, None]:
        return x[0]
    if limits == [0.0, 6.0]:
        return torch.nn.functional.relu6(x[0])
    return torch.clamp(x[0], *limits)


def _cast(x: Inputs, node: Node) -> Any:
    torch = require_torch()
    kinds = {
        **dict.fromkeys(FLOATS, torch.float32),
        2: torch.uint8,
        3: torch.int8,
        5: torch.int16,
        6: torch.int32,
        7: torch.int64,
        9: torch.bool,
    }
    return x[0].to(kinds[node.attributes["to"]])


def _dropout(x: Inputs, node: Node) -> Any:
    training = given(x, 2)
    if training is not None and bool(training):
        raise refuse(node, "it drops values, as in training")
    return x[0]
