"""A classifier of colours as a bundle: for what stands around a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

SIDE_PX = 16
LABELS = ("blue", "green", "red")  # of a bgr picture, in this order


def write_classifier(path: Path, *, sharpness: float = 10.0, labels: int = 3) -> None:
    """[n, 3, 16, 16] in 0 to 1 -> logits [n, labels]: the mean of each channel times sharpness."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weights = (np.eye(3, labels) * sharpness).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("GlobalAveragePool", ["image"], ["means"]),
            helper.make_node("Flatten", ["means"], ["flat"]),
            helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
        ],
        "colours",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, SIDE_PX, SIDE_PX])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", labels])],
        [numpy_helper.from_array(weights, "weights")],
    )
    opset = [helper.make_opsetid("", 13)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)


def describe(**parts: str) -> dict[str, Any]:
    """The content of bundle.yaml; `parts` are the files by name of the part."""
    return {
        "format": 1,
        "name": "colours",
        "version": "1.0.0",
        "task": "classification",
        "labels": list(LABELS),
        "input": {
            "width_px": SIDE_PX,
            "height_px": SIDE_PX,
            "colour": "bgr",
            "resize": "stretch",
            "pad_value": 0,
            "mean": [0.0] * 3,
            "std": [255.0] * 3,
        },
        "output": {"kind": "classification"},
        "parts": {
            name: {
                "file": file,
                "engine": "onnxruntime" if file.endswith(".onnx") else "litert",
                "model": f"colours_{name}",
                "version": "1",
                "score_threshold": 0.0,
            }
            for name, file in parts.items()
        },
    }
