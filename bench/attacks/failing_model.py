"""A bundle whose model answers black pictures, and fails in the runtime for all others."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import yaml

from bench.tiny_model import write_tiny_bundle


def write_failing_bundle(folder: Path) -> Path:
    """The tiny bundle, which looks up the value at the brightest pixel in a table of one."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    write_tiny_bundle(folder)
    model = onnx.load(folder / "cloud.onnx")
    graph = model.graph
    for node in graph.node:
        if node.output[0] == "scores":
            node.output[0] = "scores_before"
    graph.node.extend(
        [
            helper.make_node("ReduceMax", ["image"], ["brightest"], keepdims=0),
            helper.make_node("Mul", ["brightest", "factor"], ["place_float"]),
            helper.make_node("Cast", ["place_float"], ["place"], to=TensorProto.INT64),
            helper.make_node("Gather", ["table", "place"], ["nothing"]),
            helper.make_node("Add", ["scores_before", "nothing"], ["scores"]),
        ]
    )
    graph.initializer.extend(
        [
            numpy_helper.from_array(np.float32(1e6), "factor"),
            numpy_helper.from_array(np.zeros(1, np.float32), "table"),
        ]
    )
    onnx.save(model, folder / "cloud.onnx")
    path = folder / "bundle.yaml"
    document = yaml.safe_load(path.read_text())
    digest = hashlib.sha256((folder / "cloud.onnx").read_bytes()).hexdigest()
    document["parts"]["cloud"]["sha256"] = digest
    path.write_text(yaml.safe_dump(document))
    return folder
