"""Resizing gives what ONNX Runtime gives, in every mode and for every rule of coordinates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

F = np.float32
COORDINATES = (
    "half_pixel",
    "half_pixel_symmetric",
    "pytorch_half_pixel",
    "align_corners",
    "asymmetric",
)
SCALES = [(2.0, 2.0), (1.5, 2.5), (0.6, 0.5), (1.0, 3.0)]
SIZES = [(12, 16), (9, 11), (4, 5), (1, 20)]


def scales(*values: float) -> dict[str, np.ndarray]:
    return {"s": np.array([1, 1, *values], F)}


def sizes(*values: int) -> dict[str, np.ndarray]:
    return {"s": np.array([1, 3, *values], np.int64)}


@pytest.mark.parametrize("coordinates", COORDINATES)
@pytest.mark.parametrize("rounding", ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"])
def test_nearest(same: Any, coordinates: str, rounding: str) -> None:
    attributes = {
        "mode": "nearest",
        "coordinate_transformation_mode": coordinates,
        "nearest_mode": rounding,
    }
    for factor in SCALES:
        same([("Resize", "x - s", "y", attributes)], scales(*factor), opset=19)
    for size in SIZES:
        same([("Resize", "x - - s", "y", attributes)], sizes(*size), opset=19)


@pytest.mark.parametrize("coordinates", COORDINATES)
@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_linear_and_cubic(same: Any, coordinates: str, mode: str) -> None:
    attributes = {"mode": mode, "coordinate_transformation_mode": coordinates}
    for factor in SCALES:
        same([("Resize", "x - s", "y", attributes)], scales(*factor), opset=19)
    for size in SIZES:
        same([("Resize", "x - - s", "y", attributes)], sizes(*size), opset=19)


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
def test_what_is_left_out_is_as_onnx_says(same: Any, mode: str) -> None:
    same([("Resize", "x - s", "y", {"mode": mode})], scales(1.7, 2.3), opset=13)
    same([("Resize", "x roi s", "y", {"mode": mode})], {**scales(2, 2), "roi": F([])}, opset=11)


@pytest.mark.parametrize("more", [{"cubic_coeff_a": -0.5}, {"exclude_outside": 1}])
def test_cubic_with_its_own_attributes(same: Any, more: dict[str, Any]) -> None:
    same([("Resize", "x - s", "y", {"mode": "cubic", **more})], scales(2.5, 0.7), opset=18)


@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_shrinking_without_aliasing(same: Any, mode: str) -> None:
    same([("Resize", "x - s", "y", {"mode": mode, "antialias": 1})], scales(0.4, 0.7), opset=18)


def test_resizing_named_axes_only(same: Any) -> None:
    named = {"s": np.array([2.5, 1.5], F)}
    same([("Resize", "x - s", "y", {"mode": "linear", "axes": [3, 2]})], named, opset=18)


def test_resizing_the_channels_too(same: Any) -> None:
    named = {"s": np.array([1, 2, 1.5, 2], F)}
    same([("Resize", "x - s", "y", {"mode": "nearest"})], named, opset=13)


@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_resizing_of_older_operators(same: Any, mode: str) -> None:
    same([("Resize", "x s", "y", {"mode": mode})], scales(1.5, 2.5), opset=10)
    same([("Upsample", "x s", "y", {"mode": mode})], scales(2, 3), opset=9)
    attributes = {"mode": mode, "scales": [1.0, 1.0, 2.0, 3.0]}
    same([("Upsample", "x", "y", attributes)], opset=7)


def test_resizing_of_a_line(same: Any) -> None:
    named = {"s": np.array([1, 1, 2.5], F)}
    same([("Resize", "x - s", "y", {"mode": "linear"})], named, opset=13, shape=(3, 7))


def test_sizes_that_the_graph_works_out(same: Any) -> None:
    nodes = [
        ("Shape", "x", "all", {}),
        ("Slice", "all two four", "hw", {}),
        ("Mul", "hw two", "big", {}),
        ("Slice", "all zero two", "nc", {}),
        ("Concat", "nc big", "s", {"axis": 0}),
        ("Resize", "x - - s", "y", {"mode": "nearest"}),
    ]
    same(nodes, {n: np.array([v], np.int64) for n, v in (("zero", 0), ("two", 2), ("four", 4))})
