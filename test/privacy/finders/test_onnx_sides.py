"""A file whose sides are fixed is freed without the package onnx, and computes as before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from mastra_ros.errors import ModelError
from mastra_ros.privacy.finders.onnx_sides import with_free_sides


def fixed(sides: tuple[int, ...] = (10, 3, 32, 32)) -> bytes:
    """A convolution whose weights stand among the inputs, as old exporters wrote it."""
    weights = np.random.default_rng(1).normal(size=(2, 3, 3, 3)).astype(np.float32)
    node = helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])
    graph = helper.make_graph(
        [node],
        "fixed",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, sides),
            helper.make_tensor_value_info("w", TensorProto.FLOAT, weights.shape),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (10, 2, 32, 32))],
        [numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return bytes(model.SerializeToString())


def test_a_freed_model_takes_every_size_and_gives_the_same(tmp_path: Path) -> None:
    original, freed = fixed(), with_free_sides(fixed(), {"x": 3, "y": 2})
    onnx.checker.check_model(onnx.load_from_string(freed))
    before, after = (onnxruntime.InferenceSession(m) for m in (original, freed))
    values = np.random.default_rng(2).random((10, 3, 32, 32), np.float32)
    np.testing.assert_allclose(
        before.run(None, {"x": values})[0], after.run(None, {"x": values})[0], atol=1e-5
    )
    assert [i.name for i in after.get_inputs()] == ["x"]
    assert after.run(None, {"x": values[:1, :, :7, :19]})[0].shape == (1, 2, 7, 19)


@pytest.mark.parametrize("size", [10, 40, 100, 300])
def test_a_file_that_is_cut_short_is_an_error(size: int) -> None:
    with pytest.raises(ModelError, match="not an ONNX file"):
        with_free_sides(fixed()[:-size], {"x": 3, "y": 2})


def test_a_model_with_other_inputs_is_an_error() -> None:
    with pytest.raises(ModelError, match="'x' was not expected"):
        with_free_sides(fixed(), {"image": 3, "y": 2})
