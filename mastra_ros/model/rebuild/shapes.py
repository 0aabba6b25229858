"""Operators that move values about without changing them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..needs import require_torch
from .node import ANY, Inputs, Node, Rule, Table, given, ints, refuse


def shapes() -> Table:
    """The operators by name."""
    torch = require_torch()
    return {
        "Concat": Rule(lambda x, n: torch.cat(x, n.attributes["axis"]), {"axis": ANY}),
        "Reshape": Rule(_reshape, {"allowzero": (0, 1)}, numbers_from=1),
        "Flatten": Rule(_flatten, {"axis": ANY}),
        "Transpose": Rule(_transpose, {"perm": ANY}),
        "Squeeze": Rule(_squeeze, {"axes": ANY}, numbers_from=1),
        "Unsqueeze": Rule(_unsqueeze, {"axes": ANY}, numbers_from=1),
        "Slice": Rule(_slice, {"starts": ANY, "ends": ANY, "axes": ANY}, numbers_from=1),
        "Split": Rule(
            _split, {"axis": ANY, "split": ANY, "num_outputs": ANY}, numbers_from=1, outputs=10**6
        ),
        "Pad": Rule(
            _pad,
            {
                "mode": ("constant", "reflect", "edge", "wrap"),
                "pads": ANY,
                "paddings": ANY,
                "value": ANY,
            },
            numbers_from=1,
        ),
        "Shape": Rule(_shape, {"start": ANY, "end": ANY}),
        "Size": Rule(lambda x, _: torch.tensor(x[0].numel())),
        "Gather": Rule(_gather, {"axis": ANY}, numbers_from=1),
        "Expand": Rule(_expand, numbers_from=1),
        "Tile": Rule(lambda x, _: x[0].repeat(ints(x[1])), numbers_from=1),
        "DepthToSpace": Rule(_depth_to_space, {"blocksize": ANY, "mode": ("DCR", "CRD")}),
        "SpaceToDepth": Rule(_space_to_depth, {"blocksize": ANY}),
    }


def _reshape(x: Inputs, node: Node) -> Any:
    shape = ints(x[1])
    if not node.get("allowzero", 0):  # 0: as it was
        shape = [x[0].shape[i] if side == 0 else side for i, side in enumerate(shape)]
    return x[0].reshape(shape)


def _flatten(x: Inputs, node: Node) -> Any:
    """Two sides: those before the axis, and those from it on."""
    axis = node.get("axis", 1)
    axis += x[0].ndim if axis < 0 else 0
    if axis == 1:
        return x[0].flatten(1) if x[0].ndim > 1 else x[0].reshape(-1, 1)
    return x[0].reshape(math.prod(x[0].shape[:axis]), -1)


def _transpose(x: Inputs, node: Node) -> Any:
    return x[0].permute(*node.get("perm", reversed(range(x[0].ndim))))


def _axes(x: Inputs, node: Node) -> list[int]:
    """The axes, which are an attribute in old operators and an input in newer ones."""
    named = given(x, 1)
    return ints(node.get("axes", []) if named is None else named)


def _squeeze(x: Inputs, node: Node) -> Any:
    axes = _axes(x, node)
    return x[0].squeeze(tuple(axes)) if axes else x[0].squeeze()


def _unsqueeze(x: Inputs, node: Node) -> Any:
    axes = _axes(x, node)
    made = x[0]
    for axis in sorted(axis % (x[0].ndim + len(axes)) for axis in axes):
        made = made.unsqueeze(axis)
    return made


def _slice(x: Inputs, node: Node) -> Any:
    torch = require_torch()
    if len(x) > 1:
        starts, ends = ints(x[1]), ints(x[2])
        axes, steps = given(x, 3), given(x, 4)
    else:
        starts, ends = list(node.attributes["starts"]), list(node.attributes["ends"])
        axes, steps = node.get("axes", None), None
    axes = range(len(starts)) if axes is None else ints(axes)
    steps = [1] * len(starts) if steps is None else ints(steps)
    made = x[0]
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        side = int(made.shape[axis])
        chosen = list(_places(start, end, step, side))
        if chosen == list(range(side)):
            continue
        if chosen == list(range(side))[::-1]:
            made = made.flip(axis)
        elif step > 0:
            first, last = (chosen[0], chosen[-1] + 1) if chosen else (0, 0)
            at = [slice(None)] * made.ndim
            at[axis] = slice(first, last, step)
            made = made[tuple(at)]
        else:
            made = made.index_select(axis, torch.tensor(chosen, dtype=torch.int64))
    return made


def _places(start: int, end: int, step: int, side: int) -> range:
    """The places that a slice takes of a side, clamped as ONNX says."""
    start += side if start < 0 else 0
    end += side if end < 0 else 0
    if step > 0:
        return range(min(max(start, 0), side), min(max(end, 0), side), step)
    return range(min(max(start, 0), side - 1), min(max(end, -1), side - 1), step)


def _split(x: Inputs, node: Node) -> Any:
    """Into the sizes given, or equal pieces, of which the last may be smaller."""
    axis = node.get("axis", 0)
    named = given(x, 1)
    sizes = ints(node.get("split", []) if named is None else named)
    if not sizes:
        side, number = int(x[0].shape[axis]), node.get("num_outputs", len(node.makes))
        piece = -(-side // number)
        sizes = [max(min(piece, side - i * piece), 0) for i in range(number)]
    return tuple(x[0].split(sizes, axis))


def _pad(x: Inputs, node: Node) -> Any:
    """Each axis by itself; what is negative is cut off."""
    torch = require_torch()
    pads = given(x, 1)
    pads = ints(node.get("pads", node.get("paddings", None)) if pads is None else pads)
    axes, value = given(x, 3), given(x, 2)
    half = len(pads) // 2
    axes = list(range(half)) if axes is None else ints(axes)
    value = float(node.get("value", 0.0)) if value is None else float(value)
    mode = node.get("mode", "constant")
    if mode == "constant":
        around = [[0, 0] for _ in range(x[0].ndim)]
        for i, axis in enumerate(axes):
            around[axis] = [pads[i], pads[half + i]]
        flat = [edge for pair in reversed(around) for edge in pair]
        while flat and flat[-2:] == [0, 0]:  # sides in front stay out of it, such as the batch
            flat = flat[:-2]
        return torch.nn.functional.pad(x[0], flat, value=value) if flat else x[0]
    made = x[0]
    for i, axis in enumerate(axes):
        start, end = pads[i], pads[half + i]
        if start or end:
            side = np.arange(made.shape[axis])[max(-start, 0) :]
            side = side[: len(side) - max(-end, 0)]
            places = np.pad(side, (max(start, 0), max(end, 0)), mode=mode)
            made = made.index_select(axis, torch.from_numpy(places.astype(np.int64)))
    return made


def _shape(x: Inputs, node: Node) -> Any:
    sides = list(x[0].shape)[node.get("start", 0) : node.get("end", None)]
    return require_torch().tensor(sides, dtype=require_torch().int64)


def _gather(x: Inputs, node: Node) -> Any:
    torch = require_torch()
    axis = node.get("axis", 0)
    axis += x[0].ndim if axis < 0 else 0
    side = int(x[0].shape[axis])
    places = np.asarray(x[1])
    places = np.where(places < 0, places + side, places)
    if places.ndim == 0:
        return x[0].select(axis, int(places))
    flat = places.reshape(-1).astype(np.int64)
    if places.size and (np.diff(flat) == 1).all():
        chosen = x[0].narrow(axis, int(flat[0]), len(flat))
    else:
        chosen = x[0].index_select(axis, torch.from_numpy(flat))
    return chosen.reshape([*x[0].shape[:axis], *places.shape, *x[0].shape[axis + 1 :]])


def _expand(x: Inputs, node: Node) -> Any:
    del node
    shape = ints(x[1])
    sides = [1] * (len(shape) - x[0].ndim) + list(x[0].shape)
    shape = [1] * (len(sides) - len(shape)) + shape
    wanted = [side if want == 1 else want for side, want in zip(sides, shape, strict=True)]
    return x[0].expand(wanted)


def _depth_to_space(x: Inputs, node: Node) -> Any:
    size = node.attributes["blocksize"]
    if node.get("mode", "DCR") == "CRD":
        return require_torch().nn.functional.pixel_shuffle(x[0], size)
    n, channels, height, width = x[0].shape
    blocks = x[0].reshape(n, size, size, channels // size**2, height, width)
    return blocks.permute(0, 3, 4, 1, 5, 2).reshape(
        n, channels // size**2, height * size, width * size
    )


def _space_to_depth(x: Inputs, node: Node) -> Any:
    size = node.attributes["blocksize"]
    n, channels, height, width = x[0].shape
    if height % size or width % size:
        raise refuse(node, f"{width}x{height} is no multiple of the block of {size}")
    blocks = x[0].reshape(n, channels, height // size, size, width // size, size)
    return blocks.permute(0, 3, 5, 1, 2, 4).reshape(
        n, channels * size**2, height // size, width // size
    )
