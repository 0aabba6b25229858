"""A bundle whose model answers black pictures at once, and white ones never."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import yaml

from bench.tiny_model import write_tiny_bundle

ROUNDS = 1e15
"""Of a loop that does nothing; a white pixel makes the model run so many."""


def write_hanging_bundle(folder: Path) -> Path:
    """The tiny bundle with a loop in it, whose rounds are those of the brightest pixel."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    write_tiny_bundle(folder)
    model = onnx.load(folder / "cloud.onnx")
    graph = model.graph
    for node in graph.node:
        if node.output[0] == "scores":
            node.output[0] = "scores_before"
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go_on"], ["goes_on"]),
            helper.make_node("Identity", ["nothing_in"], ["nothing_out"]),
        ],
        "round",
        [
            value("round", TensorProto.INT64, []),
            value("go_on", TensorProto.BOOL, []),
            value("nothing_in", TensorProto.FLOAT, []),
        ],
        [value("goes_on", TensorProto.BOOL, []), value("nothing_out", TensorProto.FLOAT, [])],
    )
    graph.node.extend(
        [
            helper.make_node("ReduceMax", ["image"], ["brightest"], keepdims=0),
            helper.make_node("Mul", ["brightest", "factor"], ["rounds_float"]),
            helper.make_node("Cast", ["rounds_float"], ["rounds"], to=TensorProto.INT64),
            helper.make_node("Loop", ["rounds", "", "zero"], ["nothing"], body=body),
            helper.make_node("Add", ["scores_before", "nothing"], ["scores"]),
        ]
    )
    graph.initializer.extend(
        [
            numpy_helper.from_array(np.float32(ROUNDS), "factor"),
            numpy_helper.from_array(np.float32(0.0), "zero"),
        ]
    )
    onnx.save(model, folder / "cloud.onnx")
    document = yaml.safe_load((folder / "bundle.yaml").read_text())
    digest = hashlib.sha256((folder / "cloud.onnx").read_bytes()).hexdigest()
    document["parts"]["cloud"]["sha256"] = digest
    (folder / "bundle.yaml").write_text(yaml.safe_dump(document))
    return folder
