"""Who is who: overlaps of boxes, and the assignment of least cost."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def overlaps(a: Floats, b: Floats) -> Floats:
    """Intersection over union (n, m) of boxes (n, 4) and (m, 4)."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(2)
    areas = [np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(1) for boxes in (a, b)]
    union = areas[0][:, None] + areas[1][None] - shared
    return np.asarray(shared / np.maximum(union, 1e-9))


def grown(boxes: Floats, share: Floats | float) -> Floats:
    """Boxes (n, 4), larger by this share of their size on each side."""
    reach = (boxes[:, 2:] - boxes[:, :2]) * np.reshape(share, (-1, 1))
    return np.concatenate([boxes[:, :2] - reach, boxes[:, 2:] + reach], axis=1)


def assign(cost: Floats, most: float) -> list[tuple[int, int]]:
    """Pairs (row, column) of least cost altogether, without those that cost more than `most`.

    The Hungarian method with potentials (Kuhn, 1955; Jonker and Volgenant, 1987).
    """
    if not cost.size:
        return []
    # What costs too much costs all the same, so it never displaces a good pair.
    capped = np.minimum(cost, most + 1e-6)
    turned = capped.shape[0] > capped.shape[1]
    table = capped.T if turned else capped
    rows, columns = table.shape
    u, v = np.zeros(rows + 1), np.zeros(columns + 1)
    owner = np.zeros(columns + 1, int)
    for row in range(1, rows + 1):
        owner[0] = row
        column = 0
        least = np.full(columns + 1, np.inf)
        back = np.zeros(columns + 1, int)
        used = np.zeros(columns + 1, bool)
        while True:
            used[column] = True
            free = ~used[1:]
            reduced = table[owner[column] - 1] - u[owner[column]] - v[1:]
            better = free & (reduced < least[1:])
            least[1:][better] = reduced[better]
            back[1:][better] = column
            following = int(np.argmin(np.where(free, least[1:], np.inf))) + 1
            step = least[following]
            u[owner[used]] += step
            v[used] -= step
            least[~used] -= step
            column = following
            if owner[column] == 0:
                break
        while column:
            before = back[column]
            owner[column] = owner[before]
            column = before
    pairs = [(owner[c] - 1, c - 1) for c in range(1, columns + 1) if owner[c]]
    pairs = [(c, r) if turned else (r, c) for r, c in pairs]
    return sorted((int(r), int(c)) for r, c in pairs if cost[r, c] <= most)
