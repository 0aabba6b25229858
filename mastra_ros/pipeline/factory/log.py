"""The log of verdicts: one JSON object a line."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from mastra_ros.errors import ConfigError
from mastra_ros.pipeline.factory.inspection import Verdict
from mastra_ros.share import home_path
from mastra_ros.types import Detections

logger = logging.getLogger(__name__)


class VerdictLog:
    """Appends to a file and flushes after each line, so that a crash loses none.

    ConfigError if the file cannot be opened for writing. Should writing fail later (a full disk),
    the inspection goes on: the first failure in a row is logged, the lines are counted in `lost`.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = home_path(path)
        self.lost = 0
        self._failing = False
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("a", encoding="utf-8")
        except OSError as error:
            raise ConfigError(
                f"log_path: expected a file that can be written, got {path}: {error.strerror}"
            ) from error

    def write(self, verdict: Verdict) -> None:
        """Append one verdict."""
        try:
            self._file.write(json.dumps(verdict_to_dict(verdict)) + "\n")
            self._file.flush()
            self._failing = False
        except OSError as error:
            self.lost += 1
            if not self._failing:
                logger.error("verdicts cannot be written to %s: %s", self._path, error.strerror)
            self._failing = True

    def close(self) -> None:
        """Close the file."""
        try:
            self._file.close()
        except OSError as error:
            logger.error("verdicts may be missing in %s: %s", self._path, error.strerror)


def verdict_to_dict(verdict: Verdict) -> dict[str, Any]:
    """A verdict as plain values; boxes in px of the board (belt) or of the frame."""
    return {
        "board": verdict.board,
        "verdict": verdict.verdict,
        "reason": verdict.reason,
        "stream": verdict.key.stream,
        "first_stamp_ns": verdict.first_stamp_ns,
        "last_stamp_ns": verdict.last_stamp_ns,
        "frames": verdict.frames,
        "defects": _plain(verdict.defects),
        "doubtful": _plain(verdict.doubtful),
    }


def _plain(found: Detections) -> list[dict[str, Any]]:
    return [
        {
            "label": found.labels[class_id],
            "score": round(score, 4),
            "box": [round(side, 1) for side in box],
        }
        for box, score, class_id in zip(
            found.boxes.tolist(), found.scores.tolist(), found.classes.tolist(), strict=True
        )
    ]
