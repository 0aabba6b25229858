"""MobileNetV2 (Sandler et al., 2018, arXiv:1801.04381), for classifiers on small devices.

`activation` is what stands after each normalisation: relu6 as published, or silu, whose long
tails make a network that static int8 with ranges from calibration harms visibly.
"""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)

# Expansion, channels, blocks, stride of the first block: table 2 of the paper.
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
ACTIVATIONS = {"relu6": nn.ReLU6, "relu": nn.ReLU, "silu": nn.SiLU, "hardswish": nn.Hardswish}


def channels_of(wanted: float) -> int:
    """The multiple of 8 nearest to `wanted`, and not more than a tenth below it."""
    made = max(8, int(wanted + 4) // 8 * 8)
    return made + 8 if made < 0.9 * wanted else made


def _conv(
    inputs: int, outputs: int, kernel: int, stride: int, groups: int, activation: str
) -> nn.Sequential:
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    if activation:
        layers.append(ACTIVATIONS[activation]())
    return nn.Sequential(*layers)


class InvertedResidual(nn.Module):
    """Expand, convolve each channel, project; plus the input where the shapes are equal."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int, activation: str):
        super().__init__()
        wide = inputs * expansion
        layers = [_conv(inputs, wide, 1, 1, 1, activation)] if expansion > 1 else []
        layers += [
            _conv(wide, wide, 3, stride, wide, activation),
            _conv(wide, outputs, 1, 1, 1, ""),
        ]
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers(x)
        return x + out if self.residual else out


def initialise(model: nn.Module) -> None:
    """Random weights for training from nothing."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out")


def trained(model: Network, weights: str | None) -> Network:
    """The network with the weights of a file, where given, ready to answer."""
    if weights:
        model.load_state_dict(torch.load(weights, weights_only=True, map_location="cpu"))
    model.eval()
    return model


class MobileNetV2(nn.Module):
    """image (N, channels, H, W) -> logits (N, classes); H and W are multiples of 32."""

    def __init__(
        self,
        *,
        classes: int,
        width: float = 1.0,
        channels: int = 3,
        last: int = 1280,
        activation: str = "relu6",
    ) -> None:
        super().__init__()
        inputs = channels_of(32 * width)
        layers: list[nn.Module] = [_conv(channels, inputs, 3, 2, 1, activation)]
        for expansion, base, blocks, stride in STAGES:
            outputs = channels_of(base * width)
            for i in range(blocks):
                step = stride if i == 0 else 1
                layers.append(InvertedResidual(inputs, outputs, step, expansion, activation))
                inputs = outputs
        layers.append(_conv(inputs, last, 1, 1, 1, activation))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(last, classes)
        initialise(self)

    def forward(self, image: Tensor) -> Tensor:
        out: Tensor = self.classifier(self.features(image).mean((2, 3)))
        return out


def defect_crops(
    weights: str | None = None, *, activation: str = "relu6", width: float = 0.35
) -> MobileNetV2:
    """The network of `train.crops`: gray crops, seven classes; small unless `width` says else."""
    last = 256 if width < 1 else 1280
    model = MobileNetV2(classes=7, width=width, channels=1, last=last, activation=activation)
    return trained(model, weights)


def defect_crops_silu(weights: str | None = None) -> MobileNetV2:
    """The same with SiLU in place of ReLU6."""
    return defect_crops(weights, activation="silu")


def defect_crops_full(weights: str | None = None) -> MobileNetV2:
    """The same as wide as published."""
    return defect_crops(weights, width=1.0)
