"""Rebuilt networks can be traced, as the way to LiteRT needs, and give the same then."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mastra_ros.model.rebuild.model_file import load_onnx
from mastra_ros.model.rebuild.network import network_of

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

F = np.float32
RNG = np.random.default_rng(9)
KERNEL = {"w": RNG.normal(size=(3, 3, 3, 3)).astype(F)}
SCALES = {"s": np.array([1, 1, 1.5, 2.5], F)}


@pytest.mark.parametrize(
    ("node", "weights", "attributes"),
    [
        ("Resize x - s", SCALES, {"mode": "nearest"}),
        ("Resize x - s", SCALES, {"mode": "nearest", "nearest_mode": "ceil"}),
        ("Resize x - s", SCALES, {"mode": "linear"}),
        ("Resize x - s", SCALES, {"mode": "cubic"}),
        ("Conv x w", KERNEL, {"pads": [0, 1, 2, 1]}),
        ("ConvTranspose x w", KERNEL, {"strides": [2, 2], "output_shape": [12, 17]}),
        ("MaxPool x", {}, {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}),
        ("AveragePool x", {}, {"kernel_shape": [3, 3], "pads": [1, 0, 0, 1]}),
        (
            "Slice x a b c d",
            {k: np.array([v], np.int64) for k, v in zip("abcd", (5, 0, 3, -2), strict=True)},
            {},
        ),
        ("Pad x p", {"p": np.array([0, 0, 1, 1, 0, 0, 2, 0], np.int64)}, {"mode": "reflect"}),
        ("Gather x i", {"i": np.array([0, 2], np.int64)}, {"axis": 2}),
        ("Max x a b", {k: RNG.normal(size=(3, 1, 1)).astype(F) for k in "ab"}, {}),
        ("Softmax x", {}, {"axis": 1}),
        ("DepthToSpace x", {}, {"blocksize": 1}),
    ],
)
def test_a_traced_network_gives_the_same(
    graph: Any, node: str, weights: Any, attributes: dict[str, Any]
) -> None:
    kind, takes = node.split(" ", 1)
    opset = 11 if kind == "Softmax" else 19
    network = network_of(
        load_onnx(graph([(kind, takes, "y", attributes)], weights, opset=opset)), (3, 6, 8)
    )
    image = torch.from_numpy(RNG.normal(size=(1, 3, 6, 8)).astype(F))
    traced = torch.export.export(network, (torch.zeros(1, 3, 6, 8),)).module()
    with torch.no_grad():
        np.testing.assert_allclose(traced(image).numpy(), network(image).numpy(), atol=1e-6)


@pytest.mark.parametrize("key", ["scales", "sizes"])
def test_resizing_leaves_the_number_of_pictures_open(graph: Any, key: str) -> None:
    # As fine-tuning traces it. A pooling to learn from comes first, as in a neck of YOLO.
    given = {"scales": np.array([1, 1, 2, 2], F), "sizes": np.array([1, 3, 6, 8], np.int64)}[key]
    nodes = [
        ("MaxPool", "x", "p", {"kernel_shape": [2, 2], "strides": [2, 2]}),
        ("Resize", "p - s" if key == "scales" else "p - - s", "r", {"mode": "nearest"}),
        ("Concat", "r x", "y", {"axis": 1}),
    ]
    network = network_of(load_onnx(graph(nodes, {"s": given})), (3, 6, 8))
    sides = ({0: torch.export.Dim("batch", min=1, max=8)},)
    traced = torch.export.export(network, (torch.zeros(2, 3, 6, 8),), dynamic_shapes=sides)
    image = torch.from_numpy(RNG.normal(size=(5, 3, 6, 8)).astype(F))
    with torch.no_grad():
        np.testing.assert_allclose(traced.module()(image).numpy(), network(image).numpy())
