"""Training pictures of roads: four of the bank side by side, zoomed, turned, lit and spoiled."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from PIL import Image
from torch import Tensor

TILE_PX = (288, 448)
"""Height and width of a picture of the bank, and of what is learned from."""
MOST = 96
"""Objects of one picture that are learned from."""
LEAST_PX = 6.0
REAL_SHARE = 0.3


class RoadComposer:
    """Makes batches from a bank: pictures (N, 3, 288, 448), BGR in 0..255, boxes and types."""

    def __init__(
        self,
        bank: Path,
        device: str,
        seed: int = 0,
        part: slice = slice(None),
        photographs: bool = True,
    ) -> None:
        self.device = device
        self.random = torch.Generator(device=device).manual_seed(seed)
        tiles, boxes, real = _tiles(np.load(bank), part, photographs)
        self.tiles = torch.from_numpy(tiles).permute(0, 3, 1, 2).contiguous().to(device)
        most = max(len(one) for one in boxes)
        packed = np.full((len(boxes), most, 5), -1, np.float32)
        for k, one in enumerate(boxes):
            packed[k, : len(one)] = one
        self.boxes = torch.from_numpy(packed).to(device)
        self.drawn = torch.nonzero(~torch.from_numpy(real))[:, 0].to(device)
        self.real = torch.nonzero(torch.from_numpy(real))[:, 0].to(device)

    def _u(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        return torch.rand(shape, generator=self.random, device=self.device) * (high - low) + low

    def batch(self, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """Pictures, boxes (N, K, 4) in px and types (N, K), -1 for nothing."""
        high, wide = TILE_PX
        pick = self._u(count, 4)
        chosen = self.drawn[(pick * len(self.drawn)).long()]
        if len(self.real):
            real = self.real[(self._u(count, 4) * len(self.real)).long()]
            chosen = torch.where(self._u(count, 4) < REAL_SHARE, real, chosen)
        tiles = self.tiles[chosen]
        rows = [torch.cat([tiles[:, a], tiles[:, b]], 3) for a, b in ((0, 1), (2, 3))]
        canvas = torch.cat(rows, 2).float()
        scale = torch.exp(self._u(count, low=math.log(0.52), high=math.log(2.1)))
        half_x, half_y = wide / scale / 2, high / scale / 2
        mid_x = half_x + (2 * wide - 2 * half_x) * self._u(count)
        mid_y = half_y + (2 * high - 2 * half_y) * self._u(count)
        flip = torch.where(self._u(count) < 0.5, 1.0, -1.0)
        x = (torch.arange(wide, device=self.device) + 0.5 - wide / 2)[None] * (flip / scale)[
            :, None
        ]
        y = (torch.arange(high, device=self.device) + 0.5 - high / 2)[None] / scale[:, None]
        x, y = (x + mid_x[:, None]) / wide - 1, (y + mid_y[:, None]) / high - 1
        grid = torch.stack(
            [x[:, None].expand(-1, high, -1), y[:, :, None].expand(-1, -1, wide)], -1
        )
        image = F.grid_sample(canvas, grid, padding_mode="border", align_corners=False)
        boxes, kinds = self._moved(chosen, scale, mid_x, mid_y, flip)
        return self._spoiled(image), boxes, kinds

    def _moved(
        self, chosen: Tensor, scale: Tensor, mid_x: Tensor, mid_y: Tensor, flip: Tensor
    ) -> tuple[Tensor, Tensor]:
        high, wide = TILE_PX
        boxes = self.boxes[chosen]  # (N, 4, K, 5)
        shift = torch.tensor(
            [[0, 0], [wide, 0], [0, high], [wide, high]], dtype=torch.float32, device=self.device
        )
        kinds = boxes[..., 4].flatten(1)
        corner = (boxes[..., :4] + shift.repeat(1, 2)[None, :, None]).flatten(1, 2)
        x = (corner[..., 0::2] - mid_x[:, None, None]) * (scale * flip)[:, None, None] + wide / 2
        y = (corner[..., 1::2] - mid_y[:, None, None]) * scale[:, None, None] + high / 2
        x, y = x.sort(-1).values, y.sort(-1).values
        whole = (x[..., 1] - x[..., 0]) * (y[..., 1] - y[..., 0])
        x, y = x.clamp(0, wide), y.clamp(0, high)
        across, down = x[..., 1] - x[..., 0], y[..., 1] - y[..., 0]
        kept = (across * down > 0.3 * whole) & (torch.maximum(across, down) >= LEAST_PX)
        kept = kept & (torch.minimum(across, down) >= 2.5) & (kinds >= 0)
        order = kept.float().argsort(dim=1, descending=True, stable=True)[:, :MOST]
        moved = torch.stack([x[..., 0], y[..., 0], x[..., 1], y[..., 1]], -1)
        moved = torch.gather(moved, 1, order[..., None].expand(-1, -1, 4))
        kinds = torch.where(kept, kinds, -torch.ones_like(kinds)).gather(1, order).long()
        return moved, kinds

    def _spoiled(self, image: Tensor) -> Tensor:
        count = len(image)
        x = image / 255
        x = x * torch.exp(
            torch.randn(count, 3, 1, 1, generator=self.random, device=self.device) * 0.07
        )
        x = x * self._u(count, 1, 1, 1, low=0.6, high=1.35)
        mean = x.mean((1, 2, 3), keepdim=True)
        x = mean + (x - mean) * self._u(count, 1, 1, 1, low=0.55, high=1.25)
        grey = x.mean(1, keepdim=True)
        x = grey + (x - grey) * self._u(count, 1, 1, 1, low=0.0, high=1.4)
        x = x.clamp(0, 1) ** torch.exp(self._u(count, 1, 1, 1, low=-0.4, high=0.4))
        blurred = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), 3, 1)
        x = torch.lerp(x, blurred, self._u(count, 1, 1, 1) * (self._u(count, 1, 1, 1) < 0.5))
        coarse = F.interpolate(F.avg_pool2d(x, 2), scale_factor=2, mode="bilinear")
        x = torch.where(self._u(count, 1, 1, 1) < 0.12, coarse, x)
        # A texture that drawings lack, grain besides.
        rough = torch.randn(count, 1, 72, 112, generator=self.random, device=self.device)
        rough = F.interpolate(rough, TILE_PX, mode="bilinear") * self._u(count, 1, 1, 1) ** 2 * 0.08
        grain = torch.randn(x.shape, generator=self.random, device=self.device)
        x = x * (1 + rough) + grain * self._u(count, 1, 1, 1) ** 2 * 0.05
        return (x * 255).clamp(0, 255)


def _tiles(
    data: np.lib.npyio.NpzFile, part: slice, photographs: bool
) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
    """Pictures of one size, BGR, their objects (n, 5), and whether each is a photograph."""
    high, wide = TILE_PX
    jpegs, ends, every = data["jpegs"].tobytes(), data["ends"].tolist(), data["boxes"]
    drawn = int(data["drawn"])
    numbers = list(range(drawn))[part]
    if photographs:
        numbers += range(drawn, len(ends))
    tiles, boxes, real = [], [], []
    for n in numbers:
        start = ends[n - 1] if n else 0
        picture = Image.open(io.BytesIO(jpegs[start : ends[n]])).convert("RGB")
        own = every[every[:, 0] == n][:, 1:]
        if picture.size == (wide, high):
            views = [(picture, own)]
        else:
            scale = wide / picture.width
            small = picture.resize((wide, round(picture.height * scale)), Image.Resampling.BOX)
            whole = Image.new("RGB", (wide, high), (114, 114, 114))
            whole.paste(small)
            views = [(whole, own * (scale, scale, scale, scale, 1))]
            for left, top in ((0, picture.height - high), (picture.width - wide, 0), (160, 70)):
                cut = picture.crop((left, top, left + wide, top + high))
                moved = own - (left, top, left, top, 0)
                views.append((cut, _cut(moved)))
        for view, objects in views:
            if n >= drawn and not len(objects) and n % 6:
                continue  # the road is mostly empty
            tiles.append(np.asarray(view)[:, :, ::-1])
            boxes.append(objects.astype(np.float32))
            real.append(n >= drawn)
    return np.stack(tiles), boxes, np.array(real)


def _cut(boxes: np.ndarray) -> np.ndarray:
    high, wide = TILE_PX
    cut = boxes.copy()
    cut[:, 0:4:2] = cut[:, 0:4:2].clip(0, wide)
    cut[:, 1:4:2] = cut[:, 1:4:2].clip(0, high)
    area = (cut[:, 2] - cut[:, 0]) * (cut[:, 3] - cut[:, 1])
    whole = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return np.asarray(cut[area > 0.2 * whole])
