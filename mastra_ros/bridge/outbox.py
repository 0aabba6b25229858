"""What waits for the socket: control first, live packets, records, and last the backlog."""

from __future__ import annotations

import asyncio
from collections import deque

from ..types import FrameKey
from .flight import Entry


class Outbox:
    """A queue with four classes, for one asyncio loop; bounded by what is in flight."""

    def __init__(self) -> None:
        self._control: deque[bytes] = deque()
        self._live: dict[FrameKey, Entry] = {}
        self._records: deque[bytes] = deque()
        self._backlog: dict[FrameKey, Entry] = {}
        self._filled = asyncio.Event()

    @property
    def live_waiting(self) -> bool:
        """Whether a live packet waits."""
        return bool(self._live)

    @property
    def records_waiting(self) -> int:
        """Messages with records, and pieces of sets, that wait."""
        return len(self._records)

    def put_control(self, data: bytes) -> None:
        """Queue a small message that goes before all packets."""
        self._control.append(data)
        self._filled.set()

    def put_live(self, entry: Entry) -> None:
        """Queue a live packet."""
        self._live[entry.packet.key] = entry
        self._filled.set()

    def put_records(self, data: bytes) -> None:
        """Queue a message with records."""
        self._records.append(data)
        self._filled.set()

    def put_backlog(self, entry: Entry) -> None:
        """Queue a packet of the spool."""
        self._backlog[entry.packet.key] = entry
        self._filled.set()

    def withdraw(self, key: FrameKey) -> bool:
        """Take a live packet out again, if it still waits."""
        return self._live.pop(key, None) is not None

    async def get(self) -> bytes | Entry:
        """What goes next; waits until there is something."""
        while True:
            if self._control:
                return self._control.popleft()
            if self._live:
                return self._live.pop(next(iter(self._live)))
            if self._records:
                return self._records.popleft()
            if self._backlog:
                return self._backlog.pop(next(iter(self._backlog)))
            self._filled.clear()
            await self._filled.wait()
