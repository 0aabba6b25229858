"""Whether two models give the same boxes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...types import Detections

WITHIN_PX = 2.0


def same_boxes(
    found: Sequence[Detections], wanted: Sequence[Detections], within_px: float = WITHIN_PX
) -> float:
    """Share of boxes that both have: 2 common / (found + wanted), 1 where there is none at all.

    Common are boxes of one class whose four sides lie within `within_px`, each counted once.
    """
    common = total = 0
    for one, other in zip(found, wanted, strict=True):
        total += len(one) + len(other)
        free = np.ones(len(other), bool)
        for box, label in zip(one.boxes, one.classes, strict=True):
            away = np.abs(other.boxes - box).max(axis=1, initial=0.0)
            near = np.flatnonzero(free & (other.classes == label) & (away <= within_px))
            if len(near):
                free[near[np.argmin(away[near])]] = False
                common += 1
    return 2 * common / total if total else 1.0
