"""Applications that go wrong in one way each, and one that counts; named by an entry point."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable
from typing import Any

from mastra_ros.artefacts import Artefact
from mastra_ros.pipeline.application import Answer, Application, Figure, Question, SeenRecord
from mastra_ros.records import Record


class Strange(Application):
    """Counts records, and does what a record tells it to."""

    def __init__(self) -> None:
        self.count = 0

    def on_record(self, record: SeenRecord) -> Iterable[Answer]:
        does: Any = record.body.get("do", "count")
        if does == "raise":
            raise ValueError("as told")
        if does == "hang":
            time.sleep(1000)
        if does == "die":
            os._exit(3)
        if does == "print":
            sys.stdout.write("x" * 100_000)
        if does == "nonsense":
            return [7]  # type: ignore[list-item]
        self.count += 1
        told = Artefact("count", "all", str(self.count).encode(), keep="newest")
        own = Record("seen", record.stamp_ns, {"count": self.count})
        each = Artefact("each", "one", str(self.count).encode(), keep="all")
        return [told, own, each]

    paths = ("count", "nonsense", "hang")

    def on_get(self, question: Question) -> dict[str, Any]:
        if question.path == "nonsense":
            return {"count": float("nan")}
        if question.path == "hang":
            time.sleep(1000)
        if "at" in question.query:
            raise ValueError("at: as told")
        if "of" in question.query:
            raise LookupError(f"nothing of {question.query['of']}")
        if "fail" in question.query:
            os._exit(4)
        return {"count": self.count, "device": question.device}

    def figures(self) -> Iterable[Figure]:
        yield Figure("seen", "Records seen", self.count, counter=True)
        yield Figure("level", "A gauge", 0.5, {"side": "north"})
        yield Figure("level", "A gauge", 0.25, {"side": "south"})

    def snapshot(self) -> bytes:
        return json.dumps(self.count).encode()

    def restore(self, snapshot: bytes) -> None:
        self.count = json.loads(snapshot)
