"""Operators that slide a window over the picture: convolutions and pooling."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..needs import require_torch
from .node import ANY, Inputs, Node, Rule, Table, given, refuse

AUTOMATIC = ("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")
Pairs = list[tuple[int, int]]  # before and behind, for each axis of the picture


def windows() -> Table:
    """The operators by name."""
    around: dict[str, Any] = {
        "auto_pad": AUTOMATIC,
        **dict.fromkeys(("kernel_shape", "strides", "pads", "dilations"), ANY),
    }
    pooling = {**around, "ceil_mode": (0, 1)}
    return {
        "Conv": Rule(_conv, {**around, "group": ANY}),
        "ConvTranspose": Rule(
            _conv_transpose, {**around, "group": ANY, "output_padding": ANY, "output_shape": ANY}
        ),
        "MaxPool": Rule(_max_pool, {**pooling, "storage_order": (0,)}),
        "AveragePool": Rule(_average_pool, {**pooling, "count_include_pad": (0, 1)}),
    }


@dataclass(frozen=True)
class Window:
    """The window of a node on each axis of a picture: its sides are those with the gaps."""

    kernel: list[int]
    sides: list[int]
    strides: list[int]
    dilations: list[int]
    pads: Pairs


def _window(node: Node, shape: Sequence[int], kernel: Sequence[int]) -> Window:
    """`shape` is that of the picture, without batch and channels."""
    strides = list(node.get("strides", [1] * len(kernel)))
    dilations = list(node.get("dilations", [1] * len(kernel)))
    sides = [(side - 1) * step + 1 for side, step in zip(kernel, dilations, strict=True)]
    automatic = node.get("auto_pad", "NOTSET")
    if automatic == "NOTSET":
        flat = list(node.get("pads", [0] * 2 * len(kernel)))
        pads = list(zip(flat[: len(kernel)], flat[len(kernel) :], strict=True))
    elif automatic == "VALID":
        pads = [(0, 0)] * len(kernel)
    else:
        pads = []
        for size, side, stride in zip(shape, sides, strides, strict=True):
            total = max((math.ceil(size / stride) - 1) * stride + side - size, 0)
            less, more = total // 2, total - total // 2
            pads.append((less, more) if automatic == "SAME_UPPER" else (more, less))
    return Window(list(kernel), sides, strides, dilations, pads)


def _padded(x: Any, pads: Pairs) -> Any:
    flat = [edge for pair in reversed(pads) for edge in pair]
    return require_torch().nn.functional.pad(x, flat) if any(flat) else x


def _even(pads: Pairs) -> bool:
    return all(start == end >= 0 for start, end in pads)


def _conv(x: Inputs, node: Node) -> Any:
    f = require_torch().nn.functional
    window = _window(node, x[0].shape[2:], x[1].shape[2:])
    image, padding = x[0], [start for start, _ in window.pads]
    if not _even(window.pads):  # symmetric padding goes into the operator, other before it
        image, padding = _padded(image, window.pads), [0] * len(padding)
    function = {1: f.conv1d, 2: f.conv2d, 3: f.conv3d}[len(window.kernel)]
    return function(
        image,
        x[1],
        given(x, 2),
        stride=window.strides,
        padding=padding,
        dilation=window.dilations,
        groups=node.get("group", 1),
    )


def _conv_transpose(x: Inputs, node: Node) -> Any:
    """The whole result, of which the pads are cut off; it may have to be longer than it is."""
    f = require_torch().nn.functional
    count = len(x[1].shape) - 2
    strides = list(node.get("strides", [1] * count))
    dilations = list(node.get("dilations", [1] * count))
    extra = list(node.get("output_padding", [0] * count))
    flat = list(node.get("pads", [0] * 2 * count))
    wanted = node.get("output_shape", None)
    automatic = node.get("auto_pad", "NOTSET")
    pads: Pairs = []
    for i in range(count):
        side = (int(x[1].shape[2 + i]) - 1) * dilations[i] + 1
        whole = strides[i] * (int(x[0].shape[2 + i]) - 1) + side + extra[i]
        if wanted is not None or automatic.startswith("SAME"):
            out = int(x[0].shape[2 + i]) * strides[i] if wanted is None else wanted[-count:][i]
            total = max(whole - out, 0)
            less, more = total // 2, total - total // 2
            start = less if automatic == "SAME_UPPER" else more
            out = whole - total if wanted is None else out
        else:
            start, end = (0, 0) if automatic == "VALID" else (flat[i], flat[count + i])
            out = whole - start - end
        pads.append((start, out))
    function = {1: f.conv_transpose1d, 2: f.conv_transpose2d, 3: f.conv_transpose3d}[count]
    options = {"stride": strides, "dilation": dilations, "groups": node.get("group", 1)}
    bias = given(x, 2)
    ends = []
    for i, (start, out) in enumerate(pads):
        side = (int(x[1].shape[2 + i]) - 1) * dilations[i] + 1
        ends.append(strides[i] * (int(x[0].shape[2 + i]) - 1) + side - start - out)
    grown = [start - end for (start, _), end in zip(pads, ends, strict=True)]
    if all(0 <= more < stride for more, stride in zip(grown, strides, strict=True)):
        padding = [start for start, _ in pads]
        return function(x[0], x[1], bias, padding=padding, output_padding=grown, **options)
    made = function(x[0], x[1], None, **options)
    made = _padded(made, [(-start, -end) for (start, _), end in zip(pads, ends, strict=True)])
    return made if bias is None else made + bias.reshape(1, -1, *[1] * count)


def _places(node: Node, window: Window, shape: Sequence[int]) -> list[int]:
    """How many windows there are on each axis."""
    numbers = []
    for i, size in enumerate(shape):
        start, end = window.pads[i]
        room = size + start + end - window.sides[i]
        stride = window.strides[i]
        number = (-(-room // stride) if node.get("ceil_mode", 0) else room // stride) + 1
        if node.get("ceil_mode", 0) and (number - 1) * stride >= size + start:
            number -= 1  # a window that would begin behind the picture
        numbers.append(number)
    return numbers


def _filling(window: Window, numbers: Sequence[int], shape: Sequence[int]) -> Pairs:
    """Pads with which the windows come out even."""
    pairs = []
    for i, number in enumerate(numbers):
        reach = (number - 1) * window.strides[i] + window.sides[i]
        pairs.append((window.pads[i][0], reach - shape[i] - window.pads[i][0]))
    return pairs


def _is_plain(window: Window, numbers: Sequence[int], shape: Sequence[int]) -> bool:
    """Whether PyTorch's own operator without ceil_mode does the same."""
    for i, (start, end) in enumerate(window.pads):
        room = shape[i] + start + end - window.sides[i]
        fits = numbers[i] == room // window.strides[i] + 1
        if not fits or start != end or not 0 <= start <= window.kernel[i] // 2:
            return False
    return True


