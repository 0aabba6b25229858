"""What a device is told: in order, together where that is possible, and within bounds."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from starlette.websockets import WebSocket

from .door.websocket import SAY
from .memory import Account
from .metrics import Metrics

OUTGOING_MAX = 1024
"""Messages that wait for a slow device before it is dropped."""


class Outgoing:
    """Messages that wait to be written. What is said in one turn of the event loop goes at once.

    A connection that takes in nothing at the moment is waited for by `run`.
    """

    def __init__(
        self,
        websocket: WebSocket,
        memory: Account,
        metrics: Metrics,
        on_gone: Callable[[str], None],
    ) -> None:
        """`on_gone(why)` hears that the connection is gone."""
        self._websocket = websocket
        self._memory = memory
        self._metrics = metrics
        self._on_gone = on_gone
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[bytes] = deque()
        self._flushing = False
        self._stuck = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, data: bytes) -> bool:
        """Say this after all that was said; False when too much waits already."""
        if len(self._waiting) >= OUTGOING_MAX or not self._memory.take(len(data)):
            return False
        self._waiting.append(data)
        self._empty.clear()
        if not self._flushing and not self._stuck.is_set():
            self._flushing = True
            self._loop.call_soon(self._flush)
        return True

    def _flush(self) -> None:
        self._flushing = False
        say = self._websocket.scope.get(SAY)
        if not self._waiting or self._stuck.is_set():
            return
        if say is None or not say(self._waiting):
            self._stuck.set()
            return
        self._sent(sum(map(len, self._waiting)))
        self._waiting.clear()
        self._empty.set()

    def _sent(self, size: int) -> None:
        self._memory.give(size)
        self._metrics.sent_bytes.inc(size)

    async def run(self) -> None:
        """Write whatever could not be written at once."""
        while True:
            await self._stuck.wait()
            while self._waiting:
                data = self._waiting[0]
                try:
                    await self._websocket.send_bytes(data)
                except RuntimeError as error:  # the server's word for a connection that is gone
                    self._on_gone(str(error))
                    return
                self._waiting.popleft()
                self._sent(len(data))
            self._stuck.clear()
            self._empty.set()

    async def written(self) -> None:
        """Wait until nothing waits."""
        await self._empty.wait()

    def drop(self) -> None:
        """Forget what waits."""
        self._memory.give(sum(map(len, self._waiting)))
        self._waiting.clear()
