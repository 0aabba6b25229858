"""The detector: a small anchor-free network with one prediction per 8x8 px cell.

Plain 3x3 convolutions with batch normalisation and ReLU only, so that it folds and quantises to
full-integer int8 without loss. Single scale and centre sampling after FCOS (Tian et al., 2019).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

STRIDE_PX = 8
CLASSES = 6


@dataclass(frozen=True)
class Width:
    """Channels at strides 2, 4, 8 and 16, and the number of residual blocks at 4, 8 and 16.

    The device's is as wide as int8 on a processor without VNNI allows within 20 ms a frame.
    """

    channels: tuple[int, int, int, int]
    blocks: tuple[int, int, int]


WIDTHS = {
    "device": Width(channels=(8, 16, 32, 64), blocks=(0, 2, 3)),
    "gateway": Width(channels=(16, 32, 64, 128), blocks=(2, 3, 3)),
}


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """A convolution with batch normalisation and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class Block(nn.Module):
    """A residual 3x3 convolution: x + relu(bn(conv(x)))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = conv(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.conv(x)
        return out


class Detector(nn.Module):
    """image (N, 1, H, W) in 0..1 -> scores (N, H/8 * W/8, 6) logits, boxes (N, H/8 * W/8, 4).

    `boxes` are the distances left, top, right, bottom from the cell's centre, in cells (8 px),
    never negative. Cells are in row-major order. H and W are multiples of 16.
    """

    def __init__(self, width: Width) -> None:
        super().__init__()
        c2, c4, c8, c16 = width.channels
        n4, n8, n16 = width.blocks
        self.stem = conv(1, c2, 3, 2)
        self.at4 = nn.Sequential(conv(c2, c4, 3, 2), *(Block(c4) for _ in range(n4)))
        self.at8 = nn.Sequential(conv(c4, c8, 3, 2), *(Block(c8) for _ in range(n8)))
        self.at16 = nn.Sequential(conv(c8, c16, 3, 2), *(Block(c16) for _ in range(n16)))
        self.lateral = conv(c16, c8, 1)
        self.upsample = nn.Upsample(scale_factor=2, mode="nearest")
        self.fuse = nn.Sequential(conv(c8, c8), Block(c8))
        self.score = nn.Conv2d(c8, CLASSES, 1)
        self.box = nn.Conv2d(c8, 4, 1)
        nn.init.normal_(self.score.weight, std=0.01)
        nn.init.constant_(self.score.bias, -4.0)
        nn.init.normal_(self.box.weight, std=0.01)
        nn.init.constant_(self.box.bias, 2.2)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        fine = self.at8(self.at4(self.stem(image)))
        fine = self.fuse(fine + self.upsample(self.lateral(self.at16(fine))))
        scores = self.score(fine).permute(0, 2, 3, 1).flatten(1, 2)
        boxes = torch.relu(self.box(fine)).permute(0, 2, 3, 1).flatten(1, 2)
        return scores, boxes


def build(name: str) -> Detector:
    """The detector of the configuration `device` or `gateway`."""
    return Detector(WIDTHS[name])
