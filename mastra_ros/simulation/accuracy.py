"""How right each model is on each kind of frame: a table of measured samples.

A row is one labelled picture that both models have seen: the confidence of the device's result,
how far both agree, and for each model how many of its boxes were right, how many it gave, and how
many there are. A simulated frame is a row drawn at random. The F-score over many frames
is 2 * right / (given + there), as in DeepPCB's rule.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError
from ..types import Detections, Route

COLUMNS = (
    "confidence",
    "agreement",
    "true",
    "local_right",
    "local_found",
    "cloud_right",
    "cloud_found",
)
BOXES = 10


@dataclass(frozen=True)
class AccuracyTable:
    """Columns of the table, each (rows,); `source` says where they come from."""

    source: str
    rows: NDArray[np.float64]  # (rows, len(COLUMNS))

    @classmethod
    def read(cls, path: Path) -> AccuracyTable:
        """Read CSV with the header COLUMNS. Raises ConfigError."""
        try:
            with path.open(encoding="utf-8", newline="") as file:
                found = [[float(row[name]) for name in COLUMNS] for row in csv.DictReader(file)]
        except KeyError as error:
            raise ConfigError(
                f"{path}: expected the columns {', '.join(COLUMNS)}, {error} is missing"
            ) from None
        except (OSError, ValueError, TypeError) as error:
            raise ConfigError(f"{path}: not a table of numbers: {error}") from error
        if not found:
            raise ConfigError(f"{path}: expected a row of numbers below the header, got none")
        return cls(path.name, np.asarray(found, np.float64))

    @classmethod
    def from_f_scores(cls, local: float, cloud: float, source: str) -> AccuracyTable:
        """A table of one row, for when only the F-scores are known; nothing is unsure in it."""
        for f_score in (local, cloud):
            if not 0 <= f_score <= 1:
                raise ConfigError(f"accuracy: expected F-scores between 0 and 1, got {f_score}")
        row = [1.0, 1.0, 1.0, local, 1.0, cloud, 1.0]
        return cls(source, np.asarray([row], np.float64))

    def __len__(self) -> int:
        return len(self.rows)

    def f_score(self, samples: NDArray[np.int64], origins: list[Route | None]) -> float:
        """F over frames answered by these origins; None: not answered, all is missed."""
        right = found = true = 0.0
        for sample, origin in zip(samples, origins, strict=True):
            row = self.rows[sample]
            true += row[2]
            if origin is not None:
                at = 3 if origin is Route.LOCAL else 5
                right, found = right + row[at], found + row[at + 1]
        return float(2 * right / (found + true)) if found + true else 1.0

    def detections(self, sample: int, origin: Route) -> Detections:
        """Boxes with this row's confidence, which agree with the other side's as far as it says."""
        confidence, agreement = self.rows[sample][:2]
        boxes = np.zeros((BOXES, 4), np.float32)
        boxes[:, 0] = boxes[:, 1] = np.arange(BOXES) * 20
        if origin is not Route.LOCAL:
            boxes[round(agreement * BOXES) :, :2] += 1000
        boxes[:, 2:] = boxes[:, :2] + 10
        scores = np.full(BOXES, 0.99, np.float32)
        scores[0] = confidence
        return Detections(boxes, scores, np.zeros(BOXES, np.int32), ("defect",))
