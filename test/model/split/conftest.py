"""A small network that can be cut, a bundle of it, and pictures to run it on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mastra_ros.inference import load_bundle
from mastra_ros.model.split.cuts import profile
from mastra_ros.model.split.graph import load_graph
from mastra_ros.model.split.split import split_bundle
from mastra_ros.types import Frame, FrameKey

onnx = pytest.importorskip("onnx", reason="onnx is not installed: nothing to cut with")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

SIDE_PX = 64


def write_network(path: Path, *, batch: int | str = "n", opset: int = 13) -> None:
    """conv - relu - conv - relu - residual - conv - relu - two outputs, and a branch of constants.

    Single-tensor cuts: `stem`, `half`, `sum`, `deep`. What it finds means nothing.
    """
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(7)
    cells = (SIDE_PX // 8) ** 2

    def weights(name: str, *shape: int) -> Any:
        values = rng.normal(0.15, 1.5, shape) / np.prod(shape[1:]) ** 0.5
        return numpy_helper.from_array(values.astype(np.float32), name)

    def conv(name: str, source: str, stride: int = 1) -> list[Any]:
        return [
            helper.make_node(
                "Conv",
                [source, f"{name}_w", f"{name}_b"],
                [f"{name}_raw"],
                kernel_shape=[3, 3],
                pads=[1, 1, 1, 1],
                strides=[stride, stride],
            ),
            helper.make_node("Relu", [f"{name}_raw"], [name]),
        ]

    def rows(name: str, source: str, width: int) -> list[Any]:
        return [
            helper.make_node("Conv", [source, f"{name}_w"], [f"{name}_map"], kernel_shape=[1, 1]),
            helper.make_node("Transpose", [f"{name}_map"], [f"{name}_t"], perm=[0, 2, 3, 1]),
            helper.make_node("Reshape", [f"{name}_t", f"{name}_shape"], [name]),
        ]

    nodes = [
        *conv("stem", "image", 2),
        *conv("half", "stem", 2),
        *conv("side", "half"),
        helper.make_node("Mul", ["one", "one"], ["unity"]),
        helper.make_node("Mul", ["side", "unity"], ["scaled"]),
        helper.make_node("Add", ["half", "scaled"], ["sum"]),
        *conv("deep", "sum", 2),
        *rows("scores", "deep", 2),
        *rows("boxes", "deep", 4),
        helper.make_node("Relu", ["side"], ["unused"]),
    ]
    values = [
        weights("stem_w", 4, 1, 3, 3),
        weights("half_w", 6, 4, 3, 3),
        weights("side_w", 6, 6, 3, 3),
        weights("deep_w", 8, 6, 3, 3),
        numpy_helper.from_array(np.resize(np.float32([8, -8, -8, 8]), (2, 8, 1, 1)), "scores_w"),
        numpy_helper.from_array(np.full((4, 8, 1, 1), 0.8, np.float32), "boxes_w"),
        *(
            numpy_helper.from_array(np.full(n, 0.3, np.float32), f"{name}_b")
            for name, n in (("stem", 4), ("half", 6), ("side", 6), ("deep", 8))
        ),
        numpy_helper.from_array(np.ones(1, np.float32), "one"),
        numpy_helper.from_array(np.array([0, cells, 2], np.int64), "scores_shape"),
        numpy_helper.from_array(np.array([0, cells, 4], np.int64), "boxes_shape"),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, 1, SIDE_PX, SIDE_PX])
    outputs = [
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, [batch, cells, 2]),
        helper.make_tensor_value_info("boxes", TensorProto.FLOAT, [batch, cells, 4]),
    ]
    graph = helper.make_graph(nodes, "small", [image], outputs, values)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.save(model, path)


DOCUMENT = """\
format: 1
name: small
version: 1.0.0
task: detection
labels: [spot, shade]
input: {width_px: 64, height_px: 64, colour: gray, resize: letterbox, pad_value: 0,
  mean: [0.0], std: [255.0]}
output: {kind: anchor_free, stride_px: 8, nms_iou: 0.4}
parts:
  cloud: {file: cloud.onnx, engine: onnxruntime, sha256: DIGEST, model: small_cloud,
    version: 1.2.3, score_threshold: 0.6}
"""


def write_bundle(folder: Path, **options: Any) -> Path:
    """A bundle with the small network as its part cloud."""
    folder.mkdir()
    write_network(folder / "cloud.onnx", **options)
    digest = hashlib.sha256((folder / "cloud.onnx").read_bytes()).hexdigest()
    (folder / "bundle.yaml").write_text(DOCUMENT.replace("DIGEST", digest))
    (folder / "README.md").write_text("A small one.\n")
    return folder


@pytest.fixture
def make_bundle(tmp_path: Path) -> Callable[..., Path]:
    """Makes bundles of the small network, with a fixed batch or an old opset if wanted."""
    return lambda name="small", **options: write_bundle(tmp_path / name, **options)


@pytest.fixture
def bundle(make_bundle: Callable[..., Path]) -> Path:
    """The folder of a bundle with the small network as its part cloud."""
    return make_bundle()


@pytest.fixture
def halved(bundle: Path, frames: list[Frame], tmp_path: Path) -> Path:
    """The same, split at `half`."""
    whole = load_bundle(str(bundle))
    model = load_graph(whole.part("cloud").path)
    cut = profile(whole, "cloud", model, frames, levels=(256,)).cut("half")
    split_bundle(whole, model, cut.split(), tmp_path / "halved")
    return tmp_path / "halved"


@pytest.fixture
def frames() -> list[Frame]:
    """Pictures of some structure, of several sizes."""
    rng = np.random.default_rng(11)
    made = []
    for i, (width, height) in enumerate([(64, 64), (96, 64), (128, 128)]):
        coarse = rng.integers(0, 256, (9, 9)).astype(np.uint8)
        image = np.asarray(cv2.resize(coarse, (width, height)), np.uint8)
        made.append(Frame(FrameKey("main", i + 1), image, "mono8"))
    return made


@pytest.fixture
def pictures(tmp_path: Path, frames: list[Frame]) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for frame in frames:
        cv2.imwrite(str(folder / f"{frame.key.stamp_ns}.png"), frame.image)
    return folder
