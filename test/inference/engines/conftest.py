"""Models of every kind that an engine may be given, beside those of the folder above."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest


def total_of(path: Path, kind: str) -> None:
    """A TensorFlow Lite model [1, 4, 4, 1] -> [1, 1, 1, 1] that gives the mean, of one type."""
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    builder = pytest.importorskip("flatbuffers").Builder(1024)
    types = {"float32": "FLOAT32", "int8": "INT8", "uint8": "UINT8"}
    scale, zero = {"float32": (0.0, 0), "int8": (0.5, -3), "uint8": (0.25, 7)}[kind]

    def tensor(name: str, shape: list[int]) -> Any:
        made = schema.TensorT()
        made.name, made.shape, made.buffer = name, shape, 0
        made.type = getattr(schema.TensorType, types[kind])
        if scale:
            made.quantization = schema.QuantizationParametersT()
            made.quantization.scale, made.quantization.zeroPoint = [scale], [zero]
        return made

    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.AVERAGE_POOL_2D
    code.version = 1 if kind != "int8" else 2
    pool = schema.OperatorT()
    pool.opcodeIndex, pool.inputs, pool.outputs = 0, [0], [1]
    pool.builtinOptionsType = schema.BuiltinOptions.Pool2DOptions
    pool.builtinOptions = schema.Pool2DOptionsT()
    pool.builtinOptions.padding = schema.Padding.VALID
    pool.builtinOptions.strideW = pool.builtinOptions.strideH = 4
    pool.builtinOptions.filterWidth = pool.builtinOptions.filterHeight = 4
    graph = schema.SubGraphT()
    graph.tensors = [tensor("image", [1, 4, 4, 1]), tensor("mean", [1, 1, 1, 1])]
    graph.inputs, graph.outputs, graph.operators = [0], [1], [pool]
    model = schema.ModelT()
    model.version, model.subgraphs, model.operatorCodes = 3, [graph], [code]
    model.buffers = [schema.BufferT()]
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))


def quantised_onnx(path: Path) -> None:
    """An ONNX model [n, 1, 8, 8] -> `scores` and `boxes`, whose convolutions are of integers.

    Between QuantizeLinear and DequantizeLinear, as ONNX Runtime's quantiser writes them.
    """
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(3)
    constants = {
        "w": rng.integers(-64, 65, (4, 1, 3, 3)).astype(np.int8),
        "w_scale": np.full(4, 0.02, np.float32),
        "w_zero": np.zeros(4, np.int8),
        "x_scale": np.array(1 / 255, np.float32),
        "x_zero": np.array(0, np.uint8),
        "y_scale": np.array(0.02, np.float32),
        "y_zero": np.array(128, np.uint8),
    }
    node = helper.make_node
    nodes = [
        node("QuantizeLinear", ["image", "x_scale", "x_zero"], ["xq"]),
        node("DequantizeLinear", ["xq", "x_scale", "x_zero"], ["x"]),
        node("DequantizeLinear", ["w", "w_scale", "w_zero"], ["wf"], axis=0),
        node("Conv", ["x", "wf"], ["y"], pads=[1, 1, 1, 1]),
        node("QuantizeLinear", ["y", "y_scale", "y_zero"], ["yq"]),
        node("DequantizeLinear", ["yq", "y_scale", "y_zero"], ["scores"]),
        node("Relu", ["scores"], ["boxes"]),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "quantised",
        [value("image", TensorProto.FLOAT, ["n", 1, 8, 8])],
        [value(name, TensorProto.FLOAT, ["n", 4, 8, 8]) for name in ("scores", "boxes")],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path
    )


@pytest.fixture(scope="session")
def kinds(models: Path) -> Path:
    """The folder `models`, with float32.tflite, int8.tflite, uint8.tflite and quantised.onnx too.

    The first three give the mean of a picture of 4x4 px.
    """
    for kind in ("float32", "int8", "uint8"):
        total_of(models / f"{kind}.tflite", kind)
    quantised_onnx(models / "quantised.onnx")
    return models
