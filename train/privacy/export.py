"""Writes the detector as an ONNX model whose weights are kept in half precision:

    python -m train.privacy.export privacy.pt models/privacy/plates_and_heads.onnx

Input `image` (N, 3, H, W), BGR in 0..255 as float32, H and W multiples of 16. Outputs `heat`
(N, 2, H/4, W/4), chances of a plate and of a head, and `boxes` (N, 4, H/4, W/4): left, top, right,
bottom as distances in px from the cell's centre. It computes in float32: halves are only stored.
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

from train.privacy.network import UNIT_PX, PrivacyDetector

BYTES_MAX = 1_000_000


class Exported(nn.Module):
    """The detector with the order of colours, the scale and the decoding of its outputs inside."""

    def __init__(self, model: PrivacyDetector) -> None:
        super().__init__()
        self.model = copy.deepcopy(model).eval()
        for module in list(self.model.modules()):
            if isinstance(module, nn.Sequential) and isinstance(module[0], nn.Conv2d):
                module[0] = fuse_conv_bn_eval(module[0], module[1])
                module[1] = nn.Identity()
        first = self.model.at4[0][0]
        first.weight.data = first.weight.data.flip(1) / 255

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        heat, sides = self.model(image)
        return torch.sigmoid(heat), torch.exp(sides.clamp(-4, 5)) * UNIT_PX


def export(weights: Path, out: Path) -> None:
    """Write the model; SystemExit if it is larger than one megabyte."""
    model = PrivacyDetector()
    model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    sides = {0: "n", 2: "high", 3: "wide"}
    torch.onnx.export(
        Exported(model),
        (torch.zeros(1, 3, 64, 64),),
        str(out),
        input_names=["image"],
        output_names=["heat", "boxes"],
        dynamic_axes={"image": sides, "heat": sides, "boxes": sides},
        opset_version=17,
        dynamo=False,
    )
    graph = onnx.load(out)
    _halve(graph)
    onnx.checker.check_model(graph)
    onnx.save(graph, out)
    if (size := out.stat().st_size) > BYTES_MAX:
        raise SystemExit(f"{out}: expected at most {BYTES_MAX} bytes, got {size}")
    print(f"{out}: {size} bytes")


def _halve(model: onnx.ModelProto) -> None:
    casts = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < 64:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}_half"))
        casts.append(helper.make_node("Cast", [f"{name}_half"], [name], to=TensorProto.FLOAT))
    for cast in reversed(casts):
        model.graph.node.insert(0, cast)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    export(args.weights, args.out)
