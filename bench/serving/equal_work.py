"""The work of a frame for other servers: decode, infer, keep a group in SQLite, as well as can be.

Runs in the environment of those servers, so it knows nothing of ours.
"""

from __future__ import annotations

import os
import sqlite3
import time
from typing import Any

import cv2
import numpy as np

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime


class Work:
    """A group at a time; with a `database` its answers are on disk before they are given."""

    def __init__(self, model: str, database: str = "") -> None:
        cv2.setNumThreads(1)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        )
        self._input = self._session.get_inputs()[0].name
        self._names = [one.name for one in self._session.get_outputs()]
        self._db: Any = None
        if database:
            self._db = sqlite3.connect(database, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA busy_timeout = 10000")
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("CREATE TABLE IF NOT EXISTS results (at_ns INTEGER, data BLOB)")

    def run(self, files: list[bytes]) -> list[tuple[Any, Any]]:
        """Scores and boxes of each picture."""
        pictures: list[Any] = [
            cv2.imdecode(np.frombuffer(one, np.uint8), cv2.IMREAD_GRAYSCALE) for one in files
        ]
        batch = np.stack(pictures)[:, None].astype(np.float32) / 255.0
        found = dict(zip(self._names, self._session.run(None, {self._input: batch}), strict=True))
        scores, boxes = found["scores"], found["boxes"]
        if self._db is not None:
            now = time.time_ns()
            rows = [(now + n, scores[n].tobytes() + boxes[n].tobytes()) for n in range(len(files))]
            self._db.execute("BEGIN")
            self._db.executemany("INSERT INTO results VALUES (?, ?)", rows)
            self._db.execute("COMMIT")
        return [(scores[n], boxes[n]) for n in range(len(files))]
