"""What happens to a source, told to whoever runs the capture loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "opened",  # frames can be read
    "ended",  # a finite source or the frame limit is at its end: no more frames
    "stalled",  # a live source is silent for too long; it will be reopened
    "broken",  # a live source cannot be opened or read; it will be reopened
    "reopened",  # a live source is back
    "size_changed",  # frames have another size or encoding than before
    "doubtful",  # frames can be read and look as if a parameter did not fit them
    "clock_back",  # the clock jumped back, and the stamps with it
    "bad_frame",  # one frame is rubbish; the next may be fine
    "failed",  # the source cannot be used: no more frames
]
Severity = Literal["info", "warning", "error"]

SEVERITIES: dict[Kind, Severity] = {
    "opened": "info",
    "ended": "info",
    "stalled": "warning",
    "broken": "warning",
    "reopened": "info",
    "size_changed": "warning",
    "doubtful": "warning",
    "clock_back": "warning",
    "bad_frame": "warning",
    "failed": "error",
}
FINAL: tuple[Kind, ...] = ("ended", "failed")
"""Exactly one of these comes last, unless the loop is stopped before."""


@dataclass(frozen=True)
class CameraEvent:
    """One thing that happened to a source; `str(event)` is the line for people."""

    kind: Kind
    message: str
    source: str  # as configured, without a password

    @property
    def severity(self) -> Severity:
        """How much it matters."""
        return SEVERITIES[self.kind]

    def __str__(self) -> str:
        target = self.source.partition(":")[2].partition("?")[0]
        return f"{self.source}: {self.message.removeprefix(f'{target}: ')}"  # said once
