"""The detector of plates and heads: anchor-free, one prediction per 4x4 px cell.

Plain 3x3 convolutions with batch normalisation and ReLU, levels at 4, 8 and 16 px, read at 4 px, so
that a plate seven pixels high still has cells of its own. Centres as heat after CenterNet (Zhou et
al., 2019), boxes as distances to the four sides.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from train.network import Block, conv

STRIDE_PX = 4
CLASSES = ("plate", "head")
UNIT_PX = 8.0
"""A side's distance from the cell's centre is UNIT_PX * exp(output)."""


class PrivacyDetector(nn.Module):
    """image (N, 3, H, W), RGB in 0..1 -> heat (N, 2, H/4, W/4) logits, sides (N, 4, H/4, W/4).

    `sides` are logarithms of the distances left, top, right, bottom in units of 8 px.
    H and W are multiples of 16.
    """

    def __init__(self) -> None:
        super().__init__()
        self.at4 = nn.Sequential(conv(3, 16, 3, 2), conv(16, 32, 3, 2), Block(32), Block(32))
        self.at8 = nn.Sequential(conv(32, 64, 3, 2), *(Block(64) for _ in range(4)))
        self.at16 = nn.Sequential(conv(64, 72, 3, 2), *(Block(72) for _ in range(4)))
        self.from16 = conv(72, 64, 1)
        self.from8 = conv(64, 32, 1)
        self.upsample = nn.Upsample(scale_factor=2, mode="nearest")
        self.fuse = nn.Sequential(conv(32, 32), Block(32))
        self.heat = nn.Conv2d(32, len(CLASSES), 1)
        self.sides = nn.Conv2d(32, 4, 1)
        nn.init.constant_(self.heat.bias, -4.0)
        nn.init.normal_(self.sides.weight, std=0.01)
        nn.init.zeros_(self.sides.bias)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        at4 = self.at4(image)
        at8 = self.at8(at4)
        at8 = at8 + self.upsample(self.from16(self.at16(at8)))
        fine = self.fuse(at4 + self.upsample(self.from8(at8)))
        return self.heat(fine), self.sides(fine)


def centres_px(
    rows: int, columns: int, device: torch.device | str = "cpu"
) -> tuple[Tensor, Tensor]:
    """The x (1, columns) and y (rows, 1) of the cells' centres, in px."""
    x = (torch.arange(columns, device=device) + 0.5) * STRIDE_PX
    y = (torch.arange(rows, device=device) + 0.5) * STRIDE_PX
    return x[None], y[:, None]
