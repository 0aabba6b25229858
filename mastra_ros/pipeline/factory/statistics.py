"""The factory's half at the gateway: yield and defects by kind of each line, from its verdicts.

The line gets them back as the artefact `statistics`, a JSON object:

    {"line": "camera-1/main", "boards": 120, "pass": 110, "reject": 8, "review": 2,
     "yield": 0.9167, "defects": {"open": 5, "short": 4}, "newest_stamp_ns": 17…}
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

from mastra_ros.artefacts import Artefact
from mastra_ros.pipeline.application import Answer, Application, SeenRecord
from mastra_ros.pipeline.factory.records import VERDICT

OUTCOMES = ("pass", "reject", "review")
LABELS_MAX = 200
"""Labels of one line that are counted; a device cannot make up ever more of them."""


class FactoryStatistics(Application):
    """Counts verdicts a line, which is a stream of a device."""

    kinds = (VERDICT,)

    def __init__(self) -> None:
        self._lines: dict[tuple[str, str], dict[str, Any]] = {}

    def on_record(self, record: SeenRecord) -> Iterable[Answer]:
        """Count a verdict; one that says nothing known is passed over."""
        outcome = record.body.get("verdict")
        if outcome not in OUTCOMES:
            return ()
        line = self._lines.setdefault(
            (record.device, record.stream), {"counts": {}, "defects": {}, "newest_stamp_ns": 0}
        )
        counts, defects = Counter(line["counts"]), Counter(line["defects"])
        counts[outcome] += 1
        for label in _labels(record.body.get("defects")):
            if label in defects or len(defects) < LABELS_MAX:
                defects[label] += 1
        line.update(
            counts=dict(counts),
            defects=dict(defects),
            newest_stamp_ns=max(line["newest_stamp_ns"], record.stamp_ns),
        )
        return (self._artefact(record.device, record.stream),)

    def snapshot(self) -> bytes:
        """As JSON: lists of device, stream and what is counted."""
        return json.dumps([[*name, line] for name, line in self._lines.items()]).encode()

    def restore(self, snapshot: bytes) -> None:
        """Take over a snapshot."""
        self._lines = {
            (device, stream): line for device, stream, line in json.loads(snapshot or b"[]")
        }

    def statistics(self, device: str, stream: str) -> dict[str, Any]:
        """What is known of one line."""
        line = self._lines[device, stream]
        counts = {outcome: line["counts"].get(outcome, 0) for outcome in OUTCOMES}
        boards = sum(counts.values())
        return {
            "line": f"{device}/{stream}",
            "boards": boards,
            **counts,
            "yield": round(counts["pass"] / boards, 4),
            "defects": dict(sorted(line["defects"].items())),
            "newest_stamp_ns": line["newest_stamp_ns"],
        }

    def _artefact(self, device: str, stream: str) -> Artefact:
        told = self.statistics(device, stream)
        return Artefact(
            "statistics",
            "line",
            json.dumps(told).encode(),
            version=str(told["boards"]),
            media_type="application/json",
        )


def _labels(defects: Any) -> Iterable[str]:
    """Labels in what a device calls defects, which may be anything."""
    for one in defects if isinstance(defects, list) else ():
        label = one.get("label") if isinstance(one, dict) else None
        if isinstance(label, str) and 0 < len(label) <= 64:
            yield label