def _max_pool(x: Inputs, node: Node) -> Any:
    f = require_torch().nn.functional
    kernel, shape = list(node.attributes["kernel_shape"]), [int(s) for s in x[0].shape[2:]]
    window = _window(node, shape, kernel)
    numbers = _places(node, window, shape)
    function = {1: f.max_pool1d, 2: f.max_pool2d, 3: f.max_pool3d}[len(kernel)]
    options = {"stride": window.strides, "dilation": window.dilations}
    if _is_plain(window, numbers, shape):
        return function(x[0], kernel, padding=[start for start, _ in window.pads], **options)
    image = x[0]
    for i, (start, end) in enumerate(_filling(window, numbers, shape)):
        # Repeated edges change no maximum, and keep the range that int8 must cover.
        if window.dilations[i] > 1 and (start or end > 0):
            raise refuse(node, "dilations with uneven pads")
        if max(start, end) >= window.sides[i]:
            raise refuse(node, f"pads of {start} and {end} for a window of {window.sides[i]}")
        image = _edged(image, 2 + i, start, end)
    return function(image, kernel, **options)


def _edged(x: Any, axis: int, start: int, end: int) -> Any:
    """The first and last places of an axis repeated, or cut off where the end is negative."""
    if end < 0:
        x = x.narrow(axis, 0, x.shape[axis] + end)
    before = [x.narrow(axis, 0, 1)] * start
    behind = [x.narrow(axis, x.shape[axis] - 1, 1)] * max(end, 0)
    return require_torch().cat([*before, x, *behind], axis) if before or behind else x


def _average_pool(x: Inputs, node: Node) -> Any:
    torch = require_torch()
    f = torch.nn.functional
    kernel, shape = list(node.attributes["kernel_shape"]), [int(s) for s in x[0].shape[2:]]
    window = _window(node, shape, kernel)
    if set(window.dilations) != {1}:
        raise refuse(node, f"dilations={window.dilations}")
    numbers = _places(node, window, shape)
    counted = bool(node.get("count_include_pad", 0))
    function = {1: f.avg_pool1d, 2: f.avg_pool2d, 3: f.avg_pool3d}[len(kernel)]
    if _is_plain(window, numbers, shape):
        padding = [start for start, _ in window.pads]
        return function(
            x[0], kernel, stride=window.strides, padding=padding, count_include_pad=counted
        )
    image = _padded(x[0], _filling(window, numbers, shape))
    made = function(image, kernel, stride=window.strides)
    share = np.ones([1] * x[0].ndim)
    for i, number in enumerate(numbers):
        start, end = window.pads[i] if counted else (0, 0)
        first = np.arange(number) * window.strides[i] - window.pads[i][0]
        last = np.minimum(first + kernel[i], shape[i] + end)
        inside = np.maximum(last - np.maximum(first, -start), 1)
        sides = [1] * x[0].ndim
        sides[2 + i] = -1
        share = share * (kernel[i] / inside).reshape(sides)
    return made if (share == 1).all() else made * torch.from_numpy(share.astype(np.float32))
