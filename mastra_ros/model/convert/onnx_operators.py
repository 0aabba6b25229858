"""What each ONNX operator does, in PyTorch. See onnx.ai/onnx/operators for their meaning.

Each function takes the list of inputs (None where one is left out) and the attributes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...errors import ModelError
from .export import require_torch

Inputs = list[Any]
Attributes = Mapping[str, Any]
Operator = Callable[[Inputs, Attributes], Any]

NUMBERS = {
    **dict.fromkeys(["Reshape", "Squeeze", "Unsqueeze", "Slice", "Split", "Pad", "Gather"], 1),
    **dict.fromkeys(["Resize", "Upsample", "Clip", "Expand", "ReduceSum", "ReduceMean"], 1),
    "ReduceMax": 1,
    "ConstantOfShape": 0,
}
"""Inputs from this index on are needed as numbers, not as tensors."""


def operators() -> dict[str, Operator]:
    """The operators by name."""
    torch = require_torch()
    f = torch.nn.functional

    def one(function: Callable[[Any], Any]) -> Operator:
        return lambda x, _: function(x[0])

    def two(function: Callable[[Any, Any], Any]) -> Operator:
        return lambda x, _: function(x[0], x[1])

    table: dict[str, Operator] = {
        "Relu": one(torch.relu),
        "Sigmoid": one(torch.sigmoid),
        "Tanh": one(torch.tanh),
        "Exp": one(torch.exp),
        "Log": one(torch.log),
        "Sqrt": one(torch.sqrt),
        "Abs": one(torch.abs),
        "Neg": one(torch.neg),
        "Erf": one(torch.erf),
        "Floor": one(torch.floor),
        "Softplus": one(f.softplus),
        "HardSwish": one(f.hardswish),
        "Identity": one(lambda x: x),
        "Dropout": one(lambda x: x),
        "Add": two(torch.add),
        "Sub": two(torch.sub),
        "Mul": two(torch.mul),
        "Pow": two(torch.pow),
        "MatMul": two(torch.matmul),
        "Min": two(torch.minimum),
        "Max": two(torch.maximum),
        "Div": _div,
        "Conv": _conv,
        "ConvTranspose": _conv_transpose,
        "Gemm": _gemm,
        "BatchNormalization": lambda x, a: f.batch_norm(
            x[0], x[3], x[4], x[1], x[2], False, 0.0, a.get("epsilon", 1e-5)
        ),
        "LeakyRelu": lambda x, a: f.leaky_relu(x[0], a.get("alpha", 0.01)),
        "PRelu": lambda x, _: torch.where(x[0] >= 0, x[0], x[0] * x[1]),
        "Elu": lambda x, a: f.elu(x[0], a.get("alpha", 1.0)),
        "HardSigmoid": lambda x, a: torch.clamp(
            x[0] * a.get("alpha", 0.2) + a.get("beta", 0.5), 0.0, 1.0
        ),
        "Clip": _clip,
        "Softmax": lambda x, a: torch.softmax(x[0], a.get("axis", -1)),
        "MaxPool": _max_pool,
        "AveragePool": _average_pool,
        "GlobalAveragePool": lambda x, _: x[0].mean((2, 3), keepdim=True),
        "GlobalMaxPool": lambda x, _: x[0].amax((2, 3), keepdim=True),
        "ReduceMean": _reduce(lambda x, axes, keep: x.mean(axes, keepdim=keep)),
        "ReduceSum": _reduce(lambda x, axes, keep: x.sum(axes, keepdim=keep)),
        "ReduceMax": _reduce(lambda x, axes, keep: x.amax(axes, keepdim=keep)),
        "Concat": lambda x, a: torch.cat(x, a["axis"]),
        "Reshape": _reshape,
        "Flatten": lambda x, a: x[0].flatten(a.get("axis", 1)),
        "Transpose": lambda x, a: x[0].permute(*a["perm"]),
        "Squeeze": _squeeze,
        "Unsqueeze": _unsqueeze,
        "Slice": _slice,
        "Split": _split,
        "Pad": _pad,
        "Resize": _resize,
        "Upsample": _resize,
        "Shape": lambda x, _: torch.tensor(list(x[0].shape)),
        "Gather": _gather,
        "Cast": _cast,
        "Expand": lambda x, _: x[0] * torch.ones(_ints(x[1]), dtype=x[0].dtype),
        "Constant": _constant,
        "ConstantOfShape": lambda x, a: torch.full(
            _ints(x[0]), float(a["value"].reshape(-1)[0]) if "value" in a else 0.0
        ),
        "DepthToSpace": _depth_to_space,
    }
    return table


def _constant(x: Inputs, a: Attributes) -> Any:
    del x
    (value,) = a.values()
    return require_torch().from_numpy(np.array(value))


def _ints(value: Any) -> list[int]:
    return [int(v) for v in value.reshape(-1).tolist()]


def _padding(x: Any, a: Attributes, sides: list[int], value: float = 0.0) -> tuple[Any, list[int]]:
    """Explicit padding: symmetric goes into the operator, the rest is added before it."""
    torch = require_torch()
    strides = list(a.get("strides", [1] * len(sides)))
    automatic = a.get("auto_pad", "NOTSET")
    if automatic in ("SAME_UPPER", "SAME_LOWER"):
        pads = []
        for size, side, stride in zip(x.shape[2:], sides, strides, strict=True):
            total = max((math.ceil(size / stride) - 1) * stride + side - size, 0)
            pads.append((total // 2, total - total // 2))
        if automatic == "SAME_LOWER":
            pads = [(end, start) for start, end in pads]
    else:
        flat = list(a.get("pads", [0] * 2 * len(sides)))
        pads = list(zip(flat[: len(sides)], flat[len(sides) :], strict=True))
    if all(start == end for start, end in pads):
        return x, [start for start, _ in pads]
    around = [edge for start, end in reversed(pads) for edge in (start, end)]
    return torch.nn.functional.pad(x, around, value=value), [0] * len(sides)


def _effective(a: Attributes, sides: list[int]) -> list[int]:
    dilations = a.get("dilations", [1] * len(sides))
    return [(side - 1) * step + 1 for side, step in zip(sides, dilations, strict=True)]


def _conv(x: Inputs, a: Attributes) -> Any:
    f = require_torch().nn.functional
    sides = list(x[1].shape[2:])
    image, padding = _padding(x[0], a, _effective(a, sides))
    function = {1: f.conv1d, 2: f.conv2d}[len(sides)]
    return function(
        image,
        x[1],
        x[2] if len(x) > 2 else None,
        stride=list(a.get("strides", [1] * len(sides))),
        padding=padding,
        dilation=list(a.get("dilations", [1] * len(sides))),
        groups=a.get("group", 1),
    )


def _conv_transpose(x: Inputs, a: Attributes) -> Any:
    pads = list(a.get("pads", [0, 0, 0, 0]))
    if pads[:2] != pads[2:] or a.get("auto_pad", "NOTSET") != "NOTSET":
        raise ModelError("ConvTranspose with uneven padding cannot be converted")
    return require_torch().nn.functional.conv_transpose2d(
        x[0],
        x[1],
        x[2] if len(x) > 2 else None,
        stride=list(a.get("strides", [1, 1])),
        padding=pads[:2],
        output_padding=list(a.get("output_padding", [0, 0])),
        groups=a.get("group", 1),
        dilation=list(a.get("dilations", [1, 1])),
    )


def _div(x: Inputs, a: Attributes) -> Any:
    del a
    torch = require_torch()
    whole = not x[0].dtype.is_floating_point and not x[1].dtype.is_floating_point
    return torch.div(x[0], x[1], rounding_mode="trunc" if whole else None)


def _gemm(x: Inputs, a: Attributes) -> Any:
    left = x[0].t() if a.get("transA", 0) else x[0]
    right = x[1] if a.get("transB", 0) else x[1].t()
    scaled = right * a.get("alpha", 1.0) if a.get("alpha", 1.0) != 1.0 else right
    bias = x[2] if len(x) > 2 else None
    if bias is not None and a.get("beta", 1.0) != 1.0:
        bias = bias * a["beta"]
    return require_torch().nn.functional.linear(left, scaled, bias)


def _clip(x: Inputs, a: Attributes) -> Any:
    low = x[1] if len(x) > 1 and x[1] is not None else a.get("min")
    high = x[2] if len(x) > 2 and x[2] is not None else a.get("max")
    limits = [None if v is None else float(v) for v in (low, high)]
    torch = require_torch()
    if limits == [0.0, 6.0]:
        return torch.nn.functional.relu6(x[0])
    return torch.clamp(x[0], *limits)


def _max_pool(x: Inputs, a: Attributes) -> Any:
    sides = list(a["kernel_shape"])
    image, padding = _padding(x[0], a, sides, -math.inf)
    return require_torch().nn.functional.max_pool2d(
        image,
        sides,
        stride=list(a.get("strides", [1, 1])),
        padding=padding,
        ceil_mode=bool(a.get("ceil_mode", 0)),
    )


def _average_pool(x: Inputs, a: Attributes) -> Any:
    sides = list(a["kernel_shape"])
    image, padding = _padding(x[0], a, sides)
    if image is not x[0] and not a.get("count_include_pad", 0):
        raise ModelError("AveragePool with uneven padding cannot be converted")
    return require_torch().nn.functional.avg_pool2d(
        image,
        sides,
        stride=list(a.get("strides", [1, 1])),
        padding=padding,
        ceil_mode=bool(a.get("ceil_mode", 0)),
        count_include_pad=bool(a.get("count_include_pad", 0)),
    )


def _reduce(function: Callable[[Any, list[int], bool], Any]) -> Operator:
    def run(x: Inputs, a: Attributes) -> Any:
        axes = _ints(x[1]) if len(x) > 1 and x[1] is not None else list(a.get("axes", []))
        return function(x[0], axes or list(range(x[0].ndim)), bool(a.get("keepdims", 1)))

    return run


def _reshape(x: Inputs, a: Attributes) -> Any:
    del a
    shape = [x[0].shape[i] if side == 0 else side for i, side in enumerate(_ints(x[1]))]
    return x[0].reshape(shape)


def _axes(x: Inputs, a: Attributes) -> list[int]:
    return _ints(x[1]) if len(x) > 1 and x[1] is not None else list(a.get("axes", []))


def _squeeze(x: Inputs, a: Attributes) -> Any:
    axes = _axes(x, a)
    return x[0].squeeze(tuple(axes)) if axes else x[0].squeeze()


def _unsqueeze(x: Inputs, a: Attributes) -> Any:
    made = x[0]
    for axis in sorted(_axes(x, a)):
        made = made.unsqueeze(axis)
    return made


def _slice(x: Inputs, a: Attributes) -> Any:
    if len(x) > 1:
        starts, ends = _ints(x[1]), _ints(x[2])
        axes = _ints(x[3]) if len(x) > 3 and x[3] is not None else list(range(len(starts)))
        steps = _ints(x[4]) if len(x) > 4 and x[4] is not None else [1] * len(starts)
    else:
        starts, ends = list(a["starts"]), list(a["ends"])
        axes, steps = list(a.get("axes", range(len(starts)))), [1] * len(starts)
    at = [slice(None)] * x[0].ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if step < 1:
            raise ModelError("Slice with a negative step cannot be converted")
        at[axis] = slice(start, end, step)
    return x[0][tuple(at)]


def _split(x: Inputs, a: Attributes) -> Any:
    sizes = _ints(x[1]) if len(x) > 1 and x[1] is not None else list(a.get("split", []))
    axis = a.get("axis", 0)
    return x[0].split(sizes, axis) if sizes else x[0].chunk(a.get("num_outputs", 2), axis)


def _pad(x: Inputs, a: Attributes) -> Any:
    pads = _ints(x[1]) if len(x) > 1 else list(a["pads"])
    value = float(x[2]) if len(x) > 2 and x[2] is not None else a.get("value", 0.0)
    half = len(pads) // 2
    around = [edge for i in reversed(range(half)) for edge in (pads[i], pads[half + i])]
    modes = {"constant": "constant", "edge": "replicate", "reflect": "reflect"}
    mode = modes[a.get("mode", "constant")]
    extra = {"value": value} if mode == "constant" else {}
    return require_torch().nn.functional.pad(x[0], around, mode=mode, **extra)


def _resize(x: Inputs, a: Attributes) -> Any:
    f = require_torch().nn.functional
    scales: Any = x[2] if len(x) > 2 else x[1]
    if len(x) > 3 and x[3] is not None:
        size = _ints(x[3])[2:]
    else:
        factors = scales.reshape(-1).tolist()
        size = [int(s * k) for s, k in zip(x[0].shape[2:], factors[2:], strict=True)]
    if a.get("mode", "nearest") == "nearest":
        return f.interpolate(x[0], size=size, mode="nearest")
    corners = a.get("coordinate_transformation_mode", "half_pixel") == "align_corners"
    return f.interpolate(x[0], size=size, mode="bilinear", align_corners=corners)


def _gather(x: Inputs, a: Attributes) -> Any:
    torch = require_torch()
    axis = a.get("axis", 0)
    if x[1].ndim == 0:
        return x[0].select(axis, int(x[1]))
    chosen = x[0].index_select(axis, torch.tensor(_ints(x[1])))
    return chosen.reshape([*x[0].shape[:axis], *x[1].shape, *x[0].shape[axis + 1 :]])


def _cast(x: Inputs, a: Attributes) -> Any:
    torch = require_torch()
    kinds = {1: torch.float32, 6: torch.int32, 7: torch.int64, 9: torch.bool}
    return x[0].to(kinds.get(a["to"], torch.float32))


def _depth_to_space(x: Inputs, a: Attributes) -> Any:
    if a.get("mode", "DCR") != "CRD":
        raise ModelError("DepthToSpace in mode DCR cannot be converted")
    return require_torch().nn.functional.pixel_shuffle(x[0], a["blocksize"])
