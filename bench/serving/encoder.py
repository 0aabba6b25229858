"""Networks with random weights for servers on a GPU, as programs that PyTorch exports."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from train.network import build

WORDS = 30_522
ROWS_MAX = 64
LENGTH_MAX = 512


@dataclass(frozen=True)
class Size:
    """Of an encoder: layers, width, heads, and the width between."""

    layers: int
    width: int
    heads: int
    between: int


SIZES = {"base": Size(12, 768, 12, 3072), "small": Size(2, 32, 2, 64)}
"""`base` is that of BERT-base (Devlin et al., 2019)."""


class Layer(nn.Module):  # type: ignore[misc]
    """Self-attention and two linear maps, each with its sum and normalisation behind it."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.heads = size.heads
        self.project = nn.Linear(size.width, 3 * size.width)
        self.out = nn.Linear(size.width, size.width)
        self.up, self.down = (
            nn.Linear(size.width, size.between),
            nn.Linear(size.between, size.width),
        )
        self.first, self.second = nn.LayerNorm(size.width), nn.LayerNorm(size.width)

    def forward(self, x: Any) -> Any:
        """(n, length, width) -> the same."""
        parts = self.project(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        found = nn.functional.scaled_dot_product_attention(parts[0], parts[1], parts[2])
        x = self.first(x + self.out(found.transpose(1, 2).flatten(-2)))
        return self.second(x + self.down(nn.functional.gelu(self.up(x))))


class Encoder(nn.Module):  # type: ignore[misc]
    """`tokens` int64 (n, length) -> `pooled` (n, width)."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, size.width)
        self.places = nn.Embedding(LENGTH_MAX, size.width)
        self.layers = nn.ModuleList(Layer(size) for _ in range(size.layers))

    def forward(self, tokens: Any) -> Any:
        """See the class."""
        places = torch.arange(tokens.shape[1], device=tokens.device)
        x = self.words(tokens) + self.places(places)
        for layer in self.layers:
            x = layer(x)
        return {"pooled": x[:, 0]}


class Board(nn.Module):  # type: ignore[misc]
    """`image` uint8 (n, 1, side, side) -> `scores`, `boxes`: the gateway's network of boards."""

    def __init__(self, kind: torch.dtype) -> None:
        super().__init__()
        self.network = build("gateway")
        self.kind = kind

    def forward(self, image: Any) -> Any:
        """See the class."""
        scores, boxes = self.network(image.to(self.kind) / 255.0)
        return {"scores": scores, "boxes": boxes}


def write_encoder(path: Path, size: str, *, half: bool) -> Path:
    """An encoder of any number of rows and any length."""
    torch.manual_seed(1)
    model = Encoder(SIZES[size]).eval()
    model = model.half() if half else model
    dims = {0: torch.export.Dim("rows", max=ROWS_MAX), 1: torch.export.Dim("l", max=LENGTH_MAX)}
    example = torch.zeros(2, 16, dtype=torch.int64)
    program = torch.export.export(model, (example,), dynamic_shapes=(dims,))
    torch.export.save(program, str(path))
    return path


def write_board(path: Path, side_px: int, *, half: bool) -> Path:
    """The board's network, of any number of rows."""
    torch.manual_seed(1)
    model = Board(torch.float16 if half else torch.float32).eval()
    model = model.half() if half else model
    example = torch.zeros(2, 1, side_px, side_px, dtype=torch.uint8)
    dims = {0: torch.export.Dim("rows", max=ROWS_MAX)}
    program = torch.export.export(model, (example,), dynamic_shapes=(dims,))
    torch.export.save(program, str(path))
    return path
