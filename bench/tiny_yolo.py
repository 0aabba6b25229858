"""A detector with the outputs of YOLOv8 or YOLOv5 whose weights are written by hand.

A cell of 8x8 px that is pure red or pure green is an object of that label, and its box is the cell
itself; so each answer is known.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIDE_PX, STRIDE_PX = 64, 8
GRID = SIDE_PX // STRIDE_PX
CELLS = GRID * GRID
LABELS = ("red", "green")


def write_yolo(
    path: Path,
    *,
    kind: str = "yolov8",
    turned: bool = False,
    logits: bool = False,
    fraction: bool = False,
    apart: bool = False,
    element: str = "float32",
    nhwc: bool = False,
    batch: int | str = 1,
) -> None:
    """[batch, 3, 64, 64] in 0 to 1 (uint8: 0 to 255) -> a row for each of 64 cells.

    Args:
        turned: the last two sides the other way round than the authors' export has them.
        logits: scores without the sigmoid.
        fraction: boxes in fractions of the sides.
        apart: scores and boxes as two outputs.
        element: type of the input, and for float16 of everything.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    half = element == "float16"
    number = np.float16 if half else np.float32
    output = TensorProto.FLOAT16 if half else TensorProto.FLOAT
    node, weights, nodes = helper.make_node, _weights(fraction), []
    fed = "image"
    if element == "uint8":
        nodes += [node("Cast", [fed], ["real"], to=1), node("Mul", ["real", "inverse"], ["unit"])]
        fed = "unit"
    if nhwc:
        nodes.append(node("Transpose", [fed], ["planes"], perm=[0, 3, 1, 2]))
        fed = "planes"
    nodes += [
        node("Conv", [fed, "w", "b"], ["map"], strides=[STRIDE_PX] * 2),
        node("Reshape", ["map", "cells"], ["flat"]),
        node("Split", ["flat", "pieces"], ["bright", "sure", "classes"], axis=1),
        node("Mul", ["bright", "size"], ["side"]),
        node("Mul", ["bright", "nothing"], ["still"]),
        node("Add", ["still", "centres"], ["centre"]),
        node("Concat", ["centre", "side", "side"], ["boxes"], axis=1),
    ]
    raw = "classes"
    if kind == "yolov5":
        nodes.append(node("Concat", ["sure", "classes"], ["all"], axis=1))
        raw = "all"
    scores = raw
    if not logits:
        nodes.append(node("Sigmoid", [raw], ["scores"]))
        scores = "scores"
    given = [scores, "boxes"] if apart else ["joint"]
    if not apart:
        nodes.append(node("Concat", ["boxes", scores], ["joint"], axis=1))
    if turned != (kind == "yolov5"):
        for i, name in enumerate(given):
            nodes.append(node("Transpose", [name], [f"rows_{i}"], perm=[0, 2, 1]))
            given[i] = f"rows_{i}"
    kinds = {"float32": 1, "float16": 10, "uint8": 2, "int8": 3}
    shape = [batch, SIDE_PX, SIDE_PX, 3] if nhwc else [batch, 3, SIDE_PX, SIDE_PX]
    graph = helper.make_graph(
        nodes,
        "tiny_yolo",
        [helper.make_tensor_value_info("image", kinds[element], shape)],
        [helper.make_tensor_value_info(name, output, [batch, None, None]) for name in given],
        [
            numpy_helper.from_array(v.astype(number) if v.dtype.kind == "f" else v, k)
            for k, v in weights.items()
        ],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)


def _weights(fraction: bool) -> dict[str, NDArray[Any]]:
    """Channels of the convolution: brightness, how sure of anything, red, green."""
    mean = np.full((3, STRIDE_PX, STRIDE_PX), 1 / STRIDE_PX**2, np.float32)
    red, green = np.array([40.0, -40.0, -40.0]), np.array([-40.0, 40.0, -40.0])
    channels = [np.full(3, 1 / 3), np.full(3, 60.0), red, green]
    unit = SIDE_PX if fraction else 1
    rows, columns = np.mgrid[:GRID, :GRID]
    centres = np.stack([columns.ravel(), rows.ravel()])[None] + 0.5
    return {
        "inverse": np.array(1 / 255, np.float32),
        "w": np.stack([mean * np.reshape(c, (3, 1, 1)) for c in channels]).astype(np.float32),
        "b": np.array([0, -30, -20, -20], np.float32),
        "cells": np.array([0, 4, CELLS], np.int64),
        "pieces": np.array([1, 1, 2], np.int64),
        "size": np.array(3 * STRIDE_PX / unit, np.float32),
        "nothing": np.array(0, np.float32),
        "centres": (centres * STRIDE_PX / unit).astype(np.float32),
    }


def describe(file: str = "cloud.onnx", **part: Any) -> dict[str, Any]:
    """The content of bundle.yaml with this one file, as the part `cloud`."""
    return {
        "format": 2,
        "name": "tiny_yolo",
        "version": "1.0.0",
        "task": "detection",
        "labels": list(LABELS),
        "input": {
            "width_px": SIDE_PX,
            "height_px": SIDE_PX,
            "colour": "rgb",
            "resize": "letterbox",
            "pad_value": 114,
            "mean": [0.0] * 3,
            "std": [255.0] * 3,
        },
        "output": {"kind": "yolov8", "nms_iou": 0.7, "nms": "per_class"},
        "parts": {
            "cloud": {
                "file": file,
                "engine": "onnxruntime",
                "model": "tiny_yolo",
                "version": "1",
                "score_threshold": 0.5,
                **part,
            }
        },
    }


def picture() -> NDArray[np.uint8]:
    """64x64 rgb, black but for a red cell at column 2, row 1 and a green one at column 5, row 6."""
    image = np.zeros((SIDE_PX, SIDE_PX, 3), np.uint8)
    image[8:16, 16:24, 0] = 255
    image[48:56, 40:48, 1] = 255
    return image
