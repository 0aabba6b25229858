"""Where a picture differs from the one that was searched, as few rectangles to be searched anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .region import Image, Region

BLOCK_PX = 8
"""A face of 8 px that comes into sight changes the mean of a block; noise of a camera does not."""
LEVELS = 5.0
"""Of 255, in one colour: a block whose mean difference is larger has changed."""
MARGIN_PX = 16
"""Around what changed, so that a thing at its border is seen whole and with its surroundings."""
GRID_PX = 16
"""Rectangles begin and end at whole steps of this."""

STEP_PX = 128
"""Sides are multiples of this, the sides of small rectangles of half of it."""
EACH_PX = 64 * 64
"""What a rectangle costs beside its area, as an area."""
PARTS_MAX = 100
ONE_SHARE = 0.5
"""Where more of a picture than this is to be searched, one rectangle around all of it is: each more
would have a size that the runtime was not prepared for a frame ago."""
ONE_STEP_PX = 32
"""Its sides are multiples of this at VGA, and of more in larger pictures."""

Blocks = NDArray[np.bool_]


@dataclass(frozen=True)
class Part:
    """A rectangle of a picture, px."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def area_px(self) -> int:
        return (self.right - self.left) * (self.bottom - self.top)

    def with_(self, other: Part) -> Part:
        """The least rectangle around both."""
        return Part(
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
        )


def changed_blocks(image: Image, before: Image) -> Blocks:
    """(rows, columns): which blocks of 8x8 px differ. Both pictures have one shape."""
    apart = cv2.absdiff(image, before)
    if apart.ndim == 3:
        blue, green, red = cv2.split(apart)
        apart = cv2.max(cv2.max(blue, green), red)
    high, wide = apart.shape
    below, right = -high % BLOCK_PX, -wide % BLOCK_PX
    apart = cv2.copyMakeBorder(apart, 0, below, 0, right, cv2.BORDER_REPLICATE)
    size = (apart.shape[1] // BLOCK_PX, apart.shape[0] // BLOCK_PX)
    means = cv2.resize(apart, size, interpolation=cv2.INTER_AREA)
    return np.asarray(means > LEVELS)


def is_stale(r: Region, changed: Blocks) -> bool:
    """Whether something has changed in a region, or right beside it."""
    left, top = max(0, int(r.x) // BLOCK_PX - 1), max(0, int(r.y) // BLOCK_PX - 1)
    right, bottom = int(r.x + r.width) // BLOCK_PX + 2, int(r.y + r.height) // BLOCK_PX + 2
    return bool(changed[top : max(0, bottom), left : max(0, right)].any())


def parts(changed: Blocks, stale: Sequence[Region], high: int, wide: int) -> list[Part]:
    """Rectangles around all that changed, each with a margin.

    Each region known from before in which something changed lies in one as a whole: half a face is
    none. Rectangles may overlap where one around both would cost more to search than the two.
    """
    near = cv2.dilate(changed.astype(np.uint8), np.ones((3, 3), np.uint8))
    count, _, stats, _ = cv2.connectedComponentsWithStats(near, connectivity=8)
    made = []
    for left, top, across, down, _ in stats[1:count].tolist():
        corners = (left, top, left + across, top + down)
        core = Part(*(corner * BLOCK_PX for corner in corners))
        made.append(_grown(core, MARGIN_PX, high, wide))
    for r in stale:
        core = Part(int(r.x), int(r.y), int(r.x + r.width) + 1, int(r.y + r.height) + 1)
        made.append(_grown(core, BLOCK_PX, high, wide))
    merged = _merged(made)
    if sum(part.area_px for part in merged) <= ONE_SHARE * high * wide:
        return [_in_steps(part, high, wide) for part in merged]
    step = ONE_STEP_PX * max(1, wide // 640)
    return [_in_steps(_around(merged), high, wide, step)]


def _grown(core: Part, margin: int, high: int, wide: int) -> Part:
    grown = (core.left - margin, core.top - margin, core.right + margin, core.bottom + margin)
    return _on_grid(Part(*grown), high, wide)


def _around(found: Sequence[Part]) -> Part:
    hull = found[0]
    for part in found[1:]:
        hull = hull.with_(part)
    return hull


def _in_steps(part: Part, high: int, wide: int, step: int = 0) -> Part:
    """The part, larger: its sides in whole steps, so that few shapes go to the networks.

    A runtime prepares itself for each new shape, which takes longer than a small search.
    """
    left, right = _stretched(part.left, part.right, wide, step)
    top, bottom = _stretched(part.top, part.bottom, high, step)
    return Part(left, top, right, bottom)


def _stretched(low: int, high: int, room: int, step: int) -> tuple[int, int]:
    step = step or (STEP_PX if high - low > STEP_PX else STEP_PX // 2)
    size = min(room, -(-(high - low) // step) * step)
    low = min(low, room - size)
    return low, low + size


def _on_grid(part: Part, high: int, wide: int) -> Part:
    return Part(
        max(0, part.left // GRID_PX * GRID_PX),
        max(0, part.top // GRID_PX * GRID_PX),
        min(wide, -(-part.right // GRID_PX) * GRID_PX),
        min(high, -(-part.bottom // GRID_PX) * GRID_PX),
    )


def _merged(found: Sequence[Part]) -> list[Part]:
    """The rectangles; two whose hull is cheaper to search than both are made one, best first."""
    if len(found) > PARTS_MAX:  # noise all over the picture: one search costs less
        return [_around(found)]
    left = np.array([(p.left, p.top, p.right, p.bottom) for p in found], np.int64).reshape(-1, 4)
    saved = _saved(left, left[:, None])
    np.fill_diagonal(saved, 0)
    while saved.size and saved.max() > 0:
        one, other = divmod(int(saved.argmax()), len(left))
        left[one, :2] = np.minimum(left[one, :2], left[other, :2])
        left[one, 2:] = np.maximum(left[one, 2:], left[other, 2:])
        left = np.delete(left, other, 0)
        saved = np.delete(np.delete(saved, other, 0), other, 1)
        one -= other < one
        saved[one] = saved[:, one] = _saved(left, left[one])
        saved[one, one] = 0
    return [Part(*sides) for sides in sorted(left.tolist(), key=lambda s: (s[1], s[0]))]


def _saved(left: NDArray[np.int64], one: NDArray[np.int64]) -> NDArray[np.int64]:
    """What is saved by searching the hull of `one` and each of the others, px.

    Of many, (M, 1, 4), it gives (M, N).
    """
    low, high = np.minimum(left[:, :2], one[..., :2]), np.maximum(left[:, 2:], one[..., 2:])
    both = (left[:, 2:] - left[:, :2]).prod(-1) + (one[..., 2:] - one[..., :2]).prod(-1)
    saved: NDArray[np.int64] = both + EACH_PX - (high - low).prod(-1)
    return saved
