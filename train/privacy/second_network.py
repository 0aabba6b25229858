"""The network that looks twice at what was taken for a plate: is it one, and its corners."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from train.network import Block, conv


class SecondLook(nn.Module):
    """view (N, 3, 48, 96), RGB in 0..1 -> plate (N,) logits, corners (N, 4, 2).

    Corners go round from the upper left, in shares of half a view's sides from its middle.
    """

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv(3, 16, 5, 2),
            conv(16, 32, 3, 2),
            Block(32),
            conv(32, 48, 3, 2),
            Block(48),
            conv(48, 64, 3, 2),
            Block(64),
            conv(64, 32, 1),
            nn.Flatten(),
        )
        self.all = nn.Sequential(nn.Linear(32 * 3 * 6, 72), nn.ReLU(inplace=True), nn.Dropout(0.1))
        self.last = nn.Linear(72, 9)
        with torch.no_grad():
            self.last.weight[1:] *= 0.1
            self.last.bias[1:] = torch.tensor([-0.5, -0.3, 0.5, -0.3, 0.5, 0.3, -0.5, 0.3])

    def forward(self, view: Tensor) -> tuple[Tensor, Tensor]:
        said = self.last(self.all(self.body(view - 0.45)))
        return said[:, 0], said[:, 1:].view(-1, 4, 2)
