"""Writes the detector of vehicles as an ONNX model with weights in half precision:

    python -m train.traffic.export vehicles.pt models/traffic/vehicles.onnx

Batch normalisation is folded into the convolutions; what is computed is float32.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from train.traffic.network import VehicleDetector

SIZE_PX = (512, 288)
"""Width and height of what it sees."""
SMALL = 64
"""Tensors of fewer values stay as they are."""


def export(weights: Path, out: Path, size_px: tuple[int, int]) -> None:
    """Write the model: images (n, 3, height, width) -> output (n, cells, 12)."""
    model = VehicleDetector()
    model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    model.eval()
    made = io.BytesIO()
    torch.onnx.export(
        model,
        (torch.zeros(1, 3, size_px[1], size_px[0]),),
        made,
        input_names=["images"],
        output_names=["output"],
        dynamic_axes={"images": {0: "n"}, "output": {0: "n"}},
        opset_version=13,
        dynamo=False,
    )
    graph = onnx.load_from_string(made.getvalue())
    casts = []
    for tensor in graph.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and values.size >= SMALL:
            half = f"{tensor.name}_half"
            casts.append(helper.make_node("Cast", [half], [tensor.name], to=TensorProto.FLOAT))
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), half))
    for cast in reversed(casts):
        graph.graph.node.insert(0, cast)
    onnx.checker.check_model(graph)
    onnx.save(graph, out)
    print(f"{out}: {out.stat().st_size} bytes")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--width", type=int, default=SIZE_PX[0])
    parser.add_argument("--height", type=int, default=SIZE_PX[1])
    args = parser.parse_args()
    export(args.weights, args.out, (args.width, args.height))


if __name__ == "__main__":
    main()
