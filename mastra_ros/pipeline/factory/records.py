"""What the line tells the gateway: each verdict as a record of the kind `verdict`."""

from __future__ import annotations

import secrets

from mastra_ros.pipeline.factory.inspection import Verdict
from mastra_ros.pipeline.factory.log import verdict_to_dict
from mastra_ros.records import Record

VERDICT = "verdict"
FOUND_MAX = 100
"""Defects of one board that are told, the surest first; how many there were is told besides."""


class VerdictRecords:
    """Makes records of verdicts; one of these a run of the inspection, which counts boards anew."""

    def __init__(self) -> None:
        self._run = secrets.token_hex(8)

    def of(self, verdict: Verdict) -> Record:
        """The record of a verdict, as in the log of verdicts, with the run beside the board."""
        body = verdict_to_dict(verdict)
        for name in ("defects", "doubtful"):
            found = sorted(body[name], key=lambda one: -one["score"])
            body[f"{name}_count"] = len(found)
            body[name] = found[:FOUND_MAX]
        body["run"] = self._run
        number = f"{self._run}-{verdict.board}"
        return Record(VERDICT, verdict.last_stamp_ns, body, f"{VERDICT}-{number}")
