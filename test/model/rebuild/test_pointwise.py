"""Operators on single values give what ONNX Runtime gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

F = np.float32
SLOPES = np.linspace(0.1, 0.5, 3, dtype=F).reshape(3, 1, 1)

ALONE: list[tuple[str, dict[str, Any]]] = [
    *[
        (kind, {})
        for kind in (
            *("Relu", "Sigmoid", "Tanh", "Exp", "Abs", "Neg", "Erf", "Floor", "Ceil", "Round"),
            *("Sign", "Reciprocal", "Sin", "Cos", "Softplus", "Softsign", "HardSwish", "Mish"),
            *("Identity", "LeakyRelu", "Elu", "Selu", "Celu", "ThresholdedRelu", "HardSigmoid"),
        )
    ],
    ("LeakyRelu", {"alpha": 0.3}),
    ("Elu", {"alpha": 0.5}),
    ("Celu", {"alpha": 2.0}),
    ("Selu", {"alpha": 1.2, "gamma": 0.7}),
    ("ThresholdedRelu", {"alpha": 0.2}),
    ("HardSigmoid", {"alpha": 0.5, "beta": 0.1}),
    ("Dropout", {}),
]


@pytest.mark.parametrize(("kind", "attributes"), ALONE)
def test_a_function_of_one_value(same: Any, kind: str, attributes: dict[str, Any]) -> None:
    opset = 18 if kind == "Mish" else 17
    same([(kind, "x", "y", attributes)], opset=opset)


@pytest.mark.parametrize("attributes", [{}, {"approximate": "tanh"}, {"approximate": "none"}])
def test_gelu_in_both_its_forms(same: Any, attributes: dict[str, Any]) -> None:
    same([("Gelu", "x", "y", attributes)], opset=20)


@pytest.mark.parametrize("kind", ["Log", "Sqrt"])
def test_a_function_of_what_is_above_zero(same: Any, kind: str) -> None:
    same([(kind, "x", "y", {})], low=0.1)


@pytest.mark.parametrize("kind", ["Add", "Sub", "Mul", "Div", "Min", "Max", "Sum", "Mean"])
def test_a_function_of_two_values(same: Any, kind: str) -> None:
    other = np.linspace(0.5, 2.0, 8, dtype=F)
    same([(kind, "x w", "y", {})], {"w": other})
    same([(kind, "w x", "y", {})], {"w": other}, low=0.5)


@pytest.mark.parametrize("kind", ["Min", "Max", "Sum", "Mean"])
@pytest.mark.parametrize("number", [1, 3, 4])
def test_every_input_counts_however_many(same: Any, kind: str, number: int) -> None:
    rng = np.random.default_rng(number)
    weights = {f"w{i}": rng.uniform(-2, 2, (3, 6, 8)).astype(F) for i in range(number - 1)}
    same([(kind, " ".join(["x", *weights]), "y", {})], weights)


@pytest.mark.parametrize("exponent", [F(3.0), F(0.5), np.int64(2)])
def test_a_power_has_the_type_of_its_base(same: Any, exponent: Any) -> None:
    same([("Pow", "x e", "y", {})], {"e": np.array(exponent)}, low=0.1)


@pytest.mark.parametrize(
    ("low", "high"), [(-1.0, 1.0), (None, 0.5), (-0.5, None), (0.0, 6.0), (None, None)]
)
def test_clip_with_and_without_its_limits(same: Any, low: float | None, high: float | None) -> None:
    weights = {n: np.array(v, F) for n, v in (("low", low), ("high", high)) if v is not None}
    names = f"x {'low' if low is not None else '-'} {'high' if high is not None else '-'}"
    same([("Clip", names, "y", {})], weights, high=8.0)


@pytest.mark.parametrize("attributes", [{}, {"min": -0.5}, {"max": 1.0}, {"min": 0.1, "max": 0.2}])
def test_clip_with_its_limits_as_attributes(same: Any, attributes: dict[str, Any]) -> None:
    same([("Clip", "x", "y", attributes)], opset=10)


def test_prelu_with_a_slope_for_each_channel(same: Any) -> None:
    same([("PRelu", "x s", "y", {})], {"s": SLOPES})


@pytest.mark.parametrize("fmod", [0, 1])
def test_remainders_of_either_sign(same: Any, fmod: int) -> None:
    nodes = [("Cast", "x", "i", {"to": 6}), ("Mod", "i m", "r", {"fmod": fmod})]
    whole = {"m": np.array(3, np.int32)}
    same([*nodes, ("Cast", "r", "y", {"to": 1})], whole, low=-20, high=20)
    if fmod:
        same([("Mod", "x m", "y", {"fmod": 1})], {"m": np.array(0.75, F)})


def test_division_of_integers_cuts_towards_zero(same: Any) -> None:
    nodes = [("Cast", "x", "i", {"to": 7}), ("Div", "i d", "q", {})]
    same([*nodes, ("Cast", "q", "y", {"to": 1})], {"d": np.array(3, np.int64)}, low=-20, high=20)


@pytest.mark.parametrize("to", [2, 3, 5, 6, 7, 9, 10, 11])
def test_casting_there_and_back(same: Any, to: int) -> None:
    # Halves hold about three digits: those are kept in the numbers that come in.
    nodes = [("Floor", "x", "f", {}), ("Cast", "f", "c", {"to": to})]
    same([*nodes, ("Cast", "c", "y", {"to": 1})], low=0, high=100)


@pytest.mark.parametrize("kind", ["Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Equal"])
def test_what_is_chosen_by_comparing(same: Any, kind: str) -> None:
    nodes = [
        (kind, "x zero", "a", {}),
        ("Not", "a", "b", {}),
        ("Less", "x one", "c", {}),
        ("And", "b c", "d", {}),
        ("Or", "d a", "e", {}),
        ("Xor", "e c", "f", {}),
        ("Where", "f x one", "y", {}),
    ]
    same(nodes, {"zero": np.array(0, F), "one": np.array(1, F)})
