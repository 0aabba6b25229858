"""Convolutions and pooling give what ONNX Runtime gives, however their windows lie."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

LINE, PLANE, SPACE = (4, 15), (4, 9, 12), (2, 5, 6, 7)


def weights(*shape: int, bias: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    made = {"w": rng.normal(size=shape).astype(np.float32)}
    return made | ({"b": rng.normal(size=bias).astype(np.float32)} if bias else {})


CONVOLUTIONS: list[dict[str, Any]] = [
    {},
    {"strides": [2, 1]},
    {"pads": [1, 1, 1, 1], "strides": [2, 2]},
    {"pads": [0, 1, 2, 1]},
    {"dilations": [2, 3], "pads": [2, 3, 2, 3]},
    {"dilations": [2, 1], "pads": [2, 0, 1, 1], "strides": [1, 2]},
    {"auto_pad": "VALID", "strides": [2, 2]},
    {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
    {"auto_pad": "SAME_LOWER", "strides": [2, 3]},
]


@pytest.mark.parametrize("attributes", CONVOLUTIONS)
@pytest.mark.parametrize("group", [1, 2, 4])
def test_convolution(same: Any, attributes: dict[str, Any], group: int) -> None:
    nodes = [("Conv", "x w b", "y", {**attributes, "group": group})]
    same(nodes, weights(8, 4 // group, 3, 2, bias=8), shape=PLANE)


def test_convolution_along_a_line_and_through_space(same: Any) -> None:
    nodes = [("Conv", "x w", "y", {"dilations": [2], "pads": [1, 3]})]
    same(nodes, weights(5, 4, 3), shape=LINE)
    nodes = [("Conv", "x w", "y", {"strides": [1, 2, 1], "pads": [1, 0, 0, 1, 1, 0]})]
    same(nodes, weights(3, 2, 2, 3, 2), shape=SPACE)


TRANSPOSED: list[dict[str, Any]] = [
    {},
    {"strides": [2, 2]},
    {"strides": [2, 2], "pads": [1, 0, 1, 0]},
    {"strides": [2, 2], "pads": [1, 1, 0, 1]},
    {"strides": [2, 2], "pads": [0, 0, 1, 1]},
    {"strides": [3, 2], "output_padding": [1, 1]},
    {"strides": [3, 2], "output_padding": [2, 1], "pads": [1, 1, 1, 1]},
    {"strides": [2, 2], "dilations": [2, 1]},
    {"strides": [2, 2], "output_shape": [18, 24]},
    {"strides": [2, 2], "output_shape": [17, 23]},
    {"strides": [2, 2], "output_shape": [18, 23], "auto_pad": "SAME_UPPER"},
    {"strides": [2, 2], "output_shape": [17, 24], "auto_pad": "SAME_LOWER"},
    {"strides": [2, 2], "auto_pad": "SAME_UPPER"},
    {"strides": [2, 3], "auto_pad": "SAME_LOWER"},
    {"strides": [2, 2], "auto_pad": "VALID"},
]


@pytest.mark.parametrize("attributes", TRANSPOSED)
@pytest.mark.parametrize("group", [1, 2])
def test_transposed_convolution(same: Any, attributes: dict[str, Any], group: int) -> None:
    nodes = [("ConvTranspose", "x w b", "y", {**attributes, "group": group})]
    same(nodes, weights(4, 6 // group, 3, 4, bias=6), shape=PLANE)


POOLS: list[dict[str, Any]] = [
    {},
    {"strides": [2, 2]},
    {"strides": [2, 2], "pads": [1, 1, 1, 1]},
    {"strides": [2, 1], "pads": [0, 1, 1, 0]},
    {"strides": [2, 2], "pads": [1, 0, 0, 1]},
    {"strides": [2, 2], "ceil_mode": 1},
    {"strides": [2, 5], "ceil_mode": 1},
    {"strides": [3, 2], "ceil_mode": 1, "pads": [1, 1, 1, 1]},
    {"strides": [2, 2], "auto_pad": "SAME_UPPER"},
    {"strides": [2, 2], "auto_pad": "SAME_LOWER"},
    {"strides": [2, 2], "auto_pad": "VALID"},
    {"strides": [1, 1], "pads": [2, 2, 0, 1]},
]


@pytest.mark.parametrize("attributes", POOLS)
def test_max_pooling(same: Any, attributes: dict[str, Any]) -> None:
    # All below zero, so that a border of zeros would be seen.
    nodes = [("MaxPool", "x", "y", {"kernel_shape": [3, 4], **attributes})]
    same(nodes, shape=PLANE, low=-3, high=-1)


@pytest.mark.parametrize("pads", [[0, 0, 0, 0], [1, 1, 1, 1]])
def test_max_pooling_with_gaps(same: Any, pads: list[int]) -> None:
    attributes = {"kernel_shape": [3, 3], "dilations": [2, 3], "pads": pads}
    same([("MaxPool", "x", "y", attributes)], shape=PLANE, low=-3, high=-1)


@pytest.mark.parametrize("attributes", POOLS)
@pytest.mark.parametrize("counted", [0, 1])
def test_average_pooling(same: Any, attributes: dict[str, Any], counted: int) -> None:
    more = {"kernel_shape": [3, 4], "count_include_pad": counted}
    same([("AveragePool", "x", "y", {**more, **attributes})], shape=PLANE, opset=19)


@pytest.mark.parametrize("kind", ["MaxPool", "AveragePool"])
def test_pooling_along_a_line_and_through_space(same: Any, kind: str) -> None:
    same([(kind, "x", "y", {"kernel_shape": [4], "pads": [1, 2]})], shape=LINE)
    same([(kind, "x", "y", {"kernel_shape": [2, 2, 3], "strides": [2, 1, 2]})], shape=SPACE)


@pytest.mark.parametrize("kind", ["GlobalAveragePool", "GlobalMaxPool"])
@pytest.mark.parametrize("shape", [LINE, PLANE, SPACE])
def test_pooling_of_everything(same: Any, kind: str, shape: tuple[int, ...]) -> None:
    same([(kind, "x", "y", {})], shape=shape)
