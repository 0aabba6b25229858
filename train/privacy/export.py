"""Writes the detector as an ONNX model of eight bits:

    python -m train.privacy.export privacy.pt models/privacy/plates_and_heads.onnx --bank BANK.npz

Input `image` (N, 3, H, W), BGR in 0..255 as float32, H and W multiples of 16. Outputs `heat`
(N, 2, H/4, W/4), chances of a plate and of a head, and `boxes` (N, 4, H/4, W/4): left, top, right,
bottom as distances in px from the cell's centre. All convolutions but the last two are computed
with integers, their ranges taken from pictures composed of the bank; without one the model computes
in float32, and only its weights are stored in half precision.
"""

from __future__ import annotations

import argparse
import copy
import importlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from mastra_ros.inference.engines.reporting import load_onnxruntime
from train.privacy.compose import Composer
from train.privacy.network import UNIT_PX, PrivacyDetector

Floats = npt.NDArray[np.float32]
Network = TypeVar("Network", bound=nn.Module)
BYTES_MAX = 1_000_000
CALIBRATION_PICTURES, CALIBRATION_SEED = 48, 9


class Exported(nn.Module):
    """The detector with the order of colours, the scale and the decoding of its outputs inside."""

    def __init__(self, model: PrivacyDetector) -> None:
        super().__init__()
        self.model = folded(model)
        take_bytes_in_bgr(self.model.at4[0][0])

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        heat, sides = self.model(image)
        return torch.sigmoid(heat), torch.exp(sides.clamp(-4, 5)) * UNIT_PX


def export(weights: Path, out: Path, bank: Path | None = None) -> None:
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
    if bank is None:
        graph = onnx.load(out)
        _halve(graph)
        onnx.checker.check_model(graph)
        onnx.save(graph, out)
    else:
        quantise(out, "image", _pictures(bank), last_convolutions=2)
    weigh(out, BYTES_MAX)


def folded(model: Network) -> Network:
    """A copy for inference with its normalisation folded into its convolutions."""
    model = copy.deepcopy(model).eval()
    for module in list(model.modules()):
        if isinstance(module, nn.Sequential) and isinstance(module[0], nn.Conv2d):
            module[0] = fuse_conv_bn_eval(module[0], module[1])
            module[1] = nn.Identity()
    return model


def take_bytes_in_bgr(first: nn.Conv2d) -> None:
    """Have this convolution, of RGB in 0..1, take the colours in the other order, in 0..255."""
    first.weight.data = first.weight.data.flip(1) / 255


def weigh(model: Path, bytes_max: int) -> None:
    """Tell the size of a model; SystemExit if it is larger than it may be."""
    if (size := model.stat().st_size) > bytes_max:
        raise SystemExit(f"{model}: expected at most {bytes_max} bytes, got {size}")
    print(f"{model}: {size} bytes")


def _pictures(bank: Path) -> Iterator[Floats]:
    """Composed pictures (1, 3, H, W), as the model takes them."""
    composer = Composer(bank, "cpu", CALIBRATION_SEED)
    batches = [composer.batch(8)[0].flip(1) * 255 for _ in range(CALIBRATION_PICTURES // 8)]
    yield from torch.cat(batches).round()[:, None].numpy()


class _Fed:
    """Pictures as the runtime asks for them."""

    def __init__(self, name: str, pictures: Iterator[Floats]) -> None:
        self._name, self._left = name, pictures

    def get_next(self) -> dict[str, Any] | None:
        picture = next(self._left, None)
        return None if picture is None else {self._name: picture}


def quantise(path: Path, name: str, pictures: Iterator[Floats], *, last_convolutions: int) -> None:
    """Eight bits for all that is computed but what gives the outputs: chances and distances.

    name: of the input that takes the pictures, of which the ranges are taken.
    """
    load_onnxruntime()  # without its reports, before more of it is imported
    tools = importlib.import_module("onnxruntime.quantization")
    shapes = importlib.import_module("onnxruntime.quantization.shape_inference")
    reader = type("Reader", (_Fed, tools.CalibrationDataReader), {})
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "plain.onnx"
        shapes.quant_pre_process(str(path), str(plain), skip_symbolic_shape=True)
        nodes = onnx.load(plain).graph.node
        last = [n.name for n in nodes if n.op_type in ("Conv", "Gemm")][-last_convolutions:]
        last += [n.name for n in nodes if n.op_type in ("Sigmoid", "Exp", "Clip", "Mul")]
        tools.quantize_static(
            str(plain),
            str(path),
            reader(name, pictures),
            quant_format=tools.QuantFormat.QDQ,
            per_channel=True,
            activation_type=tools.QuantType.QUInt8,
            weight_type=tools.QuantType.QInt8,
            calibrate_method=tools.CalibrationMethod.MinMax,
            nodes_to_exclude=last,
        )


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
    parser.add_argument("--bank", type=Path, help="that of train.privacy.bank, for eight bits")
    args = parser.parse_args()
    export(args.weights, args.out, args.bank)
