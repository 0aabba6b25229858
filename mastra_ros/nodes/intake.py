"""What became of the messages of one topic: taken, or refused and why."""

from __future__ import annotations

from typing import Literal

Level = Literal["ok", "warn", "error"]

REASON_CHARS = 160
"""Of a reason in the diagnostics; the log has all of it."""


class Intake:
    """Counts, and judges a topic each time that the node reports.

    error: all that came since the last report was refused; warn: some of it. Where nothing came,
    it stays as it was, since a slow source is not a good one.
    """

    def __init__(self) -> None:
        self.refused = 0  # in all
        self._reason = ""
        self._good = 0  # since the last report
        self._bad = 0
        self._level: Level = "ok"

    def took(self) -> None:
        """A message was understood."""
        self._good += 1

    def refuse(self, reason: str) -> None:
        """A message was not."""
        self.refused += 1
        self._bad += 1
        self._reason = reason

    def judge(self) -> tuple[Level, str]:
        """The level, and a line for people unless it is ok."""
        if self._good or self._bad:
            self._level = "ok" if not self._bad else "warn" if self._good else "error"
            self._good = self._bad = 0
        if self._level == "ok":
            return "ok", ""
        share = "all" if self._level == "error" else "some"
        reason = self._reason
        if len(reason) > REASON_CHARS:
            reason = reason[:REASON_CHARS] + "…"
        return self._level, f"{share} messages are refused, {self.refused} so far: {reason}"
