"""Boxes and scores that a graph joins are taken apart without the join, where it shows them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mastra_ros.model.rebuild.columns import parted
from mastra_ros.model.rebuild.model_file import OnnxModel, load_onnx
from mastra_ros.model.rebuild.network import network_of

runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
torch = pytest.importorskip("torch", reason="PyTorch is not installed")

SHAPE = (7, 4, 6)  # seven values a cell: four of a box, three scores
W = {"w": np.random.default_rng(3).normal(size=(7, 7, 1, 1)).astype(np.float32)}
FLAT = np.array([1, 7, 24], np.int64)


def apart(path: Path, axis: int) -> tuple[OnnxModel, list[np.ndarray]]:
    """The parted model, having checked that it gives the columns of the whole."""
    model = load_onnx(path)
    split = parted(model, axis, [(4, 7), (0, 4)], (1, *SHAPE))
    image = np.random.default_rng(5).normal(size=(1, *SHAPE)).astype(np.float32)
    (whole,) = runtime.InferenceSession(str(path)).run(None, {"x": image})
    with torch.no_grad():
        made = [one.numpy() for one in network_of(split, SHAPE)(torch.from_numpy(image))]
    for one, pair in zip(made, [(4, 7), (0, 4)], strict=True):
        wanted = np.take(whole, np.arange(*pair), axis)
        np.testing.assert_allclose(one, wanted, atol=1e-5)
    return split, made


def kinds(model: OnnxModel) -> list[str]:
    return [node.op_type for node in model.proto.graph.node]


def test_the_pieces_of_a_join_are_given_as_they_are(graph: Any) -> None:
    nodes = [
        ("Reshape", "x s", "f", {}),
        ("Split", "f p", "b c", {"axis": 1}),
        ("Sigmoid", "c", "d", {}),
        ("Concat", "b d", "y", {"axis": 1}),
    ]
    path = graph(nodes, {"s": FLAT, "p": np.array([4, 3], np.int64)}, shape=SHAPE)
    split, _ = apart(path, 1)
    assert split.outputs == ("d", "b")
    assert "Concat" not in kinds(split)
    assert "Slice" not in kinds(split)


def test_a_join_behind_a_transpose_and_a_reshape_is_seen(graph: Any) -> None:
    nodes = [
        ("Split", "x p", "b c", {"axis": 1}),
        ("Sigmoid", "c", "d", {}),
        ("Concat", "b d", "j", {"axis": 1}),
        ("Reshape", "j s", "f", {}),
        ("Transpose", "f", "t", {"perm": [0, 2, 1]}),
        ("Identity", "t", "y", {}),
    ]
    path = graph(nodes, {"s": FLAT, "p": np.array([4, 3], np.int64)}, shape=SHAPE)
    split, _ = apart(path, 2)
    assert "Concat" not in kinds(split)
    assert "Slice" not in kinds(split)


def test_joins_of_several_grids_are_joined_anew_without_mixing(graph: Any) -> None:
    # As YOLOv5 does it: each grid is a join of its own, with the columns last.
    grid = [
        ("Transpose", "x", "h", {"perm": [0, 2, 3, 1]}),
        ("Split", "h p", "b c", {"axis": 3}),
        ("Sigmoid", "c", "d", {}),
        ("Concat", "b d", "j", {"axis": -1}),
        ("Reshape", "j s", "f", {}),
        ("Neg", "f", "g", {}),
        ("Concat", "f f", "y", {"axis": 1}),
    ]
    numbers = {"s": np.array([1, -1, 7], np.int64), "p": np.array([4, 3], np.int64)}
    split, made = apart(graph(grid, numbers, shape=SHAPE), 2)
    assert made[0].shape == (1, 48, 3)
    assert "Slice" not in kinds(split)


def test_where_no_join_is_seen_the_columns_are_cut_out(graph: Any) -> None:
    nodes = [("Conv", "x w", "c", {}), ("Reshape", "c s", "y", {})]
    split, _ = apart(graph(nodes, {**W, "s": FLAT}, shape=SHAPE), 1)
    assert kinds(split).count("Slice") == 2


def test_a_join_whose_pieces_do_not_end_where_the_boxes_do(graph: Any) -> None:
    nodes = [
        ("Reshape", "x s", "f", {}),
        ("Split", "f p", "a b", {"axis": 1}),
        ("Concat", "b a", "y", {"axis": 1}),
    ]
    apart(graph(nodes, {"s": FLAT, "p": np.array([2, 5], np.int64)}, shape=SHAPE), 1)
