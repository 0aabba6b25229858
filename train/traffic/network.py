"""The detector of vehicles: plain convolutions at strides of 4 to 32 px, read at three of them.

It gives what YOLOX gives (Ge et al., 2021), and so learns by its loss and is read by its decoder.
The network is that of our detector of plates and heads with one more level; its first levels can
begin with the weights that that one has learned.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from train.network import Block, conv

TYPES = ("car", "van", "truck", "bus", "motorcycle", "bicycle", "person")
STRIDES_PX = (8, 16, 32)
HEAD = 48
PRIOR = -4.6
"""A cell is an object's one time in a hundred, to begin with (Lin et al., 2017)."""


class VehicleDetector(nn.Module):
    """image (N, 3, H, W), BGR in 0..255 -> boxes, objectness and types (N, cells, 4 + 1 + 7).

    Boxes: the middle relative to the cell and the logarithm of the size, in strides; the others as
    logits. H and W are multiples of 32.
    """

    def __init__(self) -> None:
        super().__init__()
        self.at4 = nn.Sequential(conv(3, 16, 3, 2), conv(16, 32, 3, 2), Block(32), Block(32))
        self.at8 = nn.Sequential(conv(32, 64, 3, 2), *(Block(64) for _ in range(4)))
        self.at16 = nn.Sequential(conv(64, 72, 3, 2), *(Block(72) for _ in range(4)))
        self.at32 = nn.Sequential(conv(72, 96, 3, 2), *(Block(96) for _ in range(2)))
        self.across = nn.ModuleList(conv(c, HEAD, 1) for c in (64, 72, 96))
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.head = nn.ModuleList(nn.Sequential(conv(HEAD, HEAD), Block(HEAD)) for _ in STRIDES_PX)
        self.out = nn.ModuleList(nn.Conv2d(HEAD, 5 + len(TYPES), 1) for _ in STRIDES_PX)
        for one in self.out:
            nn.init.normal_(one.weight, std=0.01)
            nn.init.zeros_(one.bias)
            nn.init.constant_(one.bias.data[4:], PRIOR)

    def begin_with(self, weights: dict[str, Tensor]) -> None:
        """Take the first levels of the detector of plates and heads, which sees RGB in 0..1."""
        own = self.state_dict()
        for name in own:
            if name.split(".")[0] in ("at4", "at8", "at16"):
                own[name] = weights[name].clone()
        own["at4.0.0.weight"] = own["at4.0.0.weight"].flip(1)
        self.load_state_dict(own)

    def hold(self) -> None:
        """Keep the first two levels as they are: they learn nothing, and cost half as much."""
        for level in (self.at4, self.at8):
            level.eval()
            for one in level.parameters():
                one.requires_grad_(False)

    def forward(self, image: Tensor) -> Tensor:
        fine = self.at8(self.at4(image / 255))
        middle = self.at16(fine)
        coarse = self.across[2](self.at32(middle))
        middle = self.across[1](middle) + self.up(coarse)
        fine = self.across[0](fine) + self.up(middle)
        rows = [
            out(head(x)).flatten(2)
            for out, head, x in zip(self.out, self.head, (fine, middle, coarse), strict=True)
        ]
        return torch.cat(rows, 2).transpose(1, 2)


def cells(height_px: int, width_px: int, device: torch.device | str) -> Tensor:
    """Column, row and stride (cells, 3) of the rows of the output."""
    made = []
    for stride in STRIDES_PX:
        rows = torch.arange(height_px // stride, device=device)
        columns = torch.arange(width_px // stride, device=device)
        y, x = torch.meshgrid(rows, columns, indexing="ij")
        made.append(
            torch.stack([x.flatten(), y.flatten(), torch.full_like(x.flatten(), stride)], 1)
        )
    return torch.cat(made).float()


def boxes_of(out: Tensor, grid: Tensor) -> Tensor:
    """Boxes (N, cells, 4), left, top, right, bottom in px."""
    middle = (out[..., :2] + grid[:, :2]) * grid[:, 2:]
    half = torch.exp(out[..., 2:4].clamp(max=8)) * grid[:, 2:] / 2
    return torch.cat([middle - half, middle + half], -1)
