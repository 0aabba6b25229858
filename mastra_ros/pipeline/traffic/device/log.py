"""The log of events: one JSON object a line."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from mastra_ros.errors import ConfigError
from mastra_ros.pipeline.traffic.events import Event
from mastra_ros.share import home_path

logger = logging.getLogger(__name__)


class EventLog:
    """Appends and flushes. ConfigError if the file cannot be opened; later failures are logged."""

    def __init__(self, path: str | Path) -> None:
        self._path = home_path(path)
        self.lost = 0
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("a", encoding="utf-8")
        except OSError as error:
            raise ConfigError(
                f"log_path: expected a file that can be written, got {path}: {error.strerror}"
            ) from error

    def write(self, event: Event) -> None:
        """Append one event, as its record has it."""
        record = event.to_record()
        line = {"kind": record.kind, "stamp_ns": record.stamp_ns, **record.body}
        try:
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()
        except OSError as error:
            if not self.lost:
                logger.error("events cannot be written to %s: %s", self._path, error.strerror)
            self.lost += 1

    def close(self) -> None:
        """Close the file."""
        try:
            self._file.close()
        except OSError as error:
            logger.error("events may be missing in %s: %s", self._path, error.strerror)
