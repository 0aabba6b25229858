"""Applications that go wrong in one way each, and one that counts; named by an entry point."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable
from typing import Any

from mastra_ros.artefacts import Artefact
from mastra_ros.pipeline.application import (
    Answer,
    Application,
    CloseSet,
    Figure,
    Question,
    SeenFrame,
    SeenLive,
    SeenRecord,
    SeenResult,
)
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


class Framed(Application):
    """Remembers the frames that it has seen; says them at the end of a set, which it closes."""

    kinds = ()
    sees = ("frames", "results")

    def __init__(self) -> None:
        self.seen: dict[str, list[list[int]]] = {}
        self.results = 0

    def on_frame(self, frame: SeenFrame) -> Iterable[Answer]:
        if frame.meta.get("do") == "hang":
            time.sleep(1000)
        if frame.meta.get("do") == "raise":
            raise ValueError("as told")
        seen = self.seen.setdefault(frame.set, [])
        if frame.ends:
            told = json.dumps(self.seen.pop(frame.set)).encode()
            return [Artefact("whole", frame.set, told, keep="all"), CloseSet(frame.set)]
        pixels = -1 if frame.image is None else int(frame.image.sum())
        seen.append([frame.sequence, pixels, int(frame.meta.get("pose", [0])[0])])
        return [Artefact("going", frame.set, str(len(seen)).encode())]

    def on_result(self, result: SeenResult) -> Iterable[Answer]:
        self.results += 1
        told = f"{result.device} {result.result.key.stream} {self.results}"
        return [Artefact("results", "all", told.encode())]

    def snapshot(self) -> bytes:
        return json.dumps([self.seen, self.results]).encode()

    def restore(self, snapshot: bytes) -> None:
        self.seen, self.results = json.loads(snapshot)


class Watching(Application):
    """Says what it sees of each live frame, and does what the first pixel of it asks for."""

    kinds = ()
    sees = ("live",)
    paths = ("count",)

    def __init__(self) -> None:
        self.count = 0

    def on_live(self, live: SeenLive) -> Iterable[Answer]:
        does = int(live.image.reshape(-1)[0])
        if does == 7:
            time.sleep(5)
        if does == 8:
            raise ValueError("as told")
        if does == 9:
            time.sleep(1000)
        self.count += 1
        found = live.result.detections
        told = [*live.image.shape, int(live.image.sum()), live.encoding, live.left_out]
        told += [live.result.key == live.key, len(found.scores)]
        name = f"{live.key.stream}-{live.key.stamp_ns}"
        record = Record("watched", live.key.stamp_ns, {"count": self.count})
        yield Artefact("watched", name, json.dumps(told).encode(), keep="all")
        yield record

    def on_get(self, question: Question) -> dict[str, Any]:
        return {"count": self.count}
