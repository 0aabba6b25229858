"""Layers with weights, norms, softmax and reductions give what ONNX Runtime gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

F = np.float32
RNG = np.random.default_rng(7)


@pytest.mark.parametrize("trans_a", [0, 1])
@pytest.mark.parametrize("trans_b", [0, 1])
@pytest.mark.parametrize("scale", [{}, {"alpha": 0.5, "beta": 2.0}])
@pytest.mark.parametrize("bias", [None, (4,), (1, 4), (5, 1), (5, 4), (1,), ()])
def test_gemm(same: Any, trans_a: int, trans_b: int, scale: dict[str, Any], bias: Any) -> None:
    names, weights = "f w", {"w": RNG.normal(size=(4, 6) if trans_b else (6, 4)).astype(F)}
    if bias is not None:
        names, weights["b"] = "f w b", np.asarray(RNG.normal(size=bias), F)
    axes = np.array([0], np.int64)
    nodes = [
        ("Squeeze", "x zero", "f", {}),
        ("Gemm", names, "y", {"transA": trans_a, "transB": trans_b, **scale}),
    ]
    same(nodes, {**weights, "zero": axes}, shape=(6, 5) if trans_a else (5, 6))


def test_gemm_whose_rows_are_as_many_as_its_columns(same: Any) -> None:
    nodes = [("Squeeze", "x zero", "f", {}), ("Gemm", "f w b", "y", {})]
    weights = {"w": RNG.normal(size=(6, 5)).astype(F), "b": RNG.normal(size=(5, 1)).astype(F)}
    same(nodes, {**weights, "zero": np.array([0], np.int64)}, shape=(5, 6))


@pytest.mark.parametrize("shape", [(8, 5), (3, 8, 5), (8,)])
def test_matmul(same: Any, shape: tuple[int, ...]) -> None:
    same([("MatMul", "x w", "y", {})], {"w": RNG.normal(size=shape).astype(F)})


def test_einsum(same: Any) -> None:
    same(
        [("Einsum", "x w", "y", {"equation": "nchw,dc->ndhw"})],
        {"w": RNG.normal(size=(5, 3)).astype(F)},
    )


CHANNELS = {
    "s": RNG.uniform(0.5, 2, 3).astype(F),
    "b": RNG.normal(size=3).astype(F),
    "m": RNG.normal(size=3).astype(F),
    "v": RNG.uniform(0.5, 2, 3).astype(F),
}


@pytest.mark.parametrize("attributes", [{}, {"epsilon": 0.1}, {"momentum": 0.1}])
def test_batch_normalisation(same: Any, attributes: dict[str, Any]) -> None:
    same([("BatchNormalization", "x s b m v", "y", attributes)], CHANNELS)


@pytest.mark.parametrize("attributes", [{}, {"epsilon": 0.1}])
def test_instance_normalisation(same: Any, attributes: dict[str, Any]) -> None:
    weights = {name: CHANNELS[name] for name in "sb"}
    same([("InstanceNormalization", "x s b", "y", attributes)], weights)


@pytest.mark.parametrize("axis", [-1, 2, 1])
@pytest.mark.parametrize("biased", [True, False])
def test_layer_normalisation(same: Any, axis: int, biased: bool) -> None:
    sides = (1, 3, 6, 8)[axis:]
    weights = {"s": RNG.normal(size=sides).astype(F), "b": RNG.normal(size=sides).astype(F)}
    attributes = {"axis": axis, "epsilon": 0.01}
    if biased:
        same([("LayerNormalization", "x s b", "y", attributes)], weights)
    else:
        same([("LayerNormalization", "x s", "y", attributes)], {"s": weights["s"]})


def test_group_normalisation(same: Any) -> None:
    weights = {"s": RNG.normal(size=4).astype(F), "b": RNG.normal(size=4).astype(F)}
    nodes = [("GroupNormalization", "x s b", "y", {"num_groups": 2, "epsilon": 0.01})]
    same(nodes, weights, opset=21, shape=(4, 5, 6))


@pytest.mark.parametrize("size", [3, 5])
def test_local_response_normalisation(same: Any, size: int) -> None:
    attributes = {"size": size, "alpha": 0.2, "beta": 0.6, "bias": 1.5}
    same([("LRN", "x", "y", attributes)], shape=(6, 4, 5))


@pytest.mark.parametrize("kind", ["Softmax", "LogSoftmax"])
@pytest.mark.parametrize("opset", [11, 12, 13, 17])
@pytest.mark.parametrize("axis", [None, 1, 2, 3, -1, -2, 0])
def test_softmax_along_one_axis_or_all_behind_it(
    same: Any, kind: str, opset: int, axis: int | None
) -> None:
    same([(kind, "x", "y", {} if axis is None else {"axis": axis})], opset=opset)


REDUCTIONS = ("Mean", "Sum", "Max", "Min", "L1", "L2", "SumSquare", "LogSumExp", "Prod")


@pytest.mark.parametrize("kind", REDUCTIONS)
@pytest.mark.parametrize("axes", [(2, 3), (1,), (-1,), (-2, 1)])
@pytest.mark.parametrize("keep", [{}, {"keepdims": 0}])
def test_reductions_with_axes_as_attribute_and_as_input(
    same: Any, kind: str, axes: tuple[int, ...], keep: dict[str, int]
) -> None:
    same([(f"Reduce{kind}", "x", "y", {"axes": list(axes), **keep})], opset=11)
    named = {"a": np.array(axes, np.int64)}
    same([(f"Reduce{kind}", "x a", "y", keep)], named, opset=18)


@pytest.mark.parametrize("kind", REDUCTIONS)
def test_reductions_of_everything(same: Any, kind: str) -> None:
    same([(f"Reduce{kind}", "x", "y", {})], opset=18, shape=(2, 3, 3))
    same([(f"Reduce{kind}", "x", "y", {"keepdims": 0})], opset=11, shape=(2, 3, 3))


@pytest.mark.parametrize("kind", ["Mean", "Sum", "Max", "Min", "Prod"])
def test_a_reduction_without_axes_may_do_nothing(same: Any, kind: str) -> None:
    same([(f"Reduce{kind}", "x", "y", {"noop_with_empty_axes": 1})], opset=18)
