"""Views to learn from: plates pasted into them with known corners, and what is taken for plates."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from mastra_ros.privacy.finders.views import LONG, SPREAD, VIEW_PX
from train.privacy.compose import Composer, laid_out

WIDE, HIGH = VIEW_PX
PASTED = 0.6
"""Share of a batch: sprites pasted. The rest is what the first detector has taken for plates."""
PLATES, HEADS, BARE = 0.56, 0.06, 0.14
"""Of those pasted; BARE: the ground alone. The rest are other things."""
NEAR, FAR = (0.3, 2.2), (1.4, 3.3)
"""Px of a scene to a px of a ground, half of each: from afar a car or a house is taken whole."""
GROUNDS = 4096
"""Parts of scenes, cut once."""
COARSE = (1.0, 1.0, 0.75, 0.6, 0.45)
"""A plate is seen this coarsely: a small one is enlarged in its view."""
PHOTOGRAPHED = 0.5
"""Of the mined views without a plate: how many are of photographs and video, not drawn."""
LEGIBLE = 0.03
"""The least mean step from px to px in a plate, by its brightness: below it nobody can read it, and
to call such a grey patch a plate is to call every lamp one. So nothing is learned of it."""


class ViewComposer(Composer):
    """Makes batches of views (N, 3, 48, 96) in 0..1, whether each shows a plate, and corners.

    Of the corners (N, 4, 2) only the hull is true where `whole` is 0: of those a box was known.
    """

    def __init__(self, bank: Path, mined: Path, device: str, seed: int = 0) -> None:
        super().__init__(bank, device, seed)
        empty = self.scene_boxes[:, 0].isnan()
        self.empty = torch.nonzero(empty)[:, 0]
        self.halved = F.avg_pool2d(_premultiplied(self.sprites), 2)
        parts = [self._cut_grounds(64, far=k % 2 == 1) for k in range(GROUNDS // 64)]
        self.grounds = (torch.cat(parts) * 255).round().to(torch.uint8)
        data = np.load(mined)
        self.mined = torch.from_numpy(data["views"]).to(device)
        self.mined_boxes = torch.from_numpy(data["boxes"]).to(device)  # in shares; NaN: no plate
        none = self.mined_boxes[:, 0].isnan()
        self.right, self.wrong = torch.nonzero(~none)[:, 0], torch.nonzero(none)[:, 0]
        self.wrong_photographed = self.wrong[self.wrong < int(data["photographs"])]

    def views(self, count: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """views, plate (N,) 0 or 1, corners, whole (N,), and 1 for those that count, else 0."""
        pasted = int(count * PASTED)
        image, plate, corners = self._pasted(pasted)
        again, there, boxes = self._again(count - pasted)
        views = torch.cat([image, again])
        whole = torch.cat([plate, torch.zeros_like(there)])
        views, plate = self._coarse(views), torch.cat([plate, there])
        corners = torch.cat([corners, boxes])
        counts = torch.where(plate > 0, (contrast(views, corners) >= LEGIBLE).float(), 1.0)
        return views, plate, corners, whole, counts

    def _cut_grounds(self, count: int, *, far: bool) -> Tensor:
        """The same as they lie in the scenes, nearer or further away."""
        drawn = self.empty[(self._uniform(count) * len(self.empty)).long()]
        photograph = (self._uniform(count) * self.photographs).long()
        bare = self.scene_boxes[photograph][:, 0].isnan()
        chosen = torch.where(bare & (self._uniform(count) < 0.5), photograph, drawn)
        low, high = FAR if far else NEAR
        step = torch.exp(self._uniform(count, low=math.log(low), high=math.log(high)))
        full = self.scenes.shape[-1]
        mid = (self._uniform(count, 2) - 0.5) * (full - WIDE * step[:, None]).clamp(
            min=0
        ) + full / 2
        flip = torch.where(self._uniform(count) < 0.5, -1.0, 1.0)
        x = torch.arange(WIDE, device=self.device) + 0.5 - WIDE / 2
        y = torch.arange(HIGH, device=self.device) + 0.5 - HIGH / 2
        across = mid[:, :1, None] + (x[None, None] * (step * flip)[:, None, None])
        down = mid[:, 1:, None] + (y[None, :, None] * step[:, None, None])
        grid = torch.stack([across.expand(-1, HIGH, -1), down.expand(-1, -1, WIDE)], -1)
        seen = self.scenes[chosen].float() / 255
        return F.grid_sample(
            F.avg_pool2d(seen, 2) if far else seen,  # or what is fine becomes noise
            grid / full * 2 - 1,
            padding_mode="reflection",
            align_corners=False,
        )

    def _grounds(self, count: int) -> Tensor:
        """Parts of scenes without a plate, as large as views."""
        ground = self.grounds[(self._uniform(count) * len(self.grounds)).long()].float() / 255
        gamma = torch.exp(self._normal(count, 1, 1, 1, spread=0.3))
        gain = self._uniform(count, 1, 1, 1, low=0.5, high=1.15)
        return (ground.clamp(1e-4, 1) ** gamma * gain).clamp(0, 1)

    def _pasted(self, count: int) -> tuple[Tensor, Tensor, Tensor]:
        image = self._grounds(count)
        # Something else beside it, or under it.
        for share in (0.4, 0.3):
            image, _, _ = self._sprite(image, torch.full((count,), -1), share, aside=True)
        which = self._uniform(count)
        kind = torch.where(which < PLATES, 0, torch.where(which < PLATES + HEADS, 1, -1))
        bare = which > 1 - BARE
        image, corners, used = self._sprite(image, kind, 1.0, aside=False, bare=bare)
        return self._gleam(image), ((kind == 0) & used).float(), corners

    def _sprite(
        self, image: Tensor, kind: Tensor, share: float, *, aside: bool, bare: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One sprite of this kind in each view, in its middle or anywhere; its corners."""
        count = len(image)
        pick = self._uniform(count)
        sprite = torch.zeros(count, dtype=torch.long, device=self.device)
        for value, own in zip((0, 1, -1), self.kinds, strict=True):
            sprite = torch.where(kind == value, own[(pick * len(own)).long()], sprite)
        turn = self._normal(count, spread=0.09)
        turn = torch.where(self._uniform(count) < 0.2, turn * 3, turn)
        narrow = self._uniform(count, low=0.6, high=1.05)
        stretch = torch.exp(self._normal(count, spread=0.08))
        shear = self._normal(count, spread=0.12)
        lean = self._normal(count, 2, spread=0.001)
        cos, sin = torch.cos(turn), torch.sin(turn)
        zero, one = torch.zeros_like(cos), torch.ones_like(cos)
        rotate = torch.stack([cos, -sin, zero, sin, cos, zero, zero, zero, one], 1).view(-1, 3, 3)
        grow = torch.stack(
            [narrow, zero, zero, shear * narrow, stretch, zero, lean[:, 0], lean[:, 1], one], 1
        ).view(-1, 3, 3)
        forward = rotate @ grow
        half = self.sizes[sprite] / 2
        signs = torch.tensor([[-1.0, -1], [1, -1], [1, 1], [-1, 1]], device=self.device)
        flat = torch.cat([half[:, None] * signs, torch.ones(count, 4, 1, device=self.device)], 2)
        moved = (forward @ flat.transpose(1, 2)).transpose(1, 2)
        moved = moved[..., :2] / moved[..., 2:]
        low, high = moved.amin(1), moved.amax(1)
        size = high - low
        # The first detector's box: not quite the plate's, and the view is of that box.
        seen = size * torch.exp(self._normal(count, 2, spread=0.13))
        cut = self._uniform(count) < 0.2  # a line of it was missed
        seen[:, 1] = torch.where(
            cut, seen[:, 1] * self._uniform(count, low=0.6, high=1.0), seen[:, 1]
        )
        wide = SPREAD * torch.maximum(seen[:, 0], LONG * seen[:, 1])
        scale = WIDE / wide
        if aside:
            scale = scale * torch.exp(self._normal(count, spread=0.5))
            spot = self._uniform(count, 2) * torch.tensor([WIDE, HIGH], device=self.device)
        else:
            off = self._normal(count, 2) * torch.tensor([0.07, 0.12], device=self.device)
            off[:, 1] += torch.where(cut, self._uniform(count, low=-0.2, high=0.2), zero)
            middle = (low + high) / 2
            spot = torch.tensor([WIDE / 2, HIGH / 2], device=self.device) - scale[:, None] * (
                middle + off * size
            )
        enlarge = torch.diag_embed(torch.stack([scale, scale, one], 1))
        forward = enlarge @ forward
        used = self._uniform(count) < share
        if bare is not None:
            used &= ~bare
        layer, cover = self._stuck(sprite, forward, spot)
        cover = cover * used[:, None, None, None]
        image = image + (layer - image) * cover
        corners = scale[:, None, None] * moved + spot[:, None]
        sides = torch.tensor([WIDE / 2, HIGH / 2], device=self.device)
        return image, corners / sides - 1, used

    def _stuck(self, sprite: Tensor, forward: Tensor, spot: Tensor) -> tuple[Tensor, Tensor]:
        count = len(sprite)
        pixels = laid_out(self.halved[sprite].float(), forward, spot, WIDE, HIGH)
        cover = pixels[:, 3:]
        colour = pixels[:, :3] / cover.clamp(min=1e-3)
        gain = torch.exp(self._normal(count, 1, 1, 1, spread=0.4) - 0.15)
        fade = self._uniform(count, 1, 1, 1) * (self._uniform(count, 1, 1, 1) < 0.3) * 0.6
        tone = self._uniform(count, 3, 1, 1, low=0.1, high=0.9)
        colour = (colour * gain).clamp(0, 1) * (1 - fade) + tone * fade
        grey = (self._uniform(count) < 0.15)[:, None, None, None]
        return torch.where(grey, colour.mean(1, keepdim=True).expand_as(colour), colour), cover

    def _gleam(self, image: Tensor) -> Tensor:
        """Glare, or a shadow's edge, over some."""
        count = len(image)
        x = torch.arange(WIDE, device=self.device)[None, None] - self._uniform(count, 1, 1) * WIDE
        y = torch.arange(HIGH, device=self.device)[None, :, None]
        y = y - self._uniform(count, 1, 1) * HIGH
        far = (x**2 + 2 * y**2) / (self._uniform(count, 1, 1, low=6, high=40) ** 2)
        glow = torch.exp(-far) * self._uniform(count, 1, 1, high=1.2)
        glow = glow * (self._uniform(count, 1, 1) < 0.12)
        slope = self._normal(count, 1, 1)
        dark = ((x + slope * y > 0) & (self._uniform(count, 1, 1) < 0.2)).float()
        shade = 1 - dark * self._uniform(count, 1, 1, low=0.2, high=0.65)
        return (image * shade[:, None] + glow[:, None]).clamp(0, 1)

    def _again(self, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """Of what the first detector has found: a quarter plates, and others."""
        right = self._uniform(count) < 0.25
        pick = self._uniform(count)
        chosen = torch.where(
            right,
            self.right[(pick * len(self.right)).long()],
            self._wrong(pick),
        )
        image = self.mined[chosen].float() / 255
        boxes = self.mined_boxes[chosen]
        # Moved, larger or smaller, turned the other way round.
        grow = torch.exp(self._uniform(count, low=-0.15, high=0.12))
        shift = self._uniform(count, 2, low=-0.09, high=0.09)
        flip = torch.where(self._uniform(count) < 0.5, -1.0, 1.0)
        zero = torch.zeros_like(grow)
        move = torch.stack([grow * flip, zero, shift[:, 0], zero, grow, shift[:, 1]], 1).view(
            -1, 2, 3
        )
        grid = F.affine_grid(move, [count, 3, HIGH, WIDE], align_corners=False)
        image = F.grid_sample(image, grid, padding_mode="border", align_corners=False)
        xs = (boxes[:, 0::2] - shift[:, :1]) / (grow * flip)[:, None]
        ys = (boxes[:, 1::2] - shift[:, 1:]) / grow[:, None]
        left, right_side = xs.amin(1), xs.amax(1)
        top, bottom = ys.amin(1), ys.amax(1)
        corners = torch.stack(
            [left, top, right_side, top, right_side, bottom, left, bottom], 1
        ).view(-1, 4, 2)
        gamma = torch.exp(self._normal(count, 1, 1, 1, spread=0.3))
        tint = 1 + self._normal(count, 3, 1, 1, spread=0.1)
        image = (image.clamp(1e-4, 1) ** gamma * tint).clamp(0, 1)
        return image, right.float(), torch.nan_to_num(corners)

    def _wrong(self, pick: Tensor) -> Tensor:
        drawn = self.wrong[(pick * len(self.wrong)).long()]
        seen = self.wrong_photographed[(pick * len(self.wrong_photographed)).long()]
        return torch.where(self._uniform(len(pick)) < PHOTOGRAPHED, seen, drawn)

    def _coarse(self, views: Tensor) -> Tensor:
        """As cameras see them; some from afar."""
        made = views.clone()
        for number, share in enumerate(COARSE):
            if share < 1:
                size = (round(HIGH * share), round(WIDE * share))
                part = _resized(views[number :: len(COARSE)], size)
                made[number :: len(COARSE)] = _resized(part, (HIGH, WIDE))
        return self._spoil(made)


def _resized(views: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(views, size, mode="bilinear", align_corners=False, antialias=True)


def contrast(views: Tensor, corners: Tensor) -> Tensor:
    """(N,): the mean step from pixel to pixel along the inside of what the corners span.

    Divided by the brightness there, so that a plate in the dark is as legible as one in the sun.
    """
    grey = F.avg_pool2d(views.mean(1, keepdim=True), 3, 1, 1)[:, 0]
    steps = F.pad((grey[..., 2:] - grey[..., :-2]).abs(), (1, 1))
    low, high = corners.amin(1), corners.amax(1)
    middle, half = (low + high) / 2, (high - low) / 2
    x = (torch.arange(WIDE, device=views.device) + 0.5) / (WIDE / 2) - 1
    y = (torch.arange(HIGH, device=views.device) + 0.5) / (HIGH / 2) - 1
    across = (x - middle[:, :1]).abs() < 0.75 * half[:, :1]
    down = (y - middle[:, 1:]).abs() < 0.6 * half[:, 1:]
    inside = (across[:, None] & down[:, :, None]).float()
    count = inside.sum((1, 2)).clamp(min=1)
    return (steps * inside).sum((1, 2)) / ((grey * inside).sum((1, 2)) + 0.08 * count)


def _premultiplied(sprites: Tensor) -> Tensor:
    pixels = sprites.float() / 255
    pixels[:, :3] *= pixels[:, 3:]
    return pixels
