"""Four pictures with boxes, and what a detector says of them: right but for one box too many."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mastra_ros.model.dataset import Dataset, open_dataset
from mastra_ros.model.judge.score import accuracy
from mastra_ros.types import Detections

KINDS = ("dent", "scratch", "pin_hole")


@dataclass(frozen=True)
class Tray:
    """A folder with pictures, and what is on them."""

    root: Path
    kinds: tuple[str, ...] = KINDS
    width_px: int = 80
    height_px: int = 60
    names: tuple[str, ...] = ("a.png", "b.png", "c.png", "d.png")
    boxes: dict[str, list[tuple[int, int, int, int, int]]] = field(
        default_factory=lambda: {
            "a.png": [(4, 6, 24, 16, 0), (40, 30, 60, 50, 1)],
            "b.png": [(10, 10, 30, 30, 2)],
            "c.png": [],
            "d.png": [(1, 2, 31, 42, 0)],
        }
    )
    """x1 y1 x2 y2 class."""
    base_f: float = 2 * 4 / (5 + 4)
    """F of the answers of `answer`."""

    def coco(self) -> dict[str, Any]:
        """The labels in COCO's form; ids have gaps, and those of pictures fall."""
        images = [
            {
                "id": 100 - 7 * k,
                "file_name": name,
                "width": self.width_px,
                "height": self.height_px,
            }
            for k, name in enumerate(self.names)
        ]
        every = [(name, box) for name in self.names for box in self.boxes[name]]
        annotations = [
            {
                "id": 50 + 3 * k,
                "image_id": 100 - 7 * self.names.index(name),
                "category_id": 7 * (label + 1),
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "area": (x2 - x1) * (y2 - y1),
                "iscrowd": 0,
                "segmentation": [],
            }
            for k, (name, (x1, y1, x2, y2, label)) in enumerate(every)
        ]
        categories = [{"id": 7 * (k + 1), "name": name} for k, name in enumerate(self.kinds)]
        return {"images": images, "annotations": annotations, "categories": categories}

    def write_coco(self, document: Any) -> None:
        (self.root / "annotations.json").write_text(json.dumps(document))

    def opened(self, labels: tuple[str, ...] = KINDS) -> Dataset:
        return open_dataset(self.root, "detection", labels)

    def answer(self, name: str) -> Detections:
        """What a detector says: all that is there, and a false dent on picture c."""
        rows = [*self.boxes[name], *([(5, 5, 45, 45, 0)] if name == "c.png" else [])]
        table = np.array(rows, np.float32).reshape(-1, 5)
        scores = np.full(len(rows), 0.9, np.float32)
        return Detections(table[:, :4], scores, table[:, 4].astype(np.int32), self.kinds)

    def f_score(self, data: Dataset | None = None) -> float:
        """Of those answers, on the pictures that the folder has."""
        samples = (data or self.opened()).samples
        found = [self.answer(sample.path.name.lower()) for sample in samples]
        return accuracy(found, samples)


@pytest.fixture
def tray(tmp_path: Path) -> Tray:
    """A tray without labels."""
    made = Tray(tmp_path / "tray")
    (made.root / "images").mkdir(parents=True)
    for name in made.names:
        image = np.full((made.height_px, made.width_px), 90, np.uint8)
        cv2.imwrite(str(made.root / "images" / name), image)
    return made
