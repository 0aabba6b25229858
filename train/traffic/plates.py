"""Plates to read, composed where the training runs: thousands a second, no two alike.

Letters from a bank are laid out as countries do (a long line, a middle line with words above and
below, two lines), inked, lit, seen from a side, cut out not quite well, made coarse, blurred and
packed as cameras do.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

SIZE_PX = (48, 160)
"""Height and width of what the reader sees."""
CANVAS_PX = (96, 256)
MAIN, CLUTTER = 9, 14
"""Most letters of a plate, and of what else stands on it."""

PATTERNS = (
    *("AA999AA", "AA999AA", "AA99AAA", "AAA999", "AAA9999", "999AAA", "AA9999A", "9AAA999"),
    *("A999AAA", "AAA999A", "9A99999", "9A99999", "AA99999", "AAA99999", "AAA99AA", "AA9A9A"),
    *("AA9A9A", "9999AAA", "AA9999", "A99AAA", "999999", "9999999", "AA9999AA", "AA99A9999"),
    *("AAA9A99", "AAA9AAA", "999AA", "AAA99A", "AA99AA", "A9999AA", "99999AA", "A999999"),
    *("9AAA999", "99A9999", "99999A9", "A99999", "9999AA", "AAAA99", "AA9AAA", "AA9A9A"),
)
"""Of many countries; A a letter, 9 a digit. The frequent kinds stand there more often."""


class PlateComposer:
    """Makes batches: pictures (N, 1, 48, 160) in 0..1 and texts (N, 9), filled up with -1."""

    def __init__(self, letters: Path, device: str, seed: int = 0) -> None:
        data = np.load(letters)
        self.device = device
        self.random = torch.Generator(device=device).manual_seed(seed)
        self.glyphs = torch.from_numpy(data["glyphs"]).to(device)
        self.widths = torch.from_numpy(data["widths"]).to(device)
        codes = np.full((len(PATTERNS), MAIN), -1, np.int64)
        for k, pattern in enumerate(PATTERNS):
            codes[k, : len(pattern)] = [1 if c == "A" else 0 for c in pattern]
        self.patterns = torch.from_numpy(codes).to(device)

    def _u(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        return torch.rand(shape, generator=self.random, device=self.device) * (high - low) + low

    def _n(self, *shape: int, spread: float = 1.0) -> Tensor:
        return torch.randn(shape, generator=self.random, device=self.device) * spread

    def _i(self, most: int, *shape: int) -> Tensor:
        return torch.randint(most, shape, generator=self.random, device=self.device)

    def batch(self, count: int) -> tuple[Tensor, Tensor]:
        """`count` plates and what is to be read."""
        text = self._texts(count)
        canvas, aspect = self._drawn(text)
        return self._seen(canvas, aspect), text

    def _texts(self, count: int) -> Tensor:
        kinds = self.patterns[self._i(len(self.patterns), count)]
        length = 3 + self._i(MAIN - 3, count)  # 3 to 8
        free = (self._u(count, MAIN) < 0.5).long()
        free[:, 1:] = torch.where(self._u(count, MAIN - 1) < 0.5, free[:, :-1], free[:, 1:])
        slots = torch.arange(MAIN, device=self.device)
        free = torch.where(slots < length[:, None], free, -1)
        kinds = torch.where((self._u(count) < 0.4)[:, None], free, kinds)
        digit, letter = self._i(10, count, MAIN), 10 + self._i(26, count, MAIN)
        text = torch.where(kinds == 1, letter, digit)
        return torch.where(kinds < 0, -1, text)

    def _drawn(self, text: Tensor) -> tuple[Tensor, Tensor]:
        """The plates flat and whole (N, 1, 96, 256), and how much wider than high they are."""
        count = len(text)
        device = self.device
        high, wide = CANVAS_PX
        font = self._i(len(self.glyphs), count)
        length = (text >= 0).sum(1)
        layout = self._u(count)
        long, north = layout < 0.42, (layout >= 0.42) & (layout < 0.74)
        two = (layout >= 0.74) & (layout < 0.88) & (length >= 4)
        aspect = torch.where(
            long, self._u(count, low=3.8, high=5.2), self._u(count, low=1.75, high=2.35)
        )
        aspect = torch.where(layout >= 0.88, self._u(count, low=2.5, high=3.6), aspect)
        aspect = torch.where(two, self._u(count, low=1.2, high=2.1), aspect)
        band = long & (self._u(count) < 0.7)
        band_share = torch.where(band, self._u(count, low=0.07, high=0.12), 0.0)
        slots = torch.arange(MAIN, device=device)[None].expand(count, -1)
        # Two lines: the first holds so many letters.
        first = torch.where(two, 1 + (self._u(count) * (length - 2).clamp(min=1)).long(), length)
        first = torch.minimum(first, length)
        line = (slots >= first[:, None]).long()
        widths = self.widths[font[:, None], text.clamp(min=0)]
        shape = torch.exp(self._n(count, spread=0.16))  # narrower or wider letters
        cell = widths * shape[:, None]
        same = self._u(count) < 0.35  # dies of one width
        cell = torch.where(same[:, None], torch.maximum(cell, 0.5 * shape[:, None]), cell)
        gap = self._u(count, 1, low=0.06, high=0.22)
        place = self._i(MAIN, count)[:, None]
        other = self._i(MAIN, count)[:, None]
        pause = self._u(count, 1, low=0.0, high=0.75) * (self._u(count, 1) < 0.75)
        place = torch.where(self._u(count, 1) < 0.7, 1 + self._i(3, count)[:, None], place)
        pause = torch.where(self._u(count, 1) < 0.3, self._u(count, 1, low=0.5, high=1.0), pause)
        step = cell + gap + pause * ((slots == place) | ((slots == other) & (slots > 1)))
        step = step * (text >= 0)
        left = torch.zeros_like(step)
        for k in (0, 1):
            inside = step * (line == k)
            run = torch.cumsum(inside, 1) - inside
            left = torch.where(line == k, run, left)
        # What room each line has: in units of the letters' height.
        tall = torch.where(
            long, self._u(count, low=0.62, high=0.84), self._u(count, low=0.42, high=0.66)
        )
        tall = torch.where(two, self._u(count, low=0.3, high=0.42), tall)
        tall = torch.where(layout >= 0.88, self._u(count, low=0.5, high=0.75), tall)
        room = (1 - band_share - self._u(count, low=0.03, high=0.12)) * aspect / tall
        for k in (0, 1):
            total = (step * (line == k)).sum(1).clamp(min=0.2)
            fit = (room / total).clamp(max=1.0)  # squeezed where it is too long
            spread = torch.where(self._u(count) < 0.4, (room / total).clamp(max=1.35), fit)
            squeeze = torch.where(fit < 1, fit, spread)
            letters = torch.where(fit < 1, fit, torch.where(spread > 1.15, 1.0, spread))
            mine = line == k
            start = (room - total * squeeze).clamp(min=0) * self._u(count, low=0.35, high=0.65)
            left = torch.where(mine, start[:, None] + left * squeeze[:, None], left)
            cell = torch.where(mine, cell * letters[:, None], cell)
        unit = tall / aspect  # of the plate's width
        margin = band_share + (1 - band_share - room * unit) / 2
        x = margin[:, None] + (left + cell / 2) * unit[:, None]
        y_one = torch.where(
            north, self._u(count, low=0.45, high=0.58), self._u(count, low=0.48, high=0.52)
        )
        y_line = torch.stack(
            [0.27 + self._n(count, spread=0.015), 0.71 + self._n(count, spread=0.015)], 1
        )
        y = torch.where(two[:, None], torch.gather(y_line, 1, line), y_one[:, None])
        half_x = cell * unit[:, None] / 2
        half_y = (tall / 2)[:, None].expand(-1, MAIN)
        ink = self._stamped(font, text, x, y, half_x, half_y, widths)
        bold = self._u(count, 1, 1, 1)
        fat = F.max_pool2d(ink, 3, 1, 1)
        ink = torch.where(bold < 0.25, fat, ink)
        clutter = self._clutter(count, north, long, band, band_share)
        ground = self._u(count, 1, 1, 1, low=0.62, high=1.0)
        dark = self._u(count, 1, 1, 1, low=0.0, high=0.3)
        turned = self._u(count, 1, 1, 1) < 0.16
        ground, dark = torch.where(turned, dark, ground), torch.where(turned, ground, dark)
        canvas = ground + self._art(count) * ((north & (self._u(count) < 0.7))[:, None, None, None])
        xs = (torch.arange(wide, device=device) + 0.5) / wide
        ys = (torch.arange(high, device=device) + 0.5)[:, None] / high
        tone = self._u(count, 1, 1, 1, low=0.1, high=0.55)
        banded = (xs < band_share[:, None, None, None]) & band[:, None, None, None]
        canvas = torch.where(banded, tone, canvas)
        shade = torch.where(self._u(count, 1, 1, 1) < 0.7, dark, self._u(count, 1, 1, 1))
        canvas = canvas + (shade - canvas) * clutter * self._u(count, 1, 1, 1, low=0.4, high=1.0)
        canvas = self._emblems(canvas, x, y, half_x, text, place, line, aspect, band_share)
        for _ in range(3):  # stickers, seals, screws
            sx, sy = self._u(count, 1, 1, 1), self._u(count, 1, 1, 1)
            radius = self._u(count, 1, 1, 1, low=0.03, high=0.13)
            spot = ((xs - sx) * aspect[:, None, None, None]) ** 2 + (ys - sy) ** 2 < radius**2
            spot = spot & (self._u(count, 1, 1, 1) < 0.25)
            canvas = torch.where(spot, self._u(count, 1, 1, 1), canvas)
        raised = torch.roll(ink, (1, 1), (2, 3)) * self._u(count, 1, 1, 1, high=0.35)
        canvas = canvas + raised * (0.5 - canvas) * (self._u(count, 1, 1, 1) < 0.4)
        canvas = canvas + (dark - canvas) * ink * self._u(count, 1, 1, 1, low=0.7, high=1.0)
        edge = self._u(count, 1, 1, 1, high=0.05)
        rim = (ys < edge) | (ys > 1 - edge) | (xs * aspect[:, None, None, None] < edge)
        rim = rim | ((1 - xs) * aspect[:, None, None, None] < edge)
        rim = rim & (self._u(count, 1, 1, 1) < 0.6)
        return torch.where(rim, self._u(count, 1, 1, 1), canvas).clamp(0, 1), aspect

    def _emblems(
        self, canvas: Tensor, x: Tensor, y: Tensor, half_x: Tensor, text: Tensor, place: Tensor,
        line: Tensor, aspect: Tensor, band_share: Tensor,
    ) -> Tensor:  # fmt: skip
        """Seals, coats of arms and forms of states between groups, before them, and in the band."""
        count = len(canvas)
        wide, high = CANVAS_PX[1], CANVAS_PX[0]
        xs = (torch.arange(wide, device=self.device) + 0.5) / wide
        ys = (torch.arange(high, device=self.device) + 0.5)[:, None] / high
        k = place.clamp(max=MAIN - 2)
        a, b = k, k + 1
        there = (text.gather(1, b) >= 0) & (line.gather(1, a) == line.gather(1, b))
        # The pause stands after this letter.
        low = x.gather(1, a) + half_x.gather(1, a)
        top = x.gather(1, b) - half_x.gather(1, b)
        # The step of a letter holds the pause behind it.
        gap_x, gap = (low + top) / 2, (top - low).clamp(min=0)
        edge = x[:, :1] - half_x[:, :1]
        before = (band_share[:, None] + edge) / 2
        spots = [
            (gap_x, y.gather(1, a), gap * 0.5, there & (gap * aspect[:, None] > 0.12)),
            (gap_x, y.gather(1, a) - 0.2, gap * 0.45, there & (gap * aspect[:, None] > 0.12)),
            (
                before,
                y[:, :1],
                (edge - band_share[:, None]) * 0.45,
                edge > band_share[:, None] + 0.02,
            ),
            (
                band_share[:, None] / 2,
                y[:, :1] - 0.2,
                band_share[:, None] * 0.38,
                band_share[:, None] > 0,
            ),
        ]

        def of(value: Tensor) -> Tensor:
            return value[:, :, None, None]

        for n, (mid_x, mid_y, radius, shown) in enumerate(spots):
            radius = radius * self._u(count, 1, low=0.6, high=1.0)
            tall = radius * aspect[:, None] * self._u(count, 1, low=0.8, high=1.5)
            u = (xs - of(mid_x)) / of(radius).clamp(min=1e-3)
            v = (ys - of(mid_y + self._n(count, 1, spread=0.04))) / of(tall).clamp(min=1e-3)
            box = self._u(count, 1, 1, 1) < 0.35
            inside = torch.where(box, (u.abs() < 0.9) & (v.abs() < 0.9), u**2 + v**2 < 1)
            ring = inside & (u**2 + v**2 > 0.45) & (self._u(count, 1, 1, 1) < 0.3)
            inside = torch.where(self._u(count, 1, 1, 1) < 0.25, ring, inside)
            grain = F.interpolate(
                torch.rand(count, 1, 20, 56, generator=self.random, device=self.device),
                CANVAS_PX,
                mode="bilinear",
                align_corners=False,
            )
            tone = self._u(count, 1, 1, 1, high=0.9) + (grain - 0.5) * self._u(count, 1, 1, 1)
            chance = 0.6 if n == 0 else 0.45
            used = of(shown & (self._u(count, 1) < chance))
            canvas = torch.where(inside & used, tone.clamp(0, 1), canvas)
        return canvas

    def _stamped(
        self, font: Tensor, text: Tensor, x: Tensor, y: Tensor, half_x: Tensor, half_y: Tensor,
        widths: Tensor,
    ) -> Tensor:  # fmt: skip
        """Ink (N, 1, 96, 256) of letters with these middles and half sizes, as shares of it."""
        count, slots = text.shape
        high, wide = CANVAS_PX
        xs = (torch.arange(wide, device=self.device) + 0.5) / wide
        ys = (torch.arange(high, device=self.device) + 0.5) / high
        ink = torch.zeros(count, 1, high, wide, device=self.device)
        for k in range(slots):
            glyph = self.glyphs[font, text[:, k].clamp(min=0)][:, None].float() / 255
            u = (xs[None] - x[:, k, None]) / half_x[:, k, None].clamp(min=1e-4)
            u = u * widths[:, k, None]
            v = (ys[None] - y[:, k, None]) / half_y[:, k, None].clamp(min=1e-4) * (60 / 64)
            grid = torch.stack(
                [
                    u[:, None, :].expand(-1, high, -1),
                    v[:, :, None].expand(-1, -1, wide),
                ],
                -1,
            )
            drawn = F.grid_sample(glyph, grid, padding_mode="zeros", align_corners=False)
            ink = torch.maximum(ink, drawn * (text[:, k] >= 0)[:, None, None, None])
        return ink

    def _clutter(
        self, count: int, north: Tensor, long: Tensor, band: Tensor, band_share: Tensor
    ) -> Tensor:
        """Small words above and below, the letter of the country in its band, dashes."""
        font = self._i(len(self.glyphs), count)
        text = 10 + self._i(26, count, CLUTTER)
        text = torch.where(self._u(count, CLUTTER) < 0.12, self._i(10, count, CLUTTER), text)
        widths = self.widths[font[:, None], text]
        slots = torch.arange(CLUTTER, device=self.device)[None].expand(count, -1)
        above = slots < CLUTTER // 2
        shown = north[:, None] & (self._u(count, CLUTTER) < 0.93)
        shown = shown & torch.where(above, self._u(count, 1) < 0.8, self._u(count, 1) < 0.7)
        size = torch.where(
            above, self._u(count, 1, low=0.05, high=0.1), self._u(count, 1, low=0.04, high=0.08)
        )
        pitch = self._u(count, 1, low=0.05, high=0.1)
        start = self._u(count, 1, low=0.12, high=0.5)
        x = start + (slots % (CLUTTER // 2)) * pitch
        y = torch.where(
            above, self._u(count, 1, low=0.07, high=0.15), self._u(count, 1, low=0.86, high=0.94)
        )
        half_x = pitch * 0.45 + 0 * x
        half_y = size + 0 * x
        # The letters of the country stand low in the band.
        own = (slots < 2) & band[:, None]
        single = self._u(count, 1) < 0.5
        shown = torch.where(own, (self._u(count, 1) < 0.85) & ((slots == 0) | ~single), shown)
        spot = torch.where(single, 0.5 + 0 * slots, 0.3 + 0.4 * slots)
        x = torch.where(own, band_share[:, None] * spot, x)
        y = torch.where(own, self._u(count, 1, low=0.62, high=0.84), y)
        half_x = torch.where(own, band_share[:, None] * torch.where(single, 0.28, 0.19), half_x)
        half_y = torch.where(own, self._u(count, 1, low=0.08, high=0.17), half_y)
        text = torch.where(shown, text, -1)
        ink = self._stamped(font, text, x, y, half_x, half_y, widths)
        dash = long[:, None, None, None] & (self._u(count, 1, 1, 1) < 0.3)
        xs = (torch.arange(CANVAS_PX[1], device=self.device) + 0.5) / CANVAS_PX[1]
        ys = (torch.arange(CANVAS_PX[0], device=self.device) + 0.5)[:, None] / CANVAS_PX[0]
        middle = self._u(count, 1, 1, 1, low=0.25, high=0.5)
        stroke = ((xs - middle).abs() < 0.008) & ((ys - 0.5).abs() < 0.05)
        return torch.maximum(ink, (stroke & dash).float() * 0.0)

    def _art(self, count: int) -> Tensor:
        """Soft forms in the ground, as American plates have them."""
        coarse = self._n(count, 1, 4, 6, spread=0.16) * self._u(count, 1, 1, 1)
        return F.interpolate(coarse, CANVAS_PX, mode="bicubic", align_corners=False)

    def _seen(self, canvas: Tensor, aspect: Tensor) -> Tensor:
        """Cut out not quite well, from a side, with a camera's faults."""
        count = len(canvas)
        high, wide = SIZE_PX
        tilt = self._n(count, spread=0.045)  # of the picture's height a width
        lean = self._n(count, spread=0.06)
        turn = torch.where(self._u(count) < 0.15, tilt * 2.2, tilt)
        left, right = self._u(count, low=-0.02, high=0.14), self._u(count, low=-0.02, high=0.14)
        top, bottom = self._u(count, low=-0.05, high=0.3), self._u(count, low=-0.05, high=0.3)
        near = self._u(count) < 0.5
        left, right = torch.where(near, left * 0.4, left), torch.where(near, right * 0.4, right)
        top, bottom = torch.where(near, top * 0.4, top), torch.where(near, bottom * 0.4, bottom)
        u = torch.linspace(-1, 1, wide, device=self.device)[None, None, :]
        v = torch.linspace(-1, 1, high, device=self.device)[None, :, None]

        def of(value: Tensor) -> Tensor:
            return value[:, None, None]

        across = u * of(1 + left + right) + of(right - left)
        down = v * of(1 + top + bottom) + of(bottom - top)
        push_x, push_y = self._n(count, spread=0.05), self._n(count, spread=0.08)
        depth = 1 + of(push_x) * u + of(push_y) * v
        x = (across + of(lean) * down) / depth
        y = (down + of(turn * aspect) * across) / depth
        grid = torch.stack([x, y.expand_as(x)], -1)
        # Averaged before it is made small, as a camera's sensor does.
        image = F.grid_sample(canvas, grid, padding_mode="zeros", align_corners=False)
        cover = F.grid_sample(
            torch.ones_like(canvas), grid, padding_mode="zeros", align_corners=False
        )
        body = self._u(count, 1, 1, 1) + F.interpolate(
            self._n(count, 1, 3, 5, spread=0.12), SIZE_PX, mode="bilinear", align_corners=False
        )
        image = image + body * (1 - cover)
        light = F.interpolate(
            self._n(count, 1, 2, 3, spread=0.18), SIZE_PX, mode="bilinear", align_corners=False
        )
        image = image * (1 + light)
        glare = self._u(count, 1, 1, 1) < 0.06
        gx = (torch.linspace(0, 1, wide, device=self.device) - self._u(count, 1, 1, 1)).abs()
        image = torch.where(glare, image + torch.exp(-((gx / 0.15) ** 2)) * 0.7, image).clamp(
            0, 1.2
        )
        image = self._coarse(image)
        contrast = self._u(count, 1, 1, 1, low=0.25, high=1.0)
        image = image * contrast + self._u(count, 1, 1, 1) * (1 - contrast) * 0.8
        noise = self._u(count, 1, 1, 1) ** 2 * 0.09 * contrast
        return (image + self._n(*image.shape) * noise).clamp(0, 1)

    def _coarse(self, image: Tensor) -> Tensor:
        """Blur and motion, then fewer px than the reader sees: groups of several sizes."""
        count = len(image)
        radius = torch.arange(-6, 7, device=self.device).float()
        wide = self._u(count, 1) ** 2 * 2.2 + 0.25
        tall = self._u(count, 1) ** 2 * 1.3 + 0.2
        for spread, along in ((wide, 3), (tall, 2)):
            kernel = torch.exp(-((radius / spread) ** 2) / 2)
            kernel = kernel / kernel.sum(1, keepdim=True)
            pad = (6, 6, 0, 0) if along == 3 else (0, 0, 6, 6)
            padded = F.pad(image, pad, mode="replicate")
            length = image.shape[along]
            # Shifted sums: cuDNN fails on a convolution with as many groups as pictures.
            image = torch.zeros_like(image)
            for k in range(kernel.shape[1]):
                image = image + padded.narrow(along, k, length) * kernel[:, k, None, None, None]
        parts = list(image.chunk(6))
        for k, part in enumerate(parts):
            share = math.exp(float(self._u(1, low=math.log(0.26), high=0.0)))
            if k % 3 == 0 or not len(part):
                continue
            size = (max(10, int(SIZE_PX[0] * share * 1.15)), max(36, int(SIZE_PX[1] * share)))
            small = F.interpolate(part, size, mode="area")
            parts[k] = F.interpolate(small, SIZE_PX, mode="bilinear", align_corners=False)
        return torch.cat(parts)
