"""What a device says: messages into events of its session, in order.

Most messages are heard in the call in which their bytes have come. Large ones are decoded off the
event loop; those that come meanwhile, and those of a device that says very much at once, wait in
the connection, and are taken from there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from starlette.websockets import WebSocket

from ..errors import ProtocolError
from ..protocol import Event, Session, State, decode
from .door.websocket import FAULT, HEAR
from .memory import Account
from .metrics import Metrics

LARGE_BYTES = 262_144
"""Larger messages are decoded off the event loop."""
TURN_MAX = 16
"""Messages of one device that are taken in before others have a turn."""


class Incoming:
    """Reads one connection."""

    def __init__(
        self,
        websocket: WebSocket,
        protocol: Session,
        memory: Account,
        metrics: Metrics,
        *,
        bytes_max: int,
        handle: Callable[[Event], None],
        refuse: Callable[[str], None],
        on_error: Callable[[ProtocolError], None],
        on_fault: Callable[[Exception], None],
        on_gone: Callable[[str], None],
    ) -> None:
        """`refuse(fault)` hears that the connection takes in no more, with nothing for memory."""
        self._websocket = websocket
        self._protocol = protocol
        self._memory = memory
        self._metrics = metrics
        self._bytes_max = bytes_max
        self._handle = handle
        self._refuse = refuse
        self._on_error = on_error
        self._on_fault = on_fault
        self._on_gone = on_gone
        self._busy = False

    def start(self) -> None:
        """Hear messages as they come from now on."""
        self._websocket.scope[HEAR] = self._hear

    def stop(self) -> None:
        """Hear nothing more."""
        self._websocket.scope.pop(HEAR, None)

    def _hear(self, data: bytes) -> bool:
        """Take in a message at once; False when it has to wait for its turn."""
        if self._busy or len(data) >= LARGE_BYTES:
            return False
        try:
            self._metrics.received_bytes.inc(len(data))
            for event in self._protocol.receive(data, time.monotonic_ns()):
                self._handle(event)
        except ProtocolError as error:
            self._on_error(error)
        except Exception as error:  # a fault of ours ends this session, and no more
            self._on_fault(error)
        return True

    async def run(self) -> None:
        """Take in whatever had to wait, until the connection has ended."""
        taken = 0
        while True:
            incoming = await self._websocket.receive()
            if incoming["type"] == "websocket.disconnect":
                self._on_gone(f"code {incoming.get('code', 1005)}")
                return
            data = incoming.get("bytes")
            self._busy = True
            try:
                if data is None:
                    self._refuse(incoming.get(FAULT, "expected binary messages, got text"))
                    return
                self._metrics.received_bytes.inc(len(data))
                for event in await self._events(data):
                    self._handle(event)
            except ProtocolError as error:
                self._on_error(error)
                return
            finally:
                self._busy = False
            taken += 1
            if taken % TURN_MAX == 0:
                await asyncio.sleep(0)

    async def _events(self, data: bytes) -> list[Event]:
        """What one message leads to; a large one costs the others no time."""
        if len(data) < LARGE_BYTES or self._protocol.state is State.CLOSED:
            return self._protocol.receive(data, time.monotonic_ns())
        if not self._memory.take(len(data)):
            self._refuse("")
            return []
        try:
            message = await asyncio.to_thread(decode, data, self._bytes_max)
        finally:
            self._memory.give(len(data))
        return self._protocol.hear(message, time.monotonic_ns())
