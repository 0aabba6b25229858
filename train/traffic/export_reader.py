"""Writes the reader of plates as an ONNX model whose weights are kept as int8:

    python -m train.traffic.export_reader reader.pt models/traffic/plate_reader.onnx

Input `plate` (N, 1, 48, 160), grey, each of mean 0 and spread 1. Output `chances` (N, 80, 37): of
each place, 0 to 9, A to Z, and nothing. It computes in float32: whole numbers are only stored,
with a scale a row.
"""

from __future__ import annotations

import argparse
import copy
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from train.traffic.reader import PlateReader


class Exported(nn.Module):
    """The reader with its normalisation folded in, saying chances."""

    def __init__(self, model: PlateReader) -> None:
        super().__init__()
        self.model = copy.deepcopy(model).eval()
        for module in list(self.model.modules()):
            if isinstance(module, nn.Sequential) and len(module) == 3:
                first, second = module[0], module[1]
                if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                    module[0] = fuse_conv_bn_eval(first, second)
                    module[1] = nn.Identity()

    def forward(self, plate: Tensor) -> Tensor:
        return torch.softmax(self.model(plate), -1)


def export(weights: Path, out: Path) -> None:
    """Write the model."""
    model = PlateReader()
    model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    torch.onnx.export(
        Exported(model),
        (torch.zeros(2, 1, 48, 160),),
        str(out),
        input_names=["plate"],
        output_names=["chances"],
        dynamic_axes={"plate": {0: "n"}, "chances": {0: "n"}},
        opset_version=17,
        dynamo=False,
    )
    graph = onnx.load(out)
    _pack(graph)
    onnx.checker.check_model(graph)
    onnx.save(graph, out)
    print(f"{out}: {out.stat().st_size} bytes")


def _pack(model: onnx.ModelProto) -> None:
    """Weights as int8, by the rows of convolutions and the columns of matrices."""
    casts = []
    products = {n.input[1] for n in model.graph.node if n.op_type == "MatMul"}
    for tensor in list(model.graph.initializer):
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < 512:
            continue
        name = tensor.name
        axis = values.ndim - 1 if name in products or values.ndim != 4 else 0
        others = tuple(k for k in range(values.ndim) if k != axis)
        scale = np.maximum(np.abs(values).max(others) / 127, 1e-9).astype(np.float32)
        spread = scale.reshape([-1 if k == axis else 1 for k in range(values.ndim)])
        packed = np.clip(np.round(values / spread), -127, 127).astype(np.int8)
        tensor.CopyFrom(numpy_helper.from_array(packed, f"{name}_int8"))
        model.graph.initializer.append(numpy_helper.from_array(scale, f"{name}_scale"))
        model.graph.initializer.append(
            helper.make_tensor(f"{name}_zero", TensorProto.INT8, [len(scale)], [0] * len(scale))
        )
        casts.append(
            helper.make_node(
                "DequantizeLinear",
                [f"{name}_int8", f"{name}_scale", f"{name}_zero"],
                [name],
                axis=axis,
            )
        )
    for cast in reversed(casts):
        model.graph.node.insert(0, cast)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    export(args.weights, args.out)
