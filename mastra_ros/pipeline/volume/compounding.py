"""What becomes of several pixels in one voxel: their mean, the latest or the largest of them.

All sums are of integers, and the latest is told by sequence numbers, so that a volume does not
depend on the order in which its frames come in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mastra_ros.errors import VolumeError

Array = NDArray[Any]
Index = tuple[int, int, int]

COMPOUNDING = ("mean", "latest", "maximum")
WEIGHT = 16**3
"""A pixel that is distributed over eight voxels, in 16 steps an axis, weighs this in all."""
WEIGHT_MIN = WEIGHT // 8
"""Only voxels so near take part in `latest` and `maximum`: the nearest, or all eight of a pixel
right between them."""
COUNT_BIT = 36
SEQ_MAX = 2**31
PIXELS_MAX = 2**24


@dataclass(frozen=True)
class Move:
    """From a box of the shape `old` to one of the shape `new`: `kept` of that lies `into` this."""

    old: Index
    new: Index
    kept: tuple[slice, ...]
    into: tuple[slice, ...]

    def of(self, values: Array) -> Array:
        """Flat values in the new box; 0 where the old one was not."""
        moved = np.zeros(self.new, values.dtype)
        moved[self.into] = values.reshape(self.old)[self.kept]
        return moved.ravel()


class Store(Protocol):
    """Voxels of a box, as a flat array whose order is that of (z, y, x)."""

    def add(self, at: Array, values: Array, weights: Array | None, seq: int, pixels: Array) -> None:
        """Take in pixels: voxel of each, gray level, weight (None: all of it), place in frame."""

    def moved(self, move: Move) -> Store:
        """The same in another box."""

    def halved(self, shape: Index) -> Store:
        """The same with voxels twice as large: `shape` is that of the old box, all even."""

    def arrays(self) -> tuple[Array, ...]:
        """All of the state, for `store_with`."""

    def read(self) -> tuple[Array, Array]:
        """Gray level (float64; 0 where nothing is known) and what was put in: 0 nothing."""


class NearestMean:
    """Count and sum in one integer of 64 bits: 2^27 pixels a voxel."""

    def __init__(self, voxels: int, store: Array | None = None) -> None:
        self._store = np.zeros(voxels, np.int64) if store is None else store

    def add(self, at: Array, values: Array, weights: Array | None, seq: int, pixels: Array) -> None:  # noqa: ARG002
        """See Store."""
        np.add.at(self._store, at, values.astype(np.int64) + (1 << COUNT_BIT))

    def moved(self, move: Move) -> Store:
        """See Store."""
        return NearestMean(0, move.of(self._store))

    def halved(self, shape: Index) -> Store:
        """See Store."""
        return NearestMean(0, _eight(self._store, shape).sum(0))

    def arrays(self) -> tuple[Array, ...]:
        """See Store."""
        return (self._store,)

    def read(self) -> tuple[Array, Array]:
        """See Store."""
        count = self._store >> COUNT_BIT
        total = self._store & ((1 << COUNT_BIT) - 1)
        return _mean(total, count), count


class LinearMean:
    """Sums of weights, and of gray levels times weights."""

    def __init__(self, voxels: int, stores: tuple[Array, Array] | None = None) -> None:
        self._total, self._weight = stores or (
            np.zeros(voxels, np.int64),
            np.zeros(voxels, np.int64),
        )

    def add(self, at: Array, values: Array, weights: Array | None, seq: int, pixels: Array) -> None:  # noqa: ARG002
        """See Store."""
        assert weights is not None
        np.add.at(self._total, at, values.astype(np.int64) * weights)
        np.add.at(self._weight, at, weights.astype(np.int64))

    def moved(self, move: Move) -> Store:
        """See Store."""
        return LinearMean(0, (move.of(self._total), move.of(self._weight)))

    def halved(self, shape: Index) -> Store:
        """See Store."""
        return LinearMean(
            0, (_eight(self._total, shape).sum(0), _eight(self._weight, shape).sum(0))
        )

    def arrays(self) -> tuple[Array, ...]:
        """See Store."""
        return self._total, self._weight

    def read(self) -> tuple[Array, Array]:
        """See Store."""
        return _mean(self._total, self._weight), self._weight


class Latest:
    """The pixel of the highest sequence number, and of these the last in the order of reading.

    Sequence number + 1, place in the frame and gray level are the digits of one integer.
    """

    def __init__(self, voxels: int, store: Array | None = None) -> None:
        self._store = np.zeros(voxels, np.int64) if store is None else store

    def add(self, at: Array, values: Array, weights: Array | None, seq: int, pixels: Array) -> None:
        """See Store."""
        at, values, pixels = _near(at, values, weights, pixels)
        keys = (pixels.astype(np.int64) << 8) + values
        np.maximum.at(self._store, at, keys + ((seq + 1) << 32))

    def moved(self, move: Move) -> Store:
        """See Store."""
        return Latest(0, move.of(self._store))

    def halved(self, shape: Index) -> Store:
        """See Store."""
        return Latest(0, _eight(self._store, shape).max(0))

    def arrays(self) -> tuple[Array, ...]:
        """See Store."""
        return (self._store,)

    def read(self) -> tuple[Array, Array]:
        """See Store."""
        return (self._store & 255).astype(np.float64), (self._store > 0).astype(np.int64)


class Maximum:
    """The largest gray level; kept with 1 added, 0 is nothing."""

    def __init__(self, voxels: int, store: Array | None = None) -> None:
        self._store = np.zeros(voxels, np.int16) if store is None else store

    def add(self, at: Array, values: Array, weights: Array | None, seq: int, pixels: Array) -> None:  # noqa: ARG002
        """See Store."""
        at, values, _ = _near(at, values, weights, pixels)
        np.maximum.at(self._store, at, values.astype(np.int16) + np.int16(1))

    def moved(self, move: Move) -> Store:
        """See Store."""
        return Maximum(0, move.of(self._store))

    def halved(self, shape: Index) -> Store:
        """See Store."""
        return Maximum(0, _eight(self._store, shape).max(0))

    def arrays(self) -> tuple[Array, ...]:
        """See Store."""
        return (self._store,)

    def read(self) -> tuple[Array, Array]:
        """See Store."""
        known = self._store > 0
        return np.where(known, self._store - 1.0, 0.0), known.astype(np.int64)


def store_of(compounding: str, linear: bool, voxels: int) -> Store:
    """An empty store. VolumeError where the compounding is none of ours."""
    if compounding == "mean":
        return LinearMean(voxels) if linear else NearestMean(voxels)
    if compounding == "latest":
        return Latest(voxels)
    if compounding == "maximum":
        return Maximum(voxels)
    raise VolumeError(f"compounding: expected {', '.join(COMPOUNDING)}, got {compounding!r:.40}")


def store_with(compounding: str, linear: bool, arrays: tuple[Array, ...]) -> Store:
    """The store whose `arrays` these were."""
    if compounding == "mean" and linear:
        return LinearMean(0, (arrays[0], arrays[1]))
    kinds: dict[str, type[NearestMean | Latest | Maximum]] = {
        "mean": NearestMean,
        "latest": Latest,
        "maximum": Maximum,
    }
    return kinds[compounding](0, arrays[0])


def _eight(values: Array, shape: Index) -> Array:
    """(8, voxels of half the shape): the eight voxels that become one."""
    box = values.reshape(shape)
    return np.stack(
        [box[z::2, y::2, x::2].ravel() for z in range(2) for y in range(2) for x in range(2)]
    )


def _mean(total: Array, weight: Array) -> Array:
    mean = np.zeros(len(total), np.float64)
    return np.divide(total, weight, out=mean, where=weight > 0)


def _near(
    at: Array, values: Array, weights: Array | None, pixels: Array
) -> tuple[Array, Array, Array]:
    if weights is None:
        return at, values, pixels
    near = weights >= WEIGHT_MIN
    return at[near], values[near], pixels[near] if len(pixels) else pixels
