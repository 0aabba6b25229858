"""Tiny detectors of the same contract as the real ones, made as .onnx and .tflite files.

They find bright cells: a cell of 8x8 px that is white is a `spot`, one of middle gray a
`shade`, and the box is the cell itself. The weights are written by hand, so that each answer
is known.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import settings

from mastra_ros.inference import Bundle, load_bundle
from mastra_ros.types import Frame, FrameKey

# The same examples in every run, and no limit of time, which a busy machine would break.
settings.register_profile("mastra", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("mastra")

SIDE_PX = 64
STRIDE_PX = 8
LABELS = ("spot", "shade", "nothing")
# A class's logit is slope * mean + bias, with the mean of the cell in 0 to 1: white is spot
# with 12, gray of one half is shade with 2, black is below -6 in all.
SLOPES = np.array([40.0, 16.0, 0.0], np.float32)
BIASES = np.array([-28.0, -6.0, -10.0], np.float32)
HALF_CELL = np.full(4, 0.5, np.float32)

BundleMaker = Callable[..., Path]


def write_onnx(path: Path, *, side_px: int = SIDE_PX, batch: int | str = "n") -> None:
    """Float, [batch, 1, side, side] -> `scores` and `boxes`."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed: no models to test with")
    from onnx import TensorProto, helper, numpy_helper

    cells = (side_px // STRIDE_PX) ** 2

    def constant(name: str, value: np.ndarray) -> Any:
        return numpy_helper.from_array(value, name)

    def head(name: str, width: int) -> list[Any]:
        return [
            helper.make_node("Conv", ["pooled", f"{name}_w", f"{name}_b"], [f"{name}_map"]),
            helper.make_node("Transpose", [f"{name}_map"], [f"{name}_rows"], perm=[0, 2, 3, 1]),
            helper.make_node("Reshape", [f"{name}_rows", f"{name}_shape"], [name]),
        ]

    graph = helper.make_graph(
        [
            helper.make_node(
                "AveragePool",
                ["image"],
                ["pooled"],
                kernel_shape=[STRIDE_PX] * 2,
                strides=[STRIDE_PX] * 2,
            ),
            *head("scores", len(LABELS)),
            *head("boxes", 4),
        ],
        "bright_cells",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, 1, side_px, side_px])],
        [
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, [batch, cells, len(LABELS)]),
            helper.make_tensor_value_info("boxes", TensorProto.FLOAT, [batch, cells, 4]),
        ],
        [
            constant("scores_w", SLOPES.reshape(-1, 1, 1, 1)),
            constant("scores_b", BIASES),
            constant("scores_shape", np.array([0, cells, len(LABELS)], np.int64)),
            constant("boxes_w", np.zeros((4, 1, 1, 1), np.float32)),
            constant("boxes_b", HALF_CELL),
            constant("boxes_shape", np.array([0, cells, 4], np.int64)),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, path)


class TfliteWriter:
    """Puts a TensorFlow Lite file together, operator by operator. Every tensor is int8 or int32."""

    def __init__(self) -> None:
        reason = "ai-edge-litert is not installed"
        self.schema = pytest.importorskip("ai_edge_litert.schema_py_generated", reason=reason)
        self.graph = self.schema.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []
        self.model = self.schema.ModelT()
        self.model.version, self.model.subgraphs = 3, [self.graph]
        self.model.buffers, self.model.operatorCodes = [self.schema.BufferT()], []

    def tensor(
        self,
        name: str,
        shape: Sequence[int],
        *,
        scale: float = 0.0,
        zero: int = 0,
        data: np.ndarray | None = None,
        int32: bool = False,
    ) -> int:
        """Add a tensor, with `data` a constant one."""
        made = self.schema.TensorT()
        made.name, made.shape = name, list(shape)
        int32 = int32 or (data is not None and data.dtype == np.int32)
        made.type = self.schema.TensorType.INT32 if int32 else self.schema.TensorType.INT8
        if scale:
            made.quantization = self.schema.QuantizationParametersT()
            made.quantization.scale, made.quantization.zeroPoint = [scale], [zero]
        if data is not None:
            buffer = self.schema.BufferT()
            buffer.data = list(data.tobytes())
            made.buffer = len(self.model.buffers)
            self.model.buffers.append(buffer)
        self.graph.tensors.append(made)
        return len(self.graph.tensors) - 1

    def operator(self, name: str, kind: str, inputs: list[int], output: int, **options: Any) -> int:
        """Add an operator that makes `output`."""
        code = self.schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = getattr(self.schema.BuiltinOperator, name)
        code.version = 3 if name == "CONV_2D" else 1
        self.model.operatorCodes.append(code)
        made = self.schema.OperatorT()
        made.opcodeIndex = len(self.model.operatorCodes) - 1
        made.inputs, made.outputs = inputs, [output]
        made.builtinOptionsType = getattr(self.schema.BuiltinOptions, kind)
        made.builtinOptions = getattr(self.schema, f"{kind}T")()
        for option, value in options.items():
            setattr(made.builtinOptions, option, value)
        self.graph.operators.append(made)
        return output

    def write(self, path: Path, inputs: list[int], outputs: list[int]) -> None:
        self.graph.inputs, self.graph.outputs = inputs, outputs
        builder = pytest.importorskip("flatbuffers").Builder(4096)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        path.write_bytes(bytes(builder.Output()))


