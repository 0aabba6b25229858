"""ONNX graphs of a few nodes, and what ONNX Runtime and the rebuilt network make of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mastra_ros.model.rebuild.model_file import load_onnx
from mastra_ros.model.rebuild.network import network_of

onnx = pytest.importorskip("onnx", reason="onnx is not installed: no graphs to rebuild")
runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
torch = pytest.importorskip("torch", reason="PyTorch is not installed")

SHAPE = (3, 6, 8)
Weights = dict[str, np.ndarray]


Nodes = Sequence[tuple[str, str, str, dict[str, Any]]]
"""(operator, its inputs, its outputs, attributes); "-" stands for an input that is left out."""


def save(
    path: Path,
    nodes: Nodes,
    weights: Weights,
    *,
    shape: Sequence[int] = SHAPE,
    opset: int = 17,
    outputs: Sequence[str] = ("y",),
    element: int = 1,
    output_element: int = 1,
) -> Path:
    """Write the nodes, from `x` (1, *shape) to the outputs, as an ONNX file."""
    helper = onnx.helper
    graph = helper.make_graph(
        [
            helper.make_node(
                kind, takes.replace("-", "").split(" "), makes.split(), name=f"the_{makes}", **more
            )
            for kind, takes, makes, more in nodes
        ],
        "few",
        [helper.make_tensor_value_info("x", element, [1, *shape])],
        [helper.make_tensor_value_info(name, output_element, None) for name in outputs],
        [onnx.numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    opsets = [helper.make_opsetid("", opset)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    for value, known in zip(model.graph.output, inferred.graph.output, strict=True):
        value.type.tensor_type.shape.CopyFrom(known.type.tensor_type.shape)
    onnx.save(model, path)
    return path


def _by_runtime(path: Path, image: np.ndarray) -> list[np.ndarray]:
    """What ONNX Runtime makes of one picture."""
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    feed = session.get_inputs()[0]
    types = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}
    return list(session.run(None, {feed.name: image.astype(types[feed.type])}))


def _rebuilt(path: Path, image: np.ndarray) -> list[np.ndarray]:
    """What the rebuilt network makes of it."""
    network = network_of(load_onnx(path), image.shape[1:])
    with torch.no_grad():
        made = network(torch.from_numpy(image.copy()))
    return [one.numpy() for one in (made if isinstance(made, tuple) else (made,))]


Check = Callable[..., None]
Save = Callable[..., Path]


@pytest.fixture
def graph(tmp_path: Path) -> Save:
    """Write an ONNX file of a few nodes; its path."""

    def write(nodes: Nodes, weights: Weights | None = None, **more: Any) -> Path:
        return save(tmp_path / "few.onnx", nodes, weights or {}, **more)

    return write


@pytest.fixture
def same(tmp_path: Path) -> Check:
    """Assert that a graph and its rebuilt network give the same for pictures of noise."""

    def check(
        nodes: Nodes,
        weights: Weights | None = None,
        *,
        shape: Sequence[int] = SHAPE,
        low: float = -2.0,
        high: float = 2.0,
        **more: Any,
    ) -> None:
        path = save(tmp_path / "few.onnx", nodes, weights or {}, shape=shape, **more)
        rng = np.random.default_rng(5)
        for _ in range(2):
            image = rng.uniform(low, high, (1, *shape)).astype(np.float32)
            wanted, got = _by_runtime(path, image), _rebuilt(path, image)
            assert len(wanted) == len(got)
            for one, other in zip(wanted, got, strict=True):
                assert one.shape == other.shape
                assert np.isfinite(one).all(), "a case that shows nothing"
                np.testing.assert_allclose(other, one, rtol=2e-5, atol=2e-5)

    return check
