"""Operators that move values give what ONNX Runtime gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

INT = np.int64
LAST = 2**62  # as far as a slice can go


def ints(*values: int) -> np.ndarray:
    return np.array(values, INT)


@pytest.mark.parametrize(
    ("shape", "attributes"),
    [
        ((0, -1), {}),
        ((1, 3, 48), {}),
        ((0, 0, -1), {}),
        ((0, 3, 0, 8), {}),
        ((-1, 8), {"allowzero": 1}),
        ((0, 3, 2, 3, 8), {}),
    ],
)
def test_reshape(same: Any, shape: tuple[int, ...], attributes: dict[str, Any]) -> None:
    same([("Reshape", "x s", "y", attributes)], {"s": ints(*shape)})


@pytest.mark.parametrize("axis", [None, 0, 1, 2, 3, 4, -1, -2])
def test_flatten_gives_two_sides(same: Any, axis: int | None) -> None:
    same([("Flatten", "x", "y", {} if axis is None else {"axis": axis})])


@pytest.mark.parametrize("attributes", [{}, {"perm": [0, 2, 3, 1]}, {"perm": [0, 3, 1, 2]}])
def test_transpose_turns_all_axes_around_unless_told(same: Any, attributes: dict[str, Any]) -> None:
    same([("Transpose", "x", "y", attributes)])


@pytest.mark.parametrize("axes", [(1,), (-3,), (0, 1), (1, 3)])
def test_squeeze_and_unsqueeze(same: Any, axes: tuple[int, ...]) -> None:
    shape = (1, 4, 1)
    same([("Squeeze", "x a", "y", {})], {"a": ints(*axes)}, shape=shape)
    same([("Squeeze", "x", "y", {"axes": list(axes)})], shape=shape, opset=11)
    same([("Unsqueeze", "x a", "y", {})], {"a": ints(*axes)}, shape=shape)
    same([("Unsqueeze", "x", "y", {"axes": [a % 5 for a in axes]})], shape=shape, opset=11)


def test_unsqueeze_counts_from_behind_in_what_it_makes(same: Any) -> None:
    same([("Unsqueeze", "x a", "y", {})], {"a": ints(-1, 0, -3)})


def test_squeeze_of_everything(same: Any) -> None:
    same([("Squeeze", "x", "y", {})], shape=(1, 4, 1))


@pytest.mark.parametrize(
    ("starts", "ends", "axes", "steps"),
    [
        ((1,), (3,), (2,), None),
        ((-3,), (-1,), (2,), (1,)),
        ((0, 1), (LAST, 6), (2, 3), (2, 3)),
        ((-1,), (-LAST,), (3,), (-1,)),
        ((5,), (1,), (3,), (-2,)),
        ((-1,), (-LAST,), (-1,), (-3,)),
        ((-100, 2), (100, 100), (1, 2), (1, 1)),
        ((0, 0, 1), (1, 2, 4), None, None),
        ((7,), (0,), (3,), (-1,)),
    ],
)
def test_slice(same: Any, starts: Any, ends: Any, axes: Any, steps: Any) -> None:
    weights = {"s": ints(*starts), "e": ints(*ends)}
    names = "x s e"
    if axes is not None:
        weights["a"], names = ints(*axes), "x s e a"
    if steps is not None:
        weights["t"], names = ints(*steps), "x s e a t"
    same([("Slice", names, "y", {})], weights)


@pytest.mark.parametrize("attributes", [{"axes": [1, 3]}, {}])
def test_slice_by_attributes(same: Any, attributes: dict[str, Any]) -> None:
    limits = (
        {"starts": [0, -5], "ends": [2, 7]} if attributes else {"starts": [0, 1], "ends": [1, 3]}
    )
    same([("Slice", "x", "y", {**limits, **attributes})], opset=9)


def test_split_into_sizes(same: Any) -> None:
    same([("Split", "x s", "a y b", {"axis": 3})], {"s": ints(1, 5, 2)})
    same([("Split", "x", "a y", {"axis": -2, "split": [2, 4]})], opset=11)


@pytest.mark.parametrize("outputs", [["a", "b", "c"], ["a", "b", "c", "d"]])
def test_split_into_equal_pieces_by_the_number_of_outputs(same: Any, outputs: list[str]) -> None:
    axis = 1 if len(outputs) == 3 else 3
    same([("Split", "x", " ".join(outputs), {"axis": axis})], outputs=outputs)
    attributes = {"axis": axis, "num_outputs": len(outputs)}
    same([("Split", "x", " ".join(outputs), attributes)], outputs=outputs, opset=18)


def test_split_whose_last_piece_is_smaller(same: Any) -> None:
    attributes = {"axis": 3, "num_outputs": 3}
    same([("Split", "x", "a b c", attributes)], outputs=["a", "b", "c"], opset=18)


@pytest.mark.parametrize("axis", [1, 2, -1])
def test_concat_of_three(same: Any, axis: int) -> None:
    same([("Neg", "x", "n", {}), ("Concat", "x n x", "y", {"axis": axis})])


@pytest.mark.parametrize("mode", ["constant", "reflect", "edge", "wrap"])
@pytest.mark.parametrize(
    "pads", [(0, 0, 1, 2, 0, 0, 2, 1), (0, 0, 0, 3, 0, 0, 0, 0), (0, 1, 2, 0, 0, 1, 0, 2)]
)
def test_pad(same: Any, mode: str, pads: tuple[int, ...]) -> None:
    same([("Pad", "x p", "y", {"mode": mode})], {"p": ints(*pads)}, opset=19)


def test_pad_with_a_value_and_what_is_cut_off(same: Any) -> None:
    weights = {"p": ints(0, 0, -1, 2, 0, 0, 1, -2), "v": np.array(0.7, np.float32)}
    same([("Pad", "x p v", "y", {})], weights)
    attributes = {"pads": [0, 0, -1, 2, 0, 0, 1, -2], "value": 0.7, "mode": "constant"}
    same([("Pad", "x", "y", attributes)], opset=10)


def test_pad_of_some_axes_only(same: Any) -> None:
    weights = {"p": ints(1, 2, 3, 0), "a": ints(-1, 2)}
    same([("Pad", "x p - a", "y", {"mode": "edge"})], weights, opset=18)
    same([("Pad", "x p - a", "y", {})], weights, opset=18)


@pytest.mark.parametrize(
    ("places", "axis"),
    [(2, 1), (-1, 2), ([0, 2], 1), ([-1, 0, -2], 3), ([[0, 1], [2, 0]], 1), ([1, 2, 3], -1)],
)
def test_gather(same: Any, places: Any, axis: int) -> None:
    same([("Gather", "x i", "y", {"axis": axis})], {"i": np.array(places, INT)})


@pytest.mark.parametrize("shape", [(1, 3, 6, 8), (2, 1, 3, 6, 8), (8,), (1, 1, 1)])
def test_expand_in_both_directions(same: Any, shape: tuple[int, ...]) -> None:
    same([("Expand", "x s", "y", {})], {"s": ints(*shape)})
    same([("Expand", "x s", "y", {})], {"s": ints(1, 3, 5, 8)}, shape=(3, 1, 8))


def test_tile(same: Any) -> None:
    same([("Tile", "x r", "y", {})], {"r": ints(1, 2, 1, 3)})


@pytest.mark.parametrize("attributes", [{}, {"mode": "DCR"}, {"mode": "CRD"}])
def test_depth_to_space_in_both_orders(same: Any, attributes: dict[str, Any]) -> None:
    same([("DepthToSpace", "x", "y", {"blocksize": 2, **attributes})], shape=(12, 3, 2))


def test_space_to_depth(same: Any) -> None:
    same([("SpaceToDepth", "x", "y", {"blocksize": 2})])


@pytest.mark.parametrize("limits", [{}, {"start": 1}, {"start": -2, "end": -1}, {"end": 3}])
def test_a_shape_worked_out_in_the_graph(same: Any, limits: dict[str, int]) -> None:
    nodes = [
        ("Shape", "x", "s", limits),
        ("Cast", "s", "f", {"to": 1}),
        ("ReduceSum", "f", "t", {"keepdims": 0}),
        ("Mul", "x t", "y", {}),
    ]
    same(nodes)


def test_a_reshape_by_sides_of_the_picture_itself(same: Any) -> None:
    nodes = [
        ("Shape", "x", "s", {}),
        ("Gather", "s two", "h", {"axis": 0}),
        ("Unsqueeze", "h zero", "hs", {}),
        ("Concat", "one hs rest", "t", {"axis": 0}),
        ("Reshape", "x t", "y", {}),
    ]
    weights = {"two": np.array(2, INT), "zero": ints(0), "one": ints(1), "rest": ints(-1)}
    same(nodes, weights)


def test_weights_that_the_graph_changes_first(same: Any) -> None:
    nodes = [
        ("Transpose", "w", "t", {"perm": [1, 0, 2, 3]}),
        ("Mul", "t half", "h", {}),
        ("Conv", "x h", "y", {}),
    ]
    rng = np.random.default_rng(2)
    same(nodes, {"w": rng.normal(size=(3, 5, 2, 2)).astype(np.float32), "half": np.float32([0.5])})
