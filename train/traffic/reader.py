"""The reader of plates: a small network that says a plate's letters in the order of reading.

Convolutions make of the picture a field of two rows of places; two layers of attention see all of
it; each place says a letter or nothing (CTC, Graves et al., 2006), the upper row first. So a plate
of two lines is read as one of one line is, and words above and below are passed over.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from train.traffic.letters import LETTERS

BLANK = len(LETTERS)
PLACES = (2, 40)
WIDTH = 96


def conv(a: int, b: int, stride: tuple[int, int] = (1, 1)) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(a, b, 3, stride, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU(inplace=True)
    )


class Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.one, self.two = conv(width, width), conv(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.two(self.one(x))


class Attention(nn.Module):
    """One layer: attention of 4 heads, then two linear ones; both with a way around."""

    def __init__(self, width: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.norm, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.asked, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        _, length, width = x.shape
        asked = self.asked(self.norm(x)).view(-1, length, 3, self.heads, width // self.heads)
        q, k, v = asked.permute(2, 0, 3, 1, 4).unbind(0)
        near = torch.softmax(q @ k.transpose(-1, -2) / (width // self.heads) ** 0.5, -1)
        x = x + self.out((near @ v).transpose(1, 2).reshape(-1, length, width))
        return x + self.narrow(torch.relu(self.wide(self.norm2(x))))


class PlateReader(nn.Module):
    """image (N, 1, 48, 160), of mean 0 and spread 1 -> logits (N, 80, 37), the last: nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.eyes = nn.Sequential(
            conv(1, 24, (2, 2)),
            conv(24, 40),
            conv(40, 48, (2, 2)),
            Residual(48),
            Residual(48),
            conv(48, 72, (2, 1)),
            Residual(72),
            nn.Conv2d(72, WIDTH, (3, 3), (3, 1), (0, 1)),
        )
        self.place = nn.Parameter(torch.randn(1, PLACES[0] * PLACES[1], WIDTH) * 0.02)
        self.mind = nn.Sequential(Attention(WIDTH), Attention(WIDTH), nn.LayerNorm(WIDTH))
        self.tongue = nn.Linear(WIDTH, BLANK + 1)

    def forward(self, image: Tensor) -> Tensor:
        field = self.eyes(image).flatten(2).transpose(1, 2)
        return self.tongue(self.mind(field + self.place))


def evened(image: Tensor) -> Tensor:
    """Each picture with mean 0 and spread 1."""
    mean = image.mean((1, 2, 3), keepdim=True)
    spread = image.std((1, 2, 3), keepdim=True)
    return (image - mean) / (spread + 0.02)


def read(logits: Tensor) -> list[str]:
    """The texts, each place by its likeliest letter."""
    best = logits.argmax(-1).tolist()
    return [
        "".join(
            LETTERS[k]
            for before, k in zip([BLANK, *row], row, strict=False)
            if k not in (BLANK, before)
        )
        for row in best
    ]
