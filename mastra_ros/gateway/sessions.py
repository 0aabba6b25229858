"""The open sessions: at most one a stream, and at most so many."""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

logger = logging.getLogger(__name__)


class OpenSession(Protocol):
    """What is needed of a session."""

    def end(self, code: str, text: str) -> None:
        """Say goodbye for the reason `code` and hang up soon."""
        ...


class Sessions:
    """Knows who is connected; used from the event loop."""

    def __init__(self, sessions_max: int) -> None:
        self._sessions_max = sessions_max
        self._connected: set[OpenSession] = set()
        self._streams: dict[tuple[str, str], OpenSession] = {}
        self._empty = asyncio.Event()
        self._empty.set()
        self.closing = False

    def __len__(self) -> int:
        return len(self._connected)

    @property
    def full(self) -> bool:
        """Whether no more may connect."""
        return self.closing or len(self._connected) >= self._sessions_max

    def connect(self, session: OpenSession) -> None:
        """Count a connection."""
        self._connected.add(session)
        self._empty.clear()

    def claim(self, device: str, stream: str, session: OpenSession) -> None:
        """Give a stream to the session; the one that had it is the remains of a lost link."""
        before = self._streams.get((device, stream))
        self._streams[device, stream] = session
        if before is not None:
            before.end("replaced", f"{device} has connected again")

    def disconnect(self, session: OpenSession) -> None:
        """Forget a connection."""
        self._connected.discard(session)
        for key in [key for key, holder in self._streams.items() if holder is session]:
            del self._streams[key]
        if not self._connected:
            self._empty.set()

    async def close(self, timeout_s: float) -> None:
        """Let every session say goodbye, and wait for them."""
        self.closing = True
        for session in list(self._connected):
            session.end("closing", "the gateway stops")
        try:
            await asyncio.wait_for(self._empty.wait(), timeout_s)
        except asyncio.TimeoutError:
            logger.warning("%d sessions did not end in %g s", len(self._connected), timeout_s)
