"""A labelled picture, as it is judged by."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def no_boxes() -> NDArray[np.float32]:
    """float32 (0, 4)."""
    return np.zeros((0, 4), np.float32)


def no_classes() -> NDArray[np.int32]:
    """int32 (0,)."""
    return np.zeros(0, np.int32)


@dataclass(frozen=True)
class Sample:
    """A picture's path and what is on it.

    boxes float32 (n, 4), x1 y1 x2 y2 in px; classes int32 (n,) into the labels. A classifier's
    sample has one class and no box. `ignored` (k, 4) are regions with more objects of a class
    than anybody has told apart (COCO's crowds): what is found in them is neither right nor wrong.
    """

    path: Path
    boxes: NDArray[np.float32]
    classes: NDArray[np.int32]
    ignored: NDArray[np.float32] = field(default_factory=no_boxes)
    ignored_classes: NDArray[np.int32] = field(default_factory=no_classes)

    def __post_init__(self) -> None:
        whole = not len(self.boxes) and len(self.classes) == 1  # a classifier's
        pairs = [(self.ignored, self.ignored_classes)]
        pairs += [] if whole else [(self.boxes, self.classes)]
        for boxes, classes in pairs:
            if boxes.shape != (len(classes), 4):
                raise ValueError(
                    f"{self.path}: expected boxes ({len(classes)}, 4), got {boxes.shape}"
                )
            if not np.isfinite(boxes).all():
                raise ValueError(f"{self.path}: boxes are not finite")
