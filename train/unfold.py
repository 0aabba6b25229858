"""Take up an exported network again: put normalisation back where it had been folded away.

Folding turns `norm(conv(x))` into one convolution `W x + b`. With the mean m and the variance v of
`W x` over some crops, a normalisation of running mean m, running variance v, scale sqrt(v + eps)
and shift b + m computes the same, and learns as one that had never been folded.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from train.dequantise import dequantised
from train.network import Detector


def unfold(model: Detector, path: Path, images: Tensor) -> None:
    """Load the weights of a file of `train.export` into a network with normalisation.

    path: float32 ONNX, or TFLite, whose weights of int8 become what they stand for.

    images: (N, 1, H, W) float32 in 0..1, like those of the training, for the statistics.

    Raises:
        ValueError: the file is not of a network of this configuration.
    """
    weights = dequantised(path, model) if path.suffix == ".tflite" else _read(path)
    convolutions = {n: m for n, m in model.named_modules() if isinstance(m, nn.Conv2d)}
    _check(weights, convolutions, path)
    biases: dict[str, Tensor] = {}
    with torch.no_grad():
        for name, convolution in convolutions.items():
            convolution.weight.copy_(weights[f"{name}.weight"])
            bias = weights[f"{name}.bias"]
            if convolution.bias is None:
                biases[name] = bias
            else:
                convolution.bias.copy_(bias)
        _normalise(model, biases, images)


def _read(path: Path) -> dict[str, Tensor]:
    return {
        one.name: torch.from_numpy(np.array(numpy_helper.to_array(one)))
        for one in onnx.load(str(path)).graph.initializer
    }


def _check(weights: dict[str, Tensor], convolutions: dict[str, nn.Conv2d], path: Path) -> None:
    for name, convolution in convolutions.items():
        got = weights.get(f"{name}.weight")
        if got is None or f"{name}.bias" not in weights or got.shape != convolution.weight.shape:
            shape = tuple(convolution.weight.shape)
            was = "nothing" if got is None else tuple(got.shape)
            raise ValueError(f"{path}: expected {name}.weight {shape} and a bias, got {was}")


def _normalise(model: Detector, biases: dict[str, Tensor], images: Tensor) -> None:
    """Set each normalisation from what its convolution gives, in the order of the forward pass."""
    # Each has its statistics set by the time the next layer runs: one pass is enough.
    hooks = []
    for name, bias in biases.items():
        owner = model.get_submodule(name.rpartition(".")[0])
        norm = next(m for m in owner.children() if isinstance(m, nn.BatchNorm2d))

        def set_from(
            _: nn.Module,
            arguments: tuple[Tensor],
            norm: nn.BatchNorm2d = norm,
            bias: Tensor = bias,
        ) -> None:
            mean = arguments[0].mean((0, 2, 3))
            variance = arguments[0].var((0, 2, 3))
            assert norm.running_mean is not None
            assert norm.running_var is not None
            norm.running_mean.copy_(mean)
            norm.running_var.copy_(variance)
            norm.weight.copy_((variance + norm.eps).sqrt())
            norm.bias.copy_(bias + mean)

        hooks.append(norm.register_forward_pre_hook(set_from))
    model.eval()
    model(images.contiguous(memory_format=torch.channels_last))
    for hook in hooks:
        hook.remove()
