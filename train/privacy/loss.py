"""Targets and loss: heat around each centre (focal), and generalised IoU of the boxes."""

from __future__ import annotations

import torch
from torch import Tensor

from train.privacy.network import STRIDE_PX, UNIT_PX, centres_px

NEAR = 0.35
"""Cells whose target heat is at least this learn the box."""


def targets(boxes: Tensor, classes: Tensor, side_px: int) -> tuple[Tensor, Tensor]:
    """Heat (N, 2, S, S) and the box (N, 4, S, S) left, top, right, bottom in px that a cell learns.

    boxes (N, K, 4) in px; classes (N, K): 0 plate, 1 head, below 0 nothing.
    """
    cells = side_px // STRIDE_PX
    x, y = centres_px(cells, cells, boxes.device)
    left, top, right, bottom = (boxes[..., i, None, None] for i in range(4))
    across, down = (right - left), (bottom - top)
    spread_x = (across * 0.13).clamp(min=1.8)
    spread_y = (down * 0.13).clamp(min=1.8)
    # The centre is moved to its nearest cell, so that one cell of each object has the heat 1.
    mid_x = (((left + right) / 2 / STRIDE_PX).floor().clamp(0, cells - 1) + 0.5) * STRIDE_PX
    mid_y = (((top + bottom) / 2 / STRIDE_PX).floor().clamp(0, cells - 1) + 0.5) * STRIDE_PX
    far = ((x - mid_x) / spread_x) ** 2 + ((y - mid_y) / spread_y) ** 2
    each = torch.exp(-far / 2) * (classes >= 0)[..., None, None]
    heat = torch.stack([(each * (classes == c)[..., None, None]).amax(1) for c in (0, 1)], 1)
    owner = each.argmax(1)
    rows = owner.flatten(1)[..., None].expand(-1, -1, 4)
    owned = torch.gather(boxes, 1, rows)
    return heat, owned.transpose(1, 2).reshape(len(boxes), 4, cells, cells)


def decode(sides: Tensor) -> Tensor:
    """Boxes (N, 4, rows, columns) left, top, right, bottom in px of the network's `sides`."""
    far = torch.exp(sides.float().clamp(-4, 5)) * UNIT_PX
    x, y = centres_px(sides.shape[2], sides.shape[3], sides.device)
    return torch.stack([x - far[:, 0], y - far[:, 1], x + far[:, 2], y + far[:, 3]], 1)


def detection_loss(
    out: tuple[Tensor, Tensor], heat: Tensor, wanted: Tensor
) -> tuple[Tensor, Tensor]:
    """The focal loss of the heat, and the mean of 1 - GIoU over the cells near a centre."""
    logits = out[0].float()
    chance = torch.sigmoid(logits).clamp(1e-5, 1 - 1e-5)
    sure = heat >= 0.999
    hit = torch.log(chance) * (1 - chance) ** 2 * sure
    miss = torch.log(1 - chance) * chance**2 * (1 - heat) ** 4 * ~sure
    focal = -(hit.sum() * 1.5 + miss.sum()) / sure.sum().clamp(min=1)
    near = heat.amax(1)
    weight = near * (near >= NEAR)
    found = decode(out[1])
    loss = (1 - _giou(found, wanted)) * weight
    return focal, loss.sum() / weight.sum().clamp(min=1)


def _giou(a: Tensor, b: Tensor) -> Tensor:
    low = torch.minimum(a, b)
    high = torch.maximum(a, b)
    shared = (low[:, 2] - high[:, 0]).clamp(min=0) * (low[:, 3] - high[:, 1]).clamp(min=0)
    area = (a[:, 2] - a[:, 0]) * (a[:, 3] - a[:, 1]) + (b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1])
    joined = (area - shared).clamp(min=1e-3)
    hull = ((high[:, 2] - low[:, 0]) * (high[:, 3] - low[:, 1])).clamp(min=1e-3)
    return shared / joined - (hull - joined) / hull
