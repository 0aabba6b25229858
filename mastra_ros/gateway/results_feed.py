"""Reads committed results in the order of their commits, for applications, beside the store.

By a connection of its own, so that no application makes the look-ups of frames wait.
"""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import dataclass
from pathlib import Path

from ..errors import StoreError
from .sqlite_store import FILE_NAME


@dataclass(frozen=True)
class KeptResult:
    """A committed result; `id` is its place in the order of commits."""

    id: int
    device: str
    committed_s: float  # since 1970
    data: bytes  # a ResultMessage


class ResultsFeed:
    """The results of the store in `folder`, which is open."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME
        self._lock = threading.Lock()
        self._db: sqlite3.Connection | None = None

    def since(self, after: int, most: int) -> list[KeptResult]:
        """Results behind a place. Raises StoreError."""
        sql = "SELECT id, device, committed_s, data FROM results WHERE id > ? ORDER BY id LIMIT ?"
        try:
            with self._lock:
                if self._db is None:
                    self._db = sqlite3.connect(self._path, check_same_thread=False)
                rows = self._db.execute(sql, (after, most)).fetchall()
        except sqlite3.Error as error:
            raise StoreError(f"{self._path}: {error}") from error
        return [KeptResult(*row) for row in rows]

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None
