"""YOLOX's loss: cells are given to objects by SimOTA (Ge et al., 2021), for a batch at once."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from train.traffic.network import boxes_of

CENTRE_STRIDES = 1.5
CANDIDATES = 10


def detection_loss(out: Tensor, grid: Tensor, boxes: Tensor, kinds: Tensor) -> dict[str, Tensor]:
    """out (N, cells, 12); boxes (N, K, 4) in px, kinds (N, K), below 0 nothing."""
    found = boxes_of(out.float(), grid)
    with torch.no_grad():
        owner, overlap = assigned(found, out.float(), grid, boxes, kinds)
    taken = owner >= 0
    count = taken.sum().clamp(min=1)
    rows = owner.clamp(min=0)
    wanted = torch.gather(boxes, 1, rows[..., None].expand(-1, -1, 4))
    kind = torch.gather(kinds, 1, rows)
    iou = pair_iou(found, wanted)
    box = ((1 - iou**2) * taken).sum() / count
    sure = F.binary_cross_entropy_with_logits(out[..., 4].float(), taken.float(), reduction="sum")
    told = F.one_hot(kind.clamp(min=0), out.shape[-1] - 5).float() * overlap[..., None]
    named = F.binary_cross_entropy_with_logits(out[..., 5:].float(), told, reduction="none")
    return {
        "box": 5 * box,
        "sure": sure / count,
        "named": (named.sum(-1) * taken).sum() / count,
    }


def assigned(
    found: Tensor, out: Tensor, grid: Tensor, boxes: Tensor, kinds: Tensor
) -> tuple[Tensor, Tensor]:
    """For each cell the object that it is to find (-1: none), and its overlap with it."""
    middle = (grid[:, :2] + 0.5) * grid[:, 2:]
    low = middle[None, None] - boxes[:, :, None, :2]
    high = boxes[:, :, None, 2:] - middle[None, None]
    inside = torch.cat([low, high], -1).amin(-1) > 0
    centre = (boxes[..., :2] + boxes[..., 2:])[:, :, None] / 2
    apart = (middle[None, None] - centre).abs().amax(-1)
    central = apart < CENTRE_STRIDES * grid[:, 2]
    there = (kinds >= 0)[..., None]
    may = (inside | central) & there
    iou = _iou(boxes, found)
    chance = (
        (torch.sigmoid(out[..., 5:]) * torch.sigmoid(out[..., 4:5])).clamp(1e-6, 1 - 1e-6).sqrt()
    )
    types = torch.gather(
        chance.transpose(1, 2), 1, kinds.clamp(min=0)[..., None].expand(-1, -1, chance.shape[1])
    )
    others = -torch.log(1 - chance).sum(-1)[:, None]
    named = -torch.log(types) + torch.log(1 - types) + others
    cost = named + 3 * -torch.log(iou.clamp(min=1e-6)) + 1e4 * ~(inside & central) + 1e7 * ~may
    best = torch.topk(iou * may, min(CANDIDATES, iou.shape[2]), dim=2).values
    wanted = best.sum(2).long().clamp(min=1)
    order = torch.topk(cost, min(CANDIDATES, iou.shape[2]), dim=2, largest=False)
    rank = torch.arange(order.indices.shape[2], device=cost.device)
    chosen = (rank < wanted[..., None]) & (order.values < 1e6)
    matched = torch.zeros_like(cost, dtype=torch.bool).scatter_(2, order.indices, chosen)
    price = torch.where(matched, cost, torch.full_like(cost, 1e9))
    least, owner = price.min(1)
    owner = torch.where(least < 1e8, owner, torch.full_like(owner, -1))
    overlap = torch.gather(iou, 1, owner.clamp(min=0)[:, None])[:, 0]
    return owner, overlap * (owner >= 0)


def _iou(boxes: Tensor, found: Tensor) -> Tensor:
    """(N, K, cells)."""
    low = torch.maximum(boxes[:, :, None, :2], found[:, None, :, :2])
    high = torch.minimum(boxes[:, :, None, 2:], found[:, None, :, 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    mine = (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(-1)[:, :, None]
    theirs = (found[..., 2:] - found[..., :2]).clamp(min=0).prod(-1)[:, None]
    return shared / (mine + theirs - shared).clamp(min=1e-6)


def pair_iou(a: Tensor, b: Tensor) -> Tensor:
    low, high = torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    areas = (a[..., 2:] - a[..., :2]).clamp(min=0).prod(-1)
    areas = areas + (b[..., 2:] - b[..., :2]).clamp(min=0).prod(-1)
    return shared / (areas - shared).clamp(min=1e-6)
