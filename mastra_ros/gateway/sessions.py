"""The open sessions: at most one a stream, and at most so many, of all devices and of each."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Protocol

logger = logging.getLogger(__name__)


class OpenSession(Protocol):
    """What is needed of a session."""

    def end(self, code: str, text: str) -> None:
        """Say goodbye for the reason `code` and hang up soon."""
        ...


class Sessions:
    """Knows who is connected; used from the event loop."""

    def __init__(self, sessions_max: int, device_max: int = 0) -> None:
        """`device_max`: of one device, 0 as many as of all; it leaves at least half to others."""
        self._sessions_max = sessions_max
        self._device_max = min(device_max or sessions_max, max(1, sessions_max // 2))
        self._connected: dict[OpenSession, str] = {}
        self._streams: dict[tuple[str, str], OpenSession] = {}
        self._empty = asyncio.Event()
        self._empty.set()
        self.closing = False

    def __len__(self) -> int:
        return len(self._connected)

    def __iter__(self) -> Iterator[OpenSession]:
        return iter(tuple(self._connected))

    @property
    def streams(self) -> list[tuple[str, str]]:
        """Device and stream of each session that has greeted."""
        return sorted(self._streams)

    def refuses(self, device: str) -> str:
        """Why one more session of this device may not be opened now; empty when it may."""
        if self.closing:
            return "the gateway stops"
        if len(self._connected) >= self._sessions_max:
            return f"{len(self._connected)} sessions are open"
        own = sum(holder == device for holder in self._connected.values())
        if own >= self._device_max:
            return f"{own} sessions of this device are open"
        return ""

    def connect(self, session: OpenSession, device: str) -> None:
        """Count a connection, before anything is awaited after `refuses`."""
        self._connected[session] = device
        self._empty.clear()

    def claim(self, device: str, stream: str, session: OpenSession) -> None:
        """Give a stream to the session; the one that had it is the remains of a lost link."""
        before = self._streams.get((device, stream))
        self._streams[device, stream] = session
        if before is not None:
            before.end("replaced", f"{device} has connected again")

    def disconnect(self, session: OpenSession) -> None:
        """Forget a connection."""
        self._connected.pop(session, None)
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
