"""One relayed connection: two sockets and a lane in each direction."""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import struct
from collections.abc import Callable

from .faults import LinkShape
from .lane import Lane, Serialiser

logger = logging.getLogger(__name__)

BUFFER_BYTES = 131_072
"""Kernel buffer of each socket: small, so that a slow link is felt and not hidden in buffers."""


def listen(host: str, port: int) -> socket.socket:
    """A listening TCP socket for an event loop; OSError or OverflowError without such a port."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        listener.bind((host, port))
        listener.listen(128)
    except BaseException:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


class Connection:
    """Relays between `client` and a new connection to `upstream` until both directions end.

    When one side breaks, the other is reset. `lose()` stops relaying but leaves the sockets
    open and silent, as a cut cable does; `bury()` then resets both.
    """

    def __init__(
        self,
        client: socket.socket,
        upstream: tuple[str, int],
        serialisers: tuple[Serialiser, Serialiser],
        shape: Callable[[], LinkShape],
        moving: tuple[asyncio.Event, asyncio.Event],
        rng: random.Random,
    ) -> None:
        client.setblocking(False)
        self._upstream = upstream
        self._serialisers = serialisers
        self._shape = shape
        self._moving = moving
        self._rng = rng
        self._sockets = [client]
        self._task: asyncio.Task[None] | None = None
        self._lanes: tuple[Lane, Lane] | None = None

    @property
    def carried_bytes(self) -> tuple[int, int]:
        """Bytes delivered so far, up and down."""
        if self._lanes is None:
            return 0, 0
        return self._lanes[0].carried_bytes, self._lanes[1].carried_bytes

    def start(self, ended: Callable[[Connection], None]) -> None:
        """Relay in a task; `ended(self)` is called when the connection is over by itself."""
        self._task = asyncio.ensure_future(self._relay())

        def close(task: asyncio.Task[None]) -> None:
            if task.cancelled():
                return
            if (error := task.exception()) is not None:
                logger.debug("connection to %s:%d broke: %s", *self._upstream, error)
            self._close(reset=error is not None)
            ended(self)

        self._task.add_done_callback(close)

    def lose(self) -> None:
        """Let nothing more through, and tell nobody."""
        if self._task is not None:
            self._task.cancel()

    async def bury(self) -> None:
        """Reset both ends of a lost connection."""
        if self._task is not None:
            # A socket may be closed only when the loop no longer watches it.
            await asyncio.gather(self._task, return_exceptions=True)
        self._close(reset=True)

    async def _relay(self) -> None:
        client = self._sockets[0]
        server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._sockets.append(server)
        server.setblocking(False)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        for sock in (client, server):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(server, self._upstream)
        up, down = self._serialisers
        up_moving, down_moving = self._moving
        self._lanes = (
            Lane(client, server, up, self._shape, lambda link: link.up, up_moving, self._rng),
            Lane(server, client, down, self._shape, lambda link: link.down, down_moving, self._rng),
        )
        directions = [asyncio.ensure_future(lane.run()) for lane in self._lanes]
        try:
            await asyncio.gather(*directions)
        finally:
            for direction in directions:
                direction.cancel()
            await asyncio.gather(*directions, return_exceptions=True)

    def _close(self, *, reset: bool) -> None:
        for sock in self._sockets:
            if reset and sock.fileno() != -1:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.close()
