"""Who leaves takes its buffers along at once; the garbage collector is not waited for."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mastra_ros.gateway.door.acceptor import Acceptor, Guest, listen
from mastra_ros.gateway.door.greeting import Greeting
from mastra_ros.gateway.door.http import HttpServer
from mastra_ros.gateway.door.websocket import WebSocketServer
from mastra_ros.protocol.tls import server_context

DEADLINE_S = 30.0
GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
UPGRADE = (
    b"GET /v1/stream HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    b"Sec-WebSocket-Version: 13\r\n\r\n"
)


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Accepts whoever comes, and listens until it has gone."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b""})
        return
    await receive()
    await send({"type": "websocket.accept"})
    while (await receive())["type"] != "websocket.disconnect":
        pass


def acceptor_of(keys: Path, seen: set[type]) -> Acceptor:
    def http(acceptor: Acceptor, guest: Guest, transport: asyncio.Transport) -> HttpServer:
        seen.add(type(transport))
        return HttpServer(acceptor, guest, transport, app)

    def websocket(a: Acceptor, guest: Guest, transport: asyncio.Transport) -> WebSocketServer:
        seen.add(type(transport))
        return WebSocketServer(a, guest, transport, app, 100_000)

    return Acceptor(
        listen("127.0.0.1", 0),
        server_context(keys / "server.crt", keys / "server.key"),
        admits=lambda _: True,
        make_protocol=lambda a, guest: Greeting(a, guest, http=http, websocket=websocket),
    )


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def visit(port: int, tls: ssl.SSLContext, first: bytes) -> None:
    """Come, be answered, and hang up."""
    with (
        socket.create_connection(("127.0.0.1", port), DEADLINE_S) as plain,
        closing(tls.wrap_socket(plain, server_hostname="127.0.0.1")) as secure,
    ):
        secure.sendall(first)
        assert secure.recv(1000).startswith(b"HTTP/1.1 ")


@pytest.mark.parametrize("first", [GET, UPGRADE])
def test_who_has_left_is_forgotten_at_once(
    keys: Path, tls: ssl.SSLContext, no_collector: None, first: bytes
) -> None:
    async def main() -> None:
        seen: set[type] = set()
        acceptor = acceptor_of(keys, seen)
        acceptor.start()
        for _ in range(5):
            await asyncio.to_thread(visit, acceptor.port, tls, first)
        assert seen

        async def all_forgotten() -> None:
            while len(acceptor) or any(type(one) in seen for one in gc.get_objects()):
                await asyncio.sleep(0.05)

        await asyncio.wait_for(all_forgotten(), DEADLINE_S)
        acceptor.close()

    asyncio.run(main())
