"""Fills holes between frames from the nearest known voxels on both sides.

The method of PLUS's sticks (vtkIGSIOFillHolesInVolume): along thirteen directions the nearest known
voxels before and behind a hole are sought, not farther apart than a stick is long; of the shortest
ones the value is interpolated. Where nothing is known on both sides, nothing is made up.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mastra_ros.errors import VolumeError

from .reconstruction import Volume

Array = NDArray[Any]

DIRECTIONS = (
    *((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (0, 1, 1)),
    *((1, -1, 0), (1, 0, -1), (0, 1, -1), (1, 1, 1), (-1, 1, 1), (1, -1, 1), (-1, -1, 1)),
)
"""x, y, z, in the order of PLUS."""
LENGTH_MAX = 65


def filled(volume: Volume, length: int = 9, *, as_integers: bool = False) -> Volume:
    """The volume without the holes that are shorter than a stick of `length` voxels.

    Filled voxels have the hits -1. as_integers: cut every interpolated value down to a whole
    number, as PLUS does. Raises VolumeError where the length makes no sense.
    """
    if not 2 <= length <= LENGTH_MAX:
        raise VolumeError(f"sticks: expected a length of 2 to {LENGTH_MAX} voxels, got {length}")
    reach = length - 2  # at most so far on one side, with one voxel on the other
    known = np.pad(volume.hits != 0, reach)
    values = np.pad(volume.values, reach).ravel()
    holes = np.pad(volume.hits == 0, reach).ravel()
    flat = known.ravel()
    best, total, weight = (np.zeros(len(flat), np.float64) for _ in range(3))
    step_y, step_z = known.shape[2], known.shape[2] * known.shape[1]
    both_ways = ThreadPoolExecutor(2)  # NumPy lets go of the interpreter meanwhile
    for x, y, z in DIRECTIONS:
        offset = x + y * step_y + z * step_z
        ahead, behind = both_ways.map(_distance, (flat, flat), (offset, -offset), (reach, reach))
        both = holes & (ahead > 0) & (behind > 0) & (ahead + behind < length)
        at = np.flatnonzero(both)
        near, far = ahead[at].astype(np.int64), behind[at].astype(np.int64)
        span = near + far + 1.0
        # PLUS's weights, which do not quite add up to a linear interpolation.
        share = (far + 1) / span
        value = (1.0 - share) * values[at - far * offset] + share * values[at + near * offset]
        if as_integers:
            value = np.floor(value)
        score = 1.0 / (span * np.sqrt(float(x * x + y * y + z * z)))
        better = score > best[at]
        total[at[better]], weight[at[better]] = 0.0, 0.0
        taken = score >= best[at]
        total[at[taken]] += value[taken] * score[taken]
        weight[at[taken]] += score[taken]
        best[at[better]] = score[better]
    both_ways.shutdown()
    found = weight > 0
    new = total[found] / weight[found]
    values[found] = np.floor(new) if as_integers else new
    hits = np.pad(volume.hits, reach).ravel()
    hits[found] = -1
    inner = (slice(reach, -reach or None),) * 3
    return Volume(
        volume.grid,
        np.ascontiguousarray(values.reshape(known.shape)[inner]),
        np.ascontiguousarray(hits.reshape(known.shape)[inner]),
    )


def _distance(known: Array, offset: int, reach: int) -> Array:
    """Steps of `offset` to the first known voxel: 1 to `reach`, 0 for none.

    All is padded, so no stick reaches around an edge.
    """
    distance = np.zeros(len(known), np.uint8)
    for step in range(reach, 0, -1):
        far = step * abs(offset)
        if offset > 0:
            np.copyto(distance[:-far], step, where=known[far:], casting="unsafe")
        else:
            np.copyto(distance[far:], step, where=known[:-far], casting="unsafe")
    return distance