def write_tflite(path: Path, *, side_px: int = SIDE_PX) -> None:
    """int8, [1, side, side, 1] -> boxes and scores: the other way round than in ONNX."""
    make = TfliteWriter()
    grid = side_px // STRIDE_PX
    image = make.tensor("image", [1, side_px, side_px, 1], scale=1 / 255, zero=-128)
    pooled = make.operator(
        "AVERAGE_POOL_2D",
        "Pool2DOptions",
        [image],
        make.tensor("pooled", [1, grid, grid, 1], scale=1 / 255, zero=-128),
        padding=1,
        strideW=STRIDE_PX,
        strideH=STRIDE_PX,
        filterWidth=STRIDE_PX,
        filterHeight=STRIDE_PX,
    )

    def head(name: str, slopes: np.ndarray, biases: np.ndarray, scale: float, zero: int) -> int:
        width = len(biases)
        step = float(np.abs(slopes).max() or 1.0) / 127
        weights = np.rint(slopes / step).astype(np.int8).reshape(width, 1, 1, 1)
        offsets = np.rint(biases * 255 / step).astype(np.int32)
        mapped = make.operator(
            "CONV_2D",
            "Conv2DOptions",
            [
                pooled,
                make.tensor(f"{name}_w", weights.shape, scale=step, data=weights),
                make.tensor(f"{name}_b", offsets.shape, scale=step / 255, data=offsets),
            ],
            make.tensor(f"{name}_map", [1, grid, grid, width], scale=scale, zero=zero),
            strideW=1,
            strideH=1,
            dilationWFactor=1,
            dilationHFactor=1,
        )
        shape = [1, grid * grid, width]
        shape_of = make.tensor(f"{name}_shape", [3], data=np.array(shape, np.int32))
        rows = make.tensor(name, shape, scale=scale, zero=zero)
        return make.operator("RESHAPE", "ReshapeOptions", [mapped, shape_of], rows, newShape=shape)

    boxes = head("boxes", np.zeros(4, np.float32), HALF_CELL, 1 / 64, -128)
    scores = head("scores", SLOPES, BIASES, 0.25, 10)
    make.write(path, [image], [boxes, scores])


def write_undelegated(path: Path) -> None:
    """A model of one operator (SHAPE) that no delegate takes over."""
    make = TfliteWriter()
    image = make.tensor("image", [1, 8, 8, 1], scale=1 / 255, zero=-128)
    shape = make.operator(
        "SHAPE", "ShapeOptions", [image], make.tensor("s", [4], int32=True), outType=2
    )
    make.write(path, [image], [shape])


def describe(folder: Path) -> dict[str, Any]:
    """The content of bundle.yaml for the models in `folder`."""

    def part(file: str, engine: str) -> dict[str, Any]:
        data = (folder / file).read_bytes() if (folder / file).exists() else b""
        return {
            "file": file,
            "engine": engine,
            "sha256": hashlib.sha256(data).hexdigest(),
            "model": f"bright_cells_{engine}",
            "version": "1.2.3",
            "score_threshold": 0.4,
            "measurements": {"f_score": 1.0},
        }

    return {
        "format": 1,
        "name": "bright_cells",
        "version": "1.0.0",
        "task": "detection",
        "labels": list(LABELS),
        "input": {
            "width_px": SIDE_PX,
            "height_px": SIDE_PX,
            "colour": "gray",
            "resize": "letterbox",
            "pad_value": 0,
            "mean": [0.0],
            "std": [255.0],
        },
        "output": {"kind": "anchor_free", "stride_px": STRIDE_PX, "nms_iou": 0.4},
        "parts": {
            "local": part("local.tflite", "litert"),
            "cloud": part("cloud.onnx", "onnxruntime"),
        },
    }


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with models.

    local.tflite, cloud.onnx, single.onnx (whose batch is fixed at 1), undelegated.tflite.
    """
    folder = tmp_path_factory.mktemp("models")
    write_undelegated(folder / "undelegated.tflite")
    write_tflite(folder / "local.tflite")
    write_onnx(folder / "cloud.onnx")
    write_onnx(folder / "single.onnx", batch=1)
    return folder


@pytest.fixture
def make_bundle(models: Path, tmp_path: Path) -> BundleMaker:
    """Write a bundle into a fresh folder, with some of its sections changed."""

    def make(**changes: Any) -> Path:
        for file in models.iterdir():
            (tmp_path / file.name).write_bytes(file.read_bytes())
        document = describe(tmp_path)
        for path, value in changes.items():
            at = document
            *sections, last = path.split("__")
            for section in sections:
                at = at[section]
            if value is None:
                del at[last]
            else:
                at[last] = value
        (tmp_path / "bundle.yaml").write_text(yaml.safe_dump(document))
        return tmp_path

    return make


@pytest.fixture
def bundle(make_bundle: BundleMaker) -> Bundle:
    """The bundle of the bright-cell detectors."""
    return load_bundle(str(make_bundle()))


@pytest.fixture
def spotted() -> Frame:
    """64x64, black but for a white cell at column 2, row 1 and a gray one at column 5, row 6."""
    image = np.zeros((SIDE_PX, SIDE_PX), np.uint8)
    image[8:16, 16:24] = 255
    image[48:56, 40:48] = 128
    return Frame(FrameKey("test", 1), image, "mono8")
