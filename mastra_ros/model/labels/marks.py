"""What a label file says of one picture, held against the picture itself."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError
from .sample import Sample, no_boxes
from .tally import Tally

OVER_PX = 1.0
"""A box may reach so far over the border by rounding alone."""


@dataclass(frozen=True)
class Mark:
    """One box as it was written: x1 y1 x2 y2, class into the labels, and the place it stands."""

    box: tuple[float, float, float, float]
    label: int
    where: str  # e.g. "annotation 7", "line 3"
    ignored: bool = False  # a region with uncounted objects

    def __post_init__(self) -> None:
        if not all(math.isfinite(value) for value in self.box):
            raise ValueError(f"expected finite numbers, got {self.box}")


@dataclass(frozen=True)
class Marks:
    """All that is said of one picture.

    The boxes are in px, or, with `shares`, in shares of the picture's sides. `label` is that of
    the whole picture, for classifiers. `size_px` is what the label file says of its size.
    """

    path: Path
    source: Path  # the label file
    boxes: list[Mark] = field(default_factory=list)
    shares: bool = False
    label: int | None = None
    size_px: tuple[int, int] | None = None

    def on(self, width_px: int, height_px: int, tally: Tally) -> Sample:
        """The sample, for a picture of this size; boxes are cut to it, as detections are.

        Raises DataError for a box outside the picture, and a size other than the file says:
        both come from labels of another picture, or of another size of it.
        """
        if self.label is not None:
            return Sample(self.path, no_boxes(), np.array([self.label], np.int32))
        said = self.size_px or (width_px, height_px)
        if said != (width_px, height_px):
            raise DataError(
                f"{self.source}: {self.path.name} is said to be {said[0]}x{said[1]} px, "
                f"the picture is {width_px}x{height_px}"
            )
        boxes, classes = self._arrays(False, width_px, height_px, tally)
        return Sample(self.path, boxes, classes, *self._arrays(True, width_px, height_px, tally))

    def _arrays(
        self, ignored: bool, width_px: int, height_px: int, tally: Tally
    ) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Boxes (n, 4) inside the picture and their classes, of one kind."""
        boxes, classes = [], []
        for mark in self.boxes:
            box = self._cut(mark, width_px, height_px, tally) if mark.ignored == ignored else None
            if box is not None:
                boxes.append(box)
                classes.append(mark.label)
        return np.array(boxes, np.float32).reshape(-1, 4), np.array(classes, np.int32)

    def _cut(
        self, mark: Mark, width_px: int, height_px: int, tally: Tally
    ) -> tuple[float, float, float, float] | None:
        """The box inside the picture, in px; None where it has no area."""
        scale = (width_px, height_px) if self.shares else (1, 1)
        x1, y1, x2, y2 = (value * scale[i % 2] for i, value in enumerate(mark.box))
        where = f"{mark.where} of {self.source.name}"
        if x1 == x2 or y1 == y2:
            tally.add("boxes without area are left out", where)
            return None
        left, top = max(x1, 0.0), max(y1, 0.0)
        right, bottom = min(x2, float(width_px)), min(y2, float(height_px))
        if left >= right or top >= bottom:
            raise DataError(
                f"{self.source}: {mark.where}: the box {x1:g} {y1:g} {x2:g} {y2:g} px lies "
                f"outside {self.path.name}, which is {width_px}x{height_px} px"
            )
        if max(left - x1, top - y1, x2 - right, y2 - bottom) > OVER_PX:
            tally.add("boxes reach over the picture's border and are cut there", where)
        return left, top, right, bottom
