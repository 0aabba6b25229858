"""Reads the head of a connection's first request, and hands it to the server that it is for."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import cast

from .acceptor import Acceptor, Guest
from .http import HttpServer
from .transports import Reader
from .websocket import WebSocketServer

HEAD_BYTES_MAX = 16_384

_UPGRADE = re.compile(rb"\r\nupgrade[ \t]*:[ \t]*websocket[ \t]*\r\n", re.IGNORECASE)
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\n\r\n"


class Greeting(Reader):
    """The protocol of a connection until the first head is there; the acceptor's clock runs."""

    def __init__(
        self,
        acceptor: Acceptor,
        guest: Guest,
        *,
        http: Callable[[Acceptor, Guest, asyncio.Transport], HttpServer],
        websocket: Callable[[Acceptor, Guest, asyncio.Transport], WebSocketServer],
    ) -> None:
        self._acceptor = acceptor
        self._guest = guest
        self._http = http
        self._websocket = websocket
        self._head = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self._guest.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        transport = self._guest.transport
        assert transport is not None
        self._head += data
        end = self._head.find(b"\r\n\r\n")
        if end > HEAD_BYTES_MAX or (end < 0 and len(self._head) > HEAD_BYTES_MAX):
            transport.write(_TOO_LARGE)
            transport.close()
        elif end >= 0:
            upgrade = _UPGRADE.search(self._head, 0, end + 2)
            server = (self._websocket if upgrade else self._http)(
                self._acceptor, self._guest, transport
            )
            transport.set_protocol(server)
            server.data_received(bytes(self._head))

    def connection_lost(self, _: Exception | None) -> None:
        """See asyncio."""
        self._acceptor.gone(self._guest)
