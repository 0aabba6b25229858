"""A bundle whose gateway part costs next to nothing, so that a small machine can serve it all.

The device part is the real one. The gateway part keeps the same contract (same input, same
grid of scores and boxes) with a mean over each cell instead of a network: it finds nothing.
What is measured with it is switching, never accuracy.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import yaml
from onnx import TensorProto, helper, numpy_helper

from mastra_ros.inference import Bundle, load_bundle

NOTHING = -20.0
"""Logit of every score."""


def make_tiny_bundle(folder: Path, real: str = "models/board_defects") -> Path:
    """Write the bundle into `folder`; returns it."""
    folder.mkdir(parents=True)
    bundle = load_bundle(real)
    content: dict[str, Any] = yaml.safe_load(bundle.path.read_text("utf-8"))
    shutil.copy(bundle.part("local").path, folder / content["parts"]["local"]["file"])
    content["parts"] = {name: content["parts"][name] for name in ("local", "cloud")}
    cloud = content["parts"]["cloud"]
    onnx.save(_model(bundle), folder / cloud["file"])
    cloud["sha256"] = hashlib.sha256((folder / cloud["file"]).read_bytes()).hexdigest()
    cloud["model"] = "tiny"
    cloud["measurements"] = {}
    (folder / "bundle.yaml").write_text(yaml.safe_dump(content, sort_keys=False), "utf-8")
    return folder


def _model(bundle: Bundle) -> Any:
    stride = bundle.output.stride_px
    height, width = bundle.input.height_px, bundle.input.width_px
    cells = (height // stride) * (width // stride)
    channels, classes = bundle.input.channels, len(bundle.labels)
    nodes = [
        helper.make_node(
            "AveragePool", ["image"], ["pooled"], kernel_shape=[stride] * 2, strides=[stride] * 2
        )
    ]
    constants = []
    for name, depth, bias in (("scores", classes, NOTHING), ("boxes", 4, 0.5)):
        nodes += [
            helper.make_node("Conv", ["pooled", f"{name}_w", f"{name}_b"], [f"{name}_map"]),
            helper.make_node("Transpose", [f"{name}_map"], [f"{name}_rows"], perm=[0, 2, 3, 1]),
            helper.make_node("Reshape", [f"{name}_rows", f"{name}_shape"], [name]),
        ]
        constants += [
            numpy_helper.from_array(np.zeros((depth, channels, 1, 1), np.float32), f"{name}_w"),
            numpy_helper.from_array(np.full(depth, bias, np.float32), f"{name}_b"),
            numpy_helper.from_array(np.array([0, cells, depth], np.int64), f"{name}_shape"),
        ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", channels, height, width])],
        [
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", cells, classes]),
            helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["n", cells, 4]),
        ],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
