"""Training pictures, composed where the training runs: sprites warped, lit, pasted into scenes.

Drawing on the processor would take longer than learning; this makes thousands of pictures a second.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from train.privacy.packing import CANVAS_PX, unpack

SIDE_PX = 256
LEVELS = (2, 2, 2, 1, 1, 0, 3)
"""A slot of a picture, and how often its sprite is halved first: what is small is not aliased."""
SHARES = (0.8, 0.7, 0.6, 0.6, 0.5, 0.55, 0.35)
BIGGEST = (1.25, 0.52, 0.27, 0.135)
SMALLEST = (0.46, 0.23, 0.115, 0.08)
"""Scale of a sprite at each level."""
LEAST_PX = {0: 13.0, 1: 5.5}
"""Width under which a plate, a head is not learned (and not pasted)."""


MARKED_SHARE, PHOTOGRAPH_SHARE = 0.2, 0.4
"""Of the pictures: how many have a scene with a plate of its own, and one that is a photograph."""
PATCHES = 1500


def patches(
    scenes: npt.NDArray[np.uint8], empty: npt.NDArray[np.bool_], seed: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """Sprites cut out of scenes without a plate, and their sizes: four edges make no plate."""
    rng = np.random.default_rng(seed)
    canvas = np.zeros((PATCHES, CANVAS_PX[1], CANVAS_PX[0], 4), np.uint8)
    chosen = rng.choice(np.nonzero(empty)[0], PATCHES)
    sizes = np.stack([rng.integers(24, 184, PATCHES), rng.integers(14, 92, PATCHES)], 1)
    for sprite, scene, (wide, high) in zip(canvas, scenes[chosen], sizes, strict=True):
        x, y = (int(rng.integers(0, side - size)) for side, size in ((320, wide), (320, high)))
        left, top = (CANVAS_PX[0] - wide) // 2, (CANVAS_PX[1] - high) // 2
        place = sprite[top : top + high, left : left + wide]
        place[..., :3] = scene[y : y + high, x : x + wide]
        place[..., 3] = 255
    return canvas, sizes.astype(np.float32)


class Composer:
    """Makes batches from a bank: images, boxes (N, K, 4) in px, classes (N, K)."""

    def __init__(self, bank: Path, device: str, seed: int = 0) -> None:
        data = unpack(bank)
        cut, cut_sizes = patches(data["scenes"], np.isnan(data["boxes"][:, 0]), seed)
        sprites = np.concatenate([data["sprites"], cut])
        self.device = device
        self.random = torch.Generator(device=device).manual_seed(seed)
        self.sprites = torch.from_numpy(sprites).permute(0, 3, 1, 2).contiguous().to(device)
        sizes = np.concatenate([data["sizes"], cut_sizes])
        self.sizes = torch.from_numpy(sizes).to(device)
        kinds = np.concatenate([data["classes"], np.full(len(cut), -1)])
        classes = torch.from_numpy(kinds).to(device)
        self.classes = classes
        self.scenes = torch.from_numpy(data["scenes"]).permute(0, 3, 1, 2).contiguous().to(device)
        self.scene_boxes = torch.from_numpy(data["boxes"]).to(device)
        self.kinds = [torch.nonzero(classes == c)[:, 0] for c in (0, 1, -1)]
        self.photographs = int(data["photographs"])
        self.marked = torch.nonzero(~self.scene_boxes[:, 0].isnan())[:, 0]

    def _uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        return torch.rand(shape, generator=self.random, device=self.device) * (high - low) + low

    def _normal(self, *shape: int, spread: float = 1.0) -> Tensor:
        return torch.randn(shape, generator=self.random, device=self.device) * spread

    def batch(self, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """`count` pictures (N, 3, 256, 256) in 0..1, their boxes and classes (-1: nothing)."""
        image, box, kind = self._scenes(count)
        boxes, kinds = [box], [kind]
        for level, share in zip(LEVELS, SHARES, strict=True):
            image, box, kind = self._paste(
                image, torch.stack(boxes, 1), torch.stack(kinds, 1), level, share
            )
            boxes.append(box)
            kinds.append(kind)
        kept = torch.stack(kinds, 1).clamp(min=-2)
        kept = torch.where(kept == -3, torch.full_like(kept, -2), kept)
        return (
            self._spoil(image),
            torch.stack(boxes, 1),
            torch.where(kept < 0, torch.full_like(kept, -1), kept),
        )

    def _scenes(self, count: int) -> tuple[Tensor, Tensor, Tensor]:
        chosen = torch.randint(
            len(self.scenes), (count,), generator=self.random, device=self.device
        )
        photograph = (self._uniform(count) * self.photographs).long()
        marked = self.marked[(self._uniform(count) * len(self.marked)).long()]
        which = self._uniform(count)
        chosen = torch.where(which < MARKED_SHARE, marked, chosen)
        chosen = torch.where(which > 1 - PHOTOGRAPH_SHARE, photograph, chosen)
        full = self.scenes.shape[-1]
        zoom = torch.exp2(self._uniform(count, low=-0.9, high=0.3))  # scene px a picture's px
        zoom = zoom.clamp(max=full / SIDE_PX)
        room = (full - zoom * SIDE_PX) / 2
        mid_x = full / 2 + room * self._uniform(count, low=-1, high=1)
        mid_y = full / 2 + room * self._uniform(count, low=-1, high=1)
        flip = torch.where(self._uniform(count) < 0.5, -1.0, 1.0)
        line = torch.arange(SIDE_PX, device=self.device) + 0.5 - SIDE_PX / 2
        x = mid_x[:, None, None] + line[None, None] * (zoom * flip)[:, None, None]
        y = mid_y[:, None, None] + line[None, :, None] * zoom[:, None, None]
        grid = (
            torch.stack([x.expand(-1, SIDE_PX, -1), y.expand(-1, -1, SIDE_PX)], -1) / full * 2 - 1
        )
        image = F.grid_sample(
            self.scenes[chosen].float() / 255, grid, padding_mode="reflection", align_corners=False
        )
        box = self.scene_boxes[chosen]
        xs = (box[:, 0::2] - mid_x[:, None]) / (zoom * flip)[:, None] + SIDE_PX / 2
        ys = (box[:, 1::2] - mid_y[:, None]) / zoom[:, None] + SIDE_PX / 2
        moved = torch.stack([xs.amin(1), ys.amin(1), xs.amax(1), ys.amax(1)], 1)
        middle = (moved[:, :2] + moved[:, 2:]) / 2
        inside = ((middle > 4) & (middle < SIDE_PX - 4)).all(1)  # not a number: false
        gamma = torch.exp(self._normal(count, 1, 1, 1, spread=0.3))
        tint = 1 + self._normal(count, 3, 1, 1, spread=0.12)
        image = (
            image.clamp(1e-4, 1) ** gamma * tint * self._uniform(count, 1, 1, 1, low=0.5, high=1.15)
        ).clamp(0, 1)
        grey = image.mean(1, keepdim=True)
        image = torch.where(
            (self._uniform(count) < 0.12)[:, None, None, None], grey.expand_as(image), image
        )
        return image, torch.nan_to_num(moved), torch.where(inside, 0, -2)

    def _paste(
        self, image: Tensor, boxes: Tensor, kinds: Tensor, level: int, share: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        count = len(image)
        which = self._uniform(count)
        pick = self._uniform(count)
        sprite = torch.zeros(count, dtype=torch.long, device=self.device)
        for low, high, kind in ((0.0, 0.42, 0), (0.42, 0.72, 1), (0.72, 1.01, 2)):
            own = self.kinds[kind]
            sprite = torch.where(
                (which >= low) & (which < high), own[(pick * len(own)).long()], sprite
            )
        scale = torch.exp(
            self._uniform(count, low=math.log(SMALLEST[level]), high=math.log(BIGGEST[level]))
        )
        kind = self.classes[sprite]
        turn = self._normal(count, spread=0.1)
        turn = torch.where(self._uniform(count) < 0.15, turn * 3, turn)
        stretch = torch.exp(self._normal(count, spread=0.1))
        narrow = torch.where(
            kind == 0,
            self._uniform(count, low=0.62, high=1.0),
            self._uniform(count, low=0.85, high=1.0),
        )
        shear = self._normal(count, spread=0.12) * (kind == 0) + self._normal(count, spread=0.04)
        lean = self._normal(count, 2, spread=0.0009)
        cos, sin = torch.cos(turn), torch.sin(turn)
        across, down = scale * narrow, scale * stretch.clamp(0.8, 1.25)
        zero, one = torch.zeros_like(cos), torch.ones_like(cos)
        rotate = torch.stack([cos, -sin, zero, sin, cos, zero, zero, zero, one], 1).view(-1, 3, 3)
        grow = torch.stack(
            [across, zero, zero, shear * across, down, zero, lean[:, 0], lean[:, 1], one], 1
        ).view(-1, 3, 3)
        forward = rotate @ grow
        half = self.sizes[sprite] / 2
        signs = torch.tensor(
            [[-1, -1], [1, -1], [1, 1], [-1, 1]], dtype=torch.float32, device=self.device
        )
        corners = torch.cat([half[:, None] * signs, torch.ones(count, 4, 1, device=self.device)], 2)
        moved = (forward @ corners.transpose(1, 2)).transpose(1, 2)
        moved = moved[..., :2] / moved[..., 2:]
        low, high = moved.amin(1), moved.amax(1)
        size = high - low
        margin = (
            size * self._uniform(count, 1, low=-0.1, high=0.6).clamp(min=-0.1) * 0.5 + size * 0.5
        )
        spot = margin + (SIDE_PX - 2 * margin).clamp(min=0) * self._uniform(count, 2)
        box = torch.cat([spot + low, spot + high], 1)
        least = torch.where(kind == 1, LEAST_PX[1], torch.where(kind == 0, LEAST_PX[0], 0.0))
        apart = self._apart(box, boxes, kinds)
        used = (
            (self._uniform(count) < share)
            & apart
            & (size[:, 0] >= least)
            & ((kind != 0) | (size[:, 1] >= 3.5))
        )
        layer, cover = self._layer(sprite, forward, spot, level)
        image = image + (layer - image) * cover * used[:, None, None, None]
        return image, box, torch.where(used, torch.where(kind < 0, -3, kind), -2)

    def _apart(self, box: Tensor, boxes: Tensor, kinds: Tensor) -> Tensor:
        """Whether the box keeps clear of all that was pasted before (their surroundings too)."""
        pad = (box[:, 2:] - box[:, :2]) * 0.35 + 3
        low = torch.maximum(box[:, None, :2] - pad[:, None], boxes[..., :2])
        high = torch.minimum(box[:, None, 2:] + pad[:, None], boxes[..., 2:])
        shared = ((high - low) > 0).all(-1) & (kinds != -2)
        return ~shared.any(1)

    def _layer(
        self, sprite: Tensor, forward: Tensor, spot: Tensor, level: int
    ) -> tuple[Tensor, Tensor]:
        count = len(sprite)
        pixels = self.sprites[sprite].float() / 255
        pixels[:, :3] *= pixels[:, 3:]
        for _ in range(level):
            pixels = F.avg_pool2d(pixels, 2)
        pixels = laid_out(pixels, forward, spot, SIDE_PX, SIDE_PX)
        cover = pixels[:, 3:]
        colour = pixels[:, :3] / cover.clamp(min=1e-3)
        gain = torch.exp(self._normal(count, 1, 1, 1, spread=0.4) - 0.15)
        fade = self._uniform(count, 1, 1, 1) * (self._uniform(count, 1, 1, 1) < 0.3) * 0.6
        tone = self._uniform(count, 3, 1, 1, low=0.1, high=0.9)
        tint = 1 + self._normal(count, 3, 1, 1, spread=0.08)
        colour = (colour * gain * tint).clamp(0, 1) * (1 - fade) + tone * fade
        grey = self._uniform(count) < 0.15
        return torch.where(
            grey[:, None, None, None], colour.mean(1, keepdim=True).expand_as(colour), colour
        ), cover

    def _lit(self, image: Tensor) -> Tensor:
        """Dusk and night, haze, and colours from none to strong, over the whole picture."""
        count = len(image)

        def some(share: float, low: float, high: float, otherwise: float) -> Tensor:
            drawn = self._uniform(count, 1, 1, 1, low=low, high=high)
            chosen = self._uniform(count, 1, 1, 1) < share
            return torch.where(chosen, drawn, torch.full_like(drawn, otherwise))

        grey = image.mean(1, keepdim=True)
        image = grey + (image - grey) * some(0.5, 0.0, 1.4, 1.0)
        haze = some(0.15, 0.0, 0.55, 0.0)
        image = image * (1 - haze) + self._uniform(count, 3, 1, 1) * haze
        return (image * some(0.15, 0.3, 0.6, 1.0)).clamp(0, 1)

    def _spoil(self, image: Tensor) -> Tensor:
        """Light, blur, motion, resampling, compression, noise, as cameras and codecs add them."""
        count, _, high, long = image.shape
        image = self._lit(image)
        radius = torch.arange(-5, 6, device=self.device).float()
        spread = (self._uniform(count, 1) ** 2 * 1.6 + 0.15).expand(-1, 11)
        row = torch.exp(-((radius / spread) ** 2) / 2)
        run = (
            (radius.abs() <= self._uniform(count, 1, high=4.0)) & (self._uniform(count, 1) < 0.2)
        ).float()
        run = torch.where(run.sum(1, keepdim=True) > 0, run, (radius == 0).float())
        upright = self._uniform(count, 1) < 0.3
        wide = _blend(row, run, ~upright)
        tall = _blend(row, run, upright)
        flat = image.reshape(1, count * 3, high, long)
        flat = F.conv2d(
            F.pad(flat, (5, 5, 0, 0), mode="reflect"),
            wide.repeat_interleave(3, 0)[:, None, None],
            groups=count * 3,
        )
        flat = F.conv2d(
            F.pad(flat, (0, 0, 5, 5), mode="reflect"),
            tall.repeat_interleave(3, 0)[:, None, :, None],
            groups=count * 3,
        )
        image = flat.view(count, 3, high, long)
        coarse = F.interpolate(
            F.avg_pool2d(image, 2), scale_factor=2, mode="bilinear", align_corners=False
        )
        image = torch.where((self._uniform(count) < 0.08)[:, None, None, None], coarse, image)
        packed = _packed(image, self._uniform(count, 1, 1, 1) ** 2 * 0.16 + 0.004)
        image = torch.where((self._uniform(count) < 0.65)[:, None, None, None], packed, image)
        return (
            image + self._normal(*image.shape) * self._uniform(count, 1, 1, 1) ** 2 * 0.05
        ).clamp(0, 1)


def laid_out(pixels: Tensor, forward: Tensor, spot: Tensor, wide: int, high: int) -> Tensor:
    """Sprites (N, 4, h, w) as they lie in pictures of this size, (N, 4, high, wide).

    forward: (N, 3, 3), from px of a sprite's canvas, about its middle, to px about `spot` (N, 2).
    """
    count, device = len(pixels), pixels.device
    x = torch.arange(wide, device=device) + 0.5 - spot[:, 0, None, None]
    y = (torch.arange(high, device=device) + 0.5)[:, None] - spot[:, 1, None, None]
    ones = torch.ones(count, high, wide, device=device)
    flat = torch.stack([x.expand(-1, high, -1), y.expand(-1, -1, wide), ones], 1)
    back = (torch.linalg.inv(forward) @ flat.flatten(2)).view(count, 3, high, wide)
    place = back[:, :2] / back[:, 2:].clamp(min=0.1)
    grid = torch.stack([place[:, 0] / CANVAS_PX[0] * 2, place[:, 1] / CANVAS_PX[1] * 2], -1)
    return F.grid_sample(pixels, grid, align_corners=False)


def _blend(row: Tensor, run: Tensor, chosen: Tensor) -> Tensor:
    """Kernels (N, 11) of a blur, widened by a motion where chosen, each of sum one."""
    kernel = torch.where(chosen & (run.sum(1, keepdim=True) > 1), run, row)
    return kernel / kernel.sum(1, keepdim=True)


def _packed(image: Tensor, step: Tensor) -> Tensor:
    """The image as 8x8 cosine blocks rounded to the step (more for fine detail), as JPEG does."""
    order = torch.arange(8, device=image.device).float()
    basis = torch.cos((2 * order[None] + 1) * order[:, None] * math.pi / 16) * 0.5
    basis[0] /= math.sqrt(2)
    count, _, high, wide = image.shape
    blocks = image.view(count, 3, high // 8, 8, wide // 8, 8)
    waves = torch.einsum("ui,ncaibj,vj->ncaubv", basis, blocks, basis)
    weight = (1 + order[:, None] + order[None, :]).view(1, 1, 1, 8, 1, 8) / 2
    rounded = torch.round(waves / (step[..., None, None] * weight)) * step[..., None, None] * weight
    return torch.einsum("ui,ncaubv,vj->ncaibj", basis, rounded, basis).reshape(image.shape)
