"""A bundle whose model averages cells of 8x8 px, and no more: for what stands around a model."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import yaml

TINY_PX = 64


def write_tiny_bundle(folder: Path, *, part: str = "cloud", version: str = "1") -> Path:
    """A bundle whose model averages cells of 8x8 px, and no more; part: its only one."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    cells = (TINY_PX // 8) ** 2
    graph = helper.make_graph(
        [
            helper.make_node(
                "AveragePool", ["image"], ["pooled"], kernel_shape=[8, 8], strides=[8, 8]
            ),
            helper.make_node("Reshape", ["pooled", "rows"], ["means"]),
            helper.make_node("MatMul", ["means", "slopes"], ["scaled"]),
            helper.make_node("Add", ["scaled", "bias"], ["scores"]),
            helper.make_node("MatMul", ["means", "ones"], ["boxes"]),
        ],
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 1, TINY_PX, TINY_PX])],
        [
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", cells, 1]),
            helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["n", cells, 4]),
        ],
        [
            numpy_helper.from_array(np.array([0, cells, 1], np.int64), "rows"),
            numpy_helper.from_array(np.full((1, 1), 40, np.float32), "slopes"),
            numpy_helper.from_array(np.full(1, -28, np.float32), "bias"),
            numpy_helper.from_array(np.ones((1, 4), np.float32), "ones"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, folder / f"{part}.onnx")
    document = {
        "format": 1,
        "name": "tiny",
        "version": version,
        "task": "detection",
        "labels": ["bright"],
        "input": {
            "width_px": TINY_PX,
            "height_px": TINY_PX,
            "colour": "gray",
            "resize": "letterbox",
            "pad_value": 0,
            "mean": [0.0],
            "std": [255.0],
        },
        "output": {"kind": "anchor_free", "stride_px": 8, "nms_iou": 0.4},
        "parts": {
            part: {
                "file": f"{part}.onnx",
                "engine": "onnxruntime",
                "sha256": hashlib.sha256((folder / f"{part}.onnx").read_bytes()).hexdigest(),
                "model": "tiny",
                "version": version,
                "score_threshold": 0.5,
            }
        },
    }
    (folder / "bundle.yaml").write_text(yaml.safe_dump(document))
    return folder
