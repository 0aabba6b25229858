"""Writes the detector of vehicles as an ONNX model with weights in half precision:

    python -m train.traffic.export yolox_nano.onnx vehicles.pt models/traffic/vehicles.onnx

The weights are a mean of those before and after training (Wortsman et al., 2022): `--share` of the
latter. The graph is YOLOX-nano's, for pictures of one size, with 7 types.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from train.traffic.network import TYPES, GraphDetector, safe_name

SIZE_PX = (512, 288)
"""Width and height of what it sees."""


def export(begin: Path, weights: Path, out: Path, share: float, size_px: tuple[int, int]) -> None:
    """Write the model."""
    model = GraphDetector(begin)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    after = torch.load(weights, map_location="cpu", weights_only=True)
    mixed = {k: (1 - share) * before[k] + share * after[k] for k in before}
    graph = onnx.load(begin)
    rows = sum((size_px[0] // s) * (size_px[1] // s) for s in (8, 16, 32))
    casts = []
    for tensor in graph.graph.initializer:
        key = f"weights.{safe_name(tensor.name)}"
        if key in mixed:
            values = mixed[key].numpy()
            if values.size >= 64:
                half = numpy_helper.from_array(values.astype(np.float16), f"{tensor.name}_half")
                casts.append(
                    helper.make_node(
                        "Cast", [f"{tensor.name}_half"], [tensor.name], to=TensorProto.FLOAT
                    )
                )
                tensor.CopyFrom(half)
            else:
                tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float32), tensor.name))
        elif "Reshape" in tensor.name:
            shape = np.array([0, 5 + len(TYPES), -1], np.int64)
            tensor.CopyFrom(numpy_helper.from_array(shape, tensor.name))
    for cast in reversed(casts):
        graph.graph.node.insert(0, cast)
    del graph.graph.value_info[:]
    sides = {"images": (3, size_px[1], size_px[0]), "output": (rows, 5 + len(TYPES))}
    for value in (*graph.graph.input, *graph.graph.output):
        wanted = sides[value.name]
        value.type.tensor_type.shape.Clear()
        for k, side in enumerate((1, *wanted)):
            dim = value.type.tensor_type.shape.dim.add()
            if k == 0:
                dim.dim_param = "n"
            else:
                dim.dim_value = side
    onnx.checker.check_model(graph)
    onnx.save(graph, out)
    print(f"{out}: {out.stat().st_size} bytes")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("begin", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--share", type=float, default=0.6)
    parser.add_argument("--width", type=int, default=SIZE_PX[0])
    parser.add_argument("--height", type=int, default=SIZE_PX[1])
    args = parser.parse_args()
    export(args.begin, args.weights, args.out, args.share, (args.width, args.height))


if __name__ == "__main__":
    main()
