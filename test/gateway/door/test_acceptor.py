"""Connections from their accept to their handshake, on real sockets."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

from mastra_ros.gateway.door.acceptor import Acceptor, listen
from mastra_ros.protocol.tls import server_context

DEADLINE_S = 30.0


async def refused_of(keys: Path, number: int) -> list[str]:
    """Why these are refused that connect, and hang up before anybody has looked at them."""
    refused: list[str] = []
    acceptor = Acceptor(
        listen("127.0.0.1", 0),
        server_context(keys / "server.crt", keys / "server.key"),
        admits=lambda _: True,
        make_protocol=lambda *_: asyncio.Protocol(),
        on_refused=refused.append,
    )
    for _ in range(number):
        socket.create_connection(("127.0.0.1", acceptor.port), DEADLINE_S).close()
    acceptor.start()
    last = socket.create_connection(("127.0.0.1", acceptor.port), DEADLINE_S)
    with last:
        last.sendall(b"no TLS")  # the last to come is the last to be accepted
        last.setblocking(False)
        await asyncio.wait_for(asyncio.get_running_loop().sock_recv(last, 1), DEADLINE_S)

        async def empty() -> None:
            while len(acceptor):
                await asyncio.sleep(0.01)

        await asyncio.wait_for(empty(), DEADLINE_S)
    acceptor.close()
    return refused


def test_connections_that_have_gone_before_they_say_anything_cost_no_handshake(keys: Path) -> None:
    assert asyncio.run(refused_of(keys, 40)) == ["tls"]  # of the one that has said something
