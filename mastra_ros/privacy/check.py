"""What of the labelled faces and plates on a user's own pictures would be hidden."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .region import Image, Region

POINTS = 40
"""A label is looked at in 40x40 points."""
SHARE_MIN = {"plate": 0.9}
"""What of a label has to be hidden for it to count as covered; OTHERS_SHARE_MIN of all others."""
OTHERS_SHARE_MIN = 0.8
WIDTHS_PX = (0, 12, 16, 24, 32, 48, 64)
"""Labels are counted apart by their width, from each of these on."""


@dataclass(frozen=True)
class Row:
    """Labels of one kind and width, and how many of them would be hidden."""

    kind: str
    from_px: int
    count: int
    hidden: int

    @property
    def recall(self) -> float:
        return self.hidden / self.count


def hidden_share(label: Region, masks: Sequence[Region]) -> float:
    """The share of a label's area that lies under the masks."""
    x = label.x + (np.arange(POINTS) + 0.5) / POINTS * label.width
    y = label.y + (np.arange(POINTS) + 0.5) / POINTS * label.height
    under = np.zeros((POINTS, POINTS), bool)
    for r in masks:
        across = (x >= r.x) & (x <= r.x + r.width)
        down = (y >= r.y) & (y <= r.y + r.height)
        under |= down[:, None] & across[None, :]
    return float(under.mean())


def is_hidden(label: Region, masks: Sequence[Region]) -> bool:
    """Whether enough of it is."""
    return hidden_share(label, masks) >= SHARE_MIN.get(label.kind, OTHERS_SHARE_MIN)


class Check:
    """Counts over many pictures."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, int], list[int]] = {}
        self._shares: list[float] = []
        self.masks = 0

    def add(self, image: Image, labels: Sequence[Region], masks: Sequence[Region]) -> list[Region]:
        """One picture; its labels that would stay visible."""
        missed = []
        for label in labels:
            width = max(w for w in WIDTHS_PX if w <= max(0.0, label.width))
            row = self._counts.setdefault((label.kind, width), [0, 0])
            row[0] += 1
            if is_hidden(label, masks):
                row[1] += 1
            else:
                missed.append(label)
        under = np.zeros(image.shape[:2], bool)
        for r in masks:
            top, left = max(0, int(r.y)), max(0, int(r.x))
            under[top : max(0, int(r.y + r.height)), left : max(0, int(r.x + r.width))] = True
        self._shares.append(float(under.mean()))
        self.masks += len(masks)
        return missed

    @property
    def pictures(self) -> int:
        return len(self._shares)

    @property
    def share_median(self) -> float:
        """Of a picture, how much is hidden."""
        return float(np.median(self._shares)) if self._shares else 0.0

    def rows(self) -> list[Row]:
        """By kind and width."""
        return [Row(kind, px, n, hits) for (kind, px), (n, hits) in sorted(self._counts.items())]
