"""Statuses on their way up: the newest first, then those that the gateway missed.

Pure bookkeeping (`StatusHistory`; times are monotonic, in ns), and the part of a session that sends
(`StatusLane`). Nothing is kept on disk: what is older than ten minutes is forgotten.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import StatusError
from ..protocol.statuses import StatusNack, StatusReport
from ..statuses import pack_status
from .flight import SECOND
from .news import News

log = logging.getLogger(__name__)

APART_NS = SECOND
"""No more than one is told in this time; of those that come faster, the newest."""
KEPT_NS = 600 * SECOND
KEPT_BYTES = 2 * 1024 * 1024
SURE_NS = 2 * SECOND
"""What was sent so shortly before the link was lost may not have arrived, and is told again."""
PAST_S = 0.1
"""Pause between two statuses of the past."""


@dataclass
class _Told:
    number: int
    at_ns: int
    body: bytes
    sent: bool = False


class StatusHistory:
    """The statuses of the last minutes, over all sessions of one bridge."""

    def __init__(self) -> None:
        self.run = secrets.randbits(62)
        self._kept: deque[_Told] = deque()
        self._bytes = 0
        self._number = 0
        self._said_ns = -APART_NS

    def put(self, body: bytes, now_ns: int) -> None:
        """A new status; it takes the place of one that came just before it and was not sent."""
        last = self._kept[-1] if self._kept else None
        if last is not None and not last.sent and now_ns - last.at_ns < APART_NS * 9 // 10:
            self._bytes -= len(self._kept.pop().body)
        self._number += 1
        self._kept.append(_Told(self._number, now_ns, body))
        self._bytes += len(body)
        while self._kept and (self._bytes > KEPT_BYTES or now_ns - self._kept[0].at_ns > KEPT_NS):
            self._bytes -= len(self._kept.popleft().body)

    def lost(self, now_ns: int) -> None:
        """A session has ended: what it said last may not have been heard."""
        for told in self._kept:
            if now_ns - told.at_ns < SURE_NS:
                told.sent = False

    def newest(self, now_ns: int) -> StatusReport | None:
        """The newest one, if it is to be sent now."""
        told = self._kept[-1] if self._kept else None
        if told is None or told.sent or now_ns - self._said_ns < APART_NS:
            return None
        self._said_ns = now_ns
        return self._report(told, now_ns)

    def past(self, now_ns: int) -> StatusReport | None:
        """The oldest one that was not sent, beside the newest."""
        for told in self._kept:
            if not told.sent and told is not self._kept[-1]:
                return self._report(told, now_ns)
        return None

    def _report(self, told: _Told, now_ns: int) -> StatusReport:
        told.sent = True
        ago_ms = max(0, (now_ns - told.at_ns) // 1_000_000)
        return StatusReport(self.run, told.number, told.body, ago_ms)


class Statuses:
    """What a device tells of itself, and what the gateway says to that; in the bridge's loop."""

    def __init__(self) -> None:
        self.history = StatusHistory()
        self.refused = 0
        self._news = News()

    def put(self, status: Mapping[str, Any]) -> None:
        """A new status; what makes none, or is too large, is said and skipped."""
        now_ns = time.monotonic_ns()
        try:
            self.history.put(pack_status(status), now_ns)
        except StatusError as error:
            if line := self._news.line(str(error), now_ns):
                log.error("bridge: %s", line)

    def refuse(self, nack: StatusNack) -> None:
        """The gateway does not take one."""
        self.refused += 1
        text = f"a status is refused: {nack.code} {nack.text}".rstrip()
        if line := self._news.line(text, time.monotonic_ns()):
            log.warning("bridge: %s", line)


class StatusLane:
    """Sends the statuses of `history` in one session.

    send(message): queues it. quiet(): whether the link has room beside live packets.
    """

    def __init__(
        self,
        history: StatusHistory,
        *,
        send: Callable[[StatusReport], None],
        quiet: Callable[[], bool],
    ) -> None:
        self._history = history
        self._send = send
        self._quiet = quiet

    async def run(self) -> None:
        """Send until cancelled."""
        try:
            while True:
                now_ns = time.monotonic_ns()
                report = self._history.newest(now_ns)
                if report is None and self._quiet():
                    report = self._history.past(now_ns)
                if report is not None:
                    self._send(report)
                await asyncio.sleep(PAST_S)
        finally:
            self._history.lost(time.monotonic_ns())
