"""What is not understood is refused by name: operator, layer, attribute and value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mastra_ros.errors import ModelError
from mastra_ros.model.rebuild.model_file import load_onnx
from mastra_ros.model.rebuild.network import network_of

F = np.float32
CHANNELS = {name: np.ones(3, F) for name in "sbmv"}
SCALES = {"s": np.array([1, 1, 2, 2], F)}


def refusal(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        network_of(load_onnx(path), (3, 6, 8))
    said = str(caught.value)
    assert "\n" not in said
    return said


CASES: list[tuple[str, str, dict[str, Any], dict[str, Any], str]] = [
    ("Det", "x", {}, {}, "Det (layer the_y)"),
    (
        "TopK",
        "x k",
        {"k": np.array([2], np.int64)},
        {},
        "TopK (layer the_y z): export the network ",
    ),
    ("CumSum", "x k", {"k": np.array(1, np.int64)}, {}, "CumSum (layer the_y)"),
    ("LpPool", "x", {}, {"kernel_shape": [2, 2]}, "LpPool (layer the_y)"),
    ("QuantizeLinear", "x k", {"k": np.array(0.1, F)}, {}, "give the network before quantisation"),
    (
        "BatchNormalization",
        "x s b m v",
        CHANNELS,
        {"training_mode": 1},
        "BatchNormalization (layer the_y) with training_mode=1 (known: 0)",
    ),
    (
        "Resize",
        "x roi s",
        {**SCALES, "roi": np.array([0, 0, 0, 0, 1, 1, 1, 1], F)},
        {"mode": "linear", "coordinate_transformation_mode": "tf_crop_and_resize"},
        "Resize (layer the_y) with coordinate_transformation_mode='tf_crop_and_resize' (known:",
    ),
    (
        "Resize",
        "x - - s",
        {"s": np.array([1, 3, 12, 12], np.int64)},
        {"mode": "nearest", "keep_aspect_ratio_policy": "not_larger"},
        "with keep_aspect_ratio_policy='not_larger' (known: 'stretch')",
    ),
    (
        "MaxPool",
        "x",
        {},
        {"kernel_shape": [2, 2], "storage_order": 1},
        "MaxPool (layer the_y) with storage_order=1 (known: 0)",
    ),
    (
        "AveragePool",
        "x",
        {},
        {"kernel_shape": [2, 2], "dilations": [2, 2]},
        "AveragePool (layer the_y) cannot be converted: dilations=[2, 2]",
    ),
    ("Cast", "x", {}, {"to": 13}, "Cast (layer the_y) with to=13"),
]


@pytest.mark.parametrize(("kind", "takes", "weights", "attributes", "said"), CASES)
def test_an_operator_or_attribute_is_named(
    graph: Any, kind: str, takes: str, weights: Any, attributes: dict[str, Any], said: str
) -> None:
    element = {"QuantizeLinear": 2, "Cast": 13}.get(kind, 1)
    path = graph(
        [(kind, takes, "y z" if kind == "TopK" else "y", attributes)],
        weights,
        opset=19,
        output_element=element,
    )
    assert said in refusal(path)


def test_all_that_is_not_understood_is_said_at_once_and_each_once(graph: Any) -> None:
    nodes = [
        ("Det", "x", "a", {}),
        ("Det", "x", "b", {}),
        ("MaxPool", "x", "c", {"kernel_shape": [1, 1], "storage_order": 1}),
        ("Add", "a b", "d", {}),
        ("Add", "d d", "y", {}),
    ]
    said = refusal(graph(nodes))
    assert said.count("Det") == 1
    assert "Det (layer the_a); MaxPool (layer the_c) with storage_order=1" in said


def test_a_second_output_that_somebody_uses_is_named(graph: Any) -> None:
    nodes = [
        ("MaxPool", "x", "p i", {"kernel_shape": [2, 2]}),
        ("Cast", "i", "f", {"to": 1}),
        ("Add", "p f", "y", {}),
    ]
    assert "MaxPool (layer the_p i) with a second output (i)" in refusal(graph(nodes))


def test_a_shape_that_depends_on_the_picture_is_named(graph: Any) -> None:
    nodes = [
        ("ReduceMax", "x", "m", {"keepdims": 0}),
        ("Cast", "m", "i", {"to": 7}),
        ("Unsqueeze", "i zero", "s", {}),
        ("Expand", "x s", "y", {}),
    ]
    said = refusal(graph(nodes, {"zero": np.array([0], np.int64)}))
    assert "Expand (layer the_y) cannot be converted: its input 2 (s) depends on the pictur" in said


def test_an_output_that_no_picture_changes_is_named(graph: Any) -> None:
    path = graph([("Add", "w w", "y", {}), ("Add", "x w", "z", {})], {"w": np.ones(8, F)})
    assert "output y does not depend on the picture" in refusal(path)


def test_an_operator_of_another_maker_is_named_with_its_domain(graph: Any, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load(graph([("Relu", "x", "y", {})]))
    model.graph.node[0].domain = "com.example"
    model.opset_import.append(onnx.helper.make_opsetid("com.example", 1))
    onnx.save(model, tmp_path / "other.onnx")
    assert "com.example.Relu (layer the_y)" in refusal(tmp_path / "other.onnx")
