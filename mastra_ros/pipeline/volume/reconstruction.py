"""A volume of tracked pictures, built up frame by frame, in whatever order they come.

The voxels lie on a lattice that is fixed before the first frame, so it does not matter either how
the box around them grows. Positions are computed in double precision.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mastra_ros.errors import VolumeError

from .compounding import PIXELS_MAX, SEQ_MAX, Move, Store, store_of, store_with
from .grid import Grid, Vector, check_size, check_spacing, corners_mm

Array = NDArray[Any]
Index = tuple[int, int, int]

DISTRIBUTION = ("nearest", "linear")
BIAS = 2**24
"""Added to all positions, which makes them positive whatever the box: then cutting off the fraction
is rounding down, and does not depend on how the box has grown."""
LEVEL_MAX = 6
GROWTH = 0.25
"""A box that must grow grows by this share more, so that it need not grow with every frame."""


@dataclass(frozen=True)
class Volume:
    """What is known of a box. values: gray levels (z, y, x). hits: what was put in, 0: nothing."""

    grid: Grid
    values: Array
    hits: Array

    @property
    def known(self) -> Array:
        """Where something was put in."""
        known: Array = self.hits > 0
        return known


class Reconstruction:
    """Frames in, a volume out. Raises VolumeError for what makes no sense, and keeps what it has.

    spacing_mm: of the lattice. anchor_mm: a point of it. voxels_max: of the box, checked before
    anything is allocated: a frame that would make it larger is refused, or, with `coarsen`, voxels
    become twice as large as often as is needed. What comes out then does not depend on when.
    """

    def __init__(
        self,
        spacing_mm: Vector,
        *,
        voxels_max: int = 2**26,
        compounding: str = "mean",
        distribution: str = "nearest",
        anchor_mm: Vector = (0.0, 0.0, 0.0),
        coarsen: bool = False,
    ) -> None:
        check_spacing(spacing_mm)
        if distribution not in DISTRIBUTION:
            raise VolumeError(
                f"distribution: expected {', '.join(DISTRIBUTION)}, got {distribution!r:.40}"
            )
        store_of(compounding, False, 0)
        self.frames = 0
        self._spacing = spacing_mm
        self._anchor = anchor_mm
        self._voxels_max = voxels_max
        self._compounding = compounding
        self._linear = distribution == "linear"
        self._coarsen = coarsen
        self._from_mm = np.diag([*(1 / np.asarray(spacing_mm)), 1.0])
        self._from_mm[:3, 3] = -np.asarray(anchor_mm) / np.asarray(spacing_mm)
        self._store: Store | None = None
        self._level = 0  # voxels are 2^level steps of the lattice wide
        self._low: list[int] = []  # first voxel of the box: x, y, z
        self._size: list[int] = []
        # First and last step of the lattice that any frame touches.
        self._used: tuple[list[int], list[int]] | None = None

    @property
    def spacing_mm(self) -> Vector:
        """Of the voxels as they are now."""
        x, y, z = (one * 2**self._level for one in self._spacing)
        return x, y, z

    def reserve(self, corners: Array) -> None:
        """Make room for places, (n, 3) in mm, so that the box need not grow later."""
        self._hold(*self._reach(corners), margin=False)

    def add(
        self,
        image: NDArray[np.uint8],
        to_volume: Array,
        *,
        seq: int,
        mask: NDArray[np.bool_] | None = None,
    ) -> None:
        """Take in a frame: (height, width); to_volume: (4, 4), px to mm; seq: its number.

        mask: which pixels count; None all of them.
        """
        if image.ndim != 2 or image.dtype != np.uint8 or not 0 < image.size <= PIXELS_MAX:
            raise VolumeError(
                f"frame: expected gray levels of 8 bits, (height, width), up to {PIXELS_MAX} px, "
                f"got {image.dtype} {image.shape}"
            )
        if not 0 <= seq < SEQ_MAX - 1:
            raise VolumeError(f"frame: expected a number from 0 to 2^31 - 2, got {seq}")
        if mask is not None and mask.shape != image.shape:
            raise VolumeError(f"mask: expected {image.shape}, got {mask.shape}")
        box = _box_of(image, mask)
        if box is None:
            return
        first, last = self._reach(corners_mm(to_volume, box))
        self._hold(first, last, margin=True)
        left, top, right, bottom = box
        part = image[top : bottom + 1, left : right + 1]
        inside = None if mask is None else mask[top : bottom + 1, left : right + 1]
        if inside is not None and inside.all():
            inside = None
        values = part.ravel() if inside is None else part[inside]
        across = self._from_mm @ np.asarray(to_volume, np.float64)
        lines = [
            (across[axis, 3] + BIAS + np.arange(top, bottom + 1) * across[axis, 1])
            for axis in range(3)
        ]
        rows = [np.arange(left, right + 1) * across[axis, 0] for axis in range(3)]
        pixels = np.zeros(0, np.int64)
        if self._compounding == "latest":
            every = np.arange(top, bottom + 1)[:, None] * image.shape[1]
            every = every + np.arange(left, right + 1)
            pixels = every.ravel() if inside is None else every[inside]
        if self._linear:
            self._distribute(lines, rows, inside, values, seq, pixels)
        else:
            self._put(lines, rows, inside, values, seq, pixels)
        self.frames += 1

    def state(self) -> dict[str, Any]:
        """All that was put in, as plain values and bytes; for `take_over`."""
        arrays = () if self._store is None else self._store.arrays()
        return {
            "frames": self.frames,
            "level": self._level,
            "low": self._low,
            "size": self._size,
            "used": self._used and [list(one) for one in self._used],
            "arrays": [[one.dtype.str, zlib.compress(one.tobytes(), 1)] for one in arrays],
        }

    def take_over(self, state: Mapping[str, Any]) -> None:
        """What `state` gave, of one with the same options; all goes on as if never interrupted."""
        self.frames, self._level = state["frames"], state["level"]
        self._low, self._size = list(state["low"]), list(state["size"])
        used = state["used"]
        self._used = (list(used[0]), list(used[1])) if used else None
        arrays = tuple(
            np.frombuffer(bytearray(zlib.decompress(data)), kind) for kind, data in state["arrays"]
        )
        self._store = store_with(self._compounding, self._linear, arrays) if arrays else None

    def volume(self) -> Volume:
        """All that is known, in the smallest box that holds every frame."""
        if self._store is None or self._used is None:
            raise VolumeError("volume: expected frames with poses, got none")
        values, hits = self._store.read()
        first, last = (_coarse(steps, self._level) for steps in self._used)
        lows = [a - b for a, b in zip(first, self._low, strict=True)]
        size = _size(first, last)
        part = tuple(slice(a, a + n) for a, n in zip(lows[::-1], size[::-1], strict=True))
        shape = _shape(self._size)
        # The centre of a voxel is that of the steps in it.
        wide = 2**self._level
        x, y, z = (
            float(a + (n * wide + (wide - 1) / 2) * mm)
            for a, n, mm in zip(self._anchor, first, self._spacing, strict=True)
        )
        grid = Grid((x, y, z), self.spacing_mm, (size[0], size[1], size[2]))
        return Volume(
            grid,
            np.ascontiguousarray(values.reshape(shape)[part]),
            np.ascontiguousarray(hits.reshape(shape)[part]),
        )

    def _reach(self, corners: Array) -> tuple[list[int], list[int]]:
        """First and last voxel of the lattice that these places touch."""
        places = np.asarray(corners) @ self._from_mm[:3, :3].T + self._from_mm[:3, 3]
        low, high = places.min(0), places.max(0)
        if self._linear:
            return [int(one) for one in np.floor(low)], [int(one) + 1 for one in np.floor(high)]
        return [int(one) for one in np.floor(low + 0.5)], [int(one) for one in np.floor(high + 0.5)]

    def _hold(self, first: list[int], last: list[int], *, margin: bool) -> None:
        """Make the box large enough, or raise and leave all as it was."""
        if self._used is not None:
            first = list(map(min, first, self._used[0]))
            last = list(map(max, last, self._used[1]))
        level = self._level
        while self._coarsen and level < LEVEL_MAX:
            size = _size(_coarse(first, level), _coarse(last, level))
            if math.prod(size) <= self._voxels_max:
                break
            level += 1
        lows, highs = _coarse(first, level), _coarse(last, level)
        spacing = [one * 2**level for one in self._spacing]
        check_size(_size(lows, highs), spacing, self._voxels_max)
        while self._level < level:
            self._halve()
        # One more all around: a pixel in a corner may round the other way than the corner did.
        lows, highs = [one - 1 for one in lows], [one + 1 for one in highs]
        if self._store is None:
            self._low, self._size = lows, _size(lows, highs)
            self._store = store_of(self._compounding, self._linear, math.prod(self._size))
        elif not self._holds(lows, highs):
            self._grow(lows, highs, margin=margin)
        self._used = first, last

    def _halve(self) -> None:
        """Half as many voxels along each axis."""
        if self._store is not None:
            lows = [one - one % 2 for one in self._low]
            highs = [a + n for a, n in zip(self._low, self._size, strict=True)]
            size = [b + b % 2 - a for a, b in zip(lows, highs, strict=True)]
            self._move(lows, size)
            self._store = self._store.halved(_shape(size))
            self._low, self._size = [a // 2 for a in lows], [n // 2 for n in size]
        self._level += 1

    def _holds(self, lows: list[int], highs: list[int]) -> bool:
        return all(
            low >= old and high < old + n
            for low, high, old, n in zip(lows, highs, self._low, self._size, strict=True)
        )

    def _grow(self, lows: list[int], highs: list[int], *, margin: bool) -> None:
        """Into a box that holds these voxels. What it leaves out was in reserve, and empty."""
        if margin:
            extra = [int(GROWTH * (b - a + 1)) for a, b in zip(lows, highs, strict=True)]
            wide_low = [
                min(old, low if low >= old else low - more)
                for low, old, more in zip(lows, self._low, extra, strict=True)
            ]
            wide_high = [
                max(old + n - 1, high if high < old + n else high + more)
                for high, old, n, more in zip(highs, self._low, self._size, extra, strict=True)
            ]
            if math.prod(_size(wide_low, wide_high)) <= self._voxels_max:
                lows, highs = wide_low, wide_high
        self._move(lows, _size(lows, highs))

    def _move(self, lows: list[int], size: list[int]) -> None:
        """Into the box of this size from `lows` on."""
        kept, into = [], []
        for old, n, low, m in zip(self._low, self._size, lows, size, strict=True):
            first, end = max(old, low), min(old + n, low + m)
            kept.append(slice(first - old, end - old))
            into.append(slice(first - low, end - low))
        assert self._store is not None
        self._store = self._store.moved(
            Move(_shape(self._size), _shape(size), tuple(kept[::-1]), tuple(into[::-1]))
        )
        self._low, self._size = lows, size

    def _put(
        self,
        lines: list[Array],
        rows: list[Array],
        inside: Array | None,
        values: Array,
        seq: int,
        pixels: Array,
    ) -> None:
        """Every pixel into the voxel whose centre is nearest; halves go up."""
        assert self._store is not None
        at = None
        step = 1
        for axis in range(3):
            nearest = ((lines[axis] + 0.5)[:, None] + rows[axis]).astype(np.int64)
            nearest >>= self._level
            nearest -= (BIAS >> self._level) + self._low[axis]
            nearest *= step
            at = nearest if at is None else np.add(at, nearest, out=at)
            step *= self._size[axis]
        assert at is not None
        self._store.add(at.ravel() if inside is None else at[inside], values, None, seq, pixels)

    def _distribute(
        self,
        lines: list[Array],
        rows: list[Array],
        inside: Array | None,
        values: Array,
        seq: int,
        pixels: Array,
    ) -> None:
        """Every pixel over the eight voxels around it, in sixteenths an axis."""
        assert self._store is not None
        below, share = [], []
        for axis in range(3):
            sixteenths = ((lines[axis] * 16 + 0.5)[:, None] + rows[axis] * 16).astype(np.int64)
            if inside is not None:
                sixteenths = sixteenths[inside]
            below.append(sixteenths.ravel() >> 4)
            share.append(sixteenths.ravel() & 15)
        for corner in range(8):
            at, weights = np.zeros(len(values), np.int64), np.ones(len(values), np.int64)
            step = 1
            for axis in range(3):
                upper = corner >> axis & 1
                voxel = (below[axis] + upper) >> self._level
                at += (voxel - ((BIAS >> self._level) + self._low[axis])) * step
                weights *= share[axis] if upper else 16 - share[axis]
                step *= self._size[axis]
            some = weights > 0
            picked = pixels[some] if len(pixels) else pixels
            self._store.add(at[some], values[some], weights[some], seq, picked)


def _box_of(image: Array, mask: NDArray[np.bool_] | None) -> tuple[int, int, int, int] | None:
    """Left, top, right, bottom (inclusive) of what counts; None where nothing does."""
    if mask is None:
        return 0, 0, image.shape[1] - 1, image.shape[0] - 1
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])


def _size(first: list[int], last: list[int]) -> list[int]:
    return [b - a + 1 for a, b in zip(first, last, strict=True)]


def _coarse(steps: list[int], level: int) -> list[int]:
    """The voxels in which these steps of the lattice lie."""
    return [one >> level for one in steps]


def _shape(size: list[int]) -> Index:
    x, y, z = size
    return z, y, x
