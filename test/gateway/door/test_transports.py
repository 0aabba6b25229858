"""Connections that end in the midst of their handshakes are no fault of ours."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import socket
import ssl
import struct
import threading
import time
from pathlib import Path
from typing import cast

import httpx
import pytest

from mastra_ros.gateway.door import transports
from mastra_ros.gateway.door.transports import Reader, open_tls, resume
from mastra_ros.gateway.embedded import EmbeddedGateway
from mastra_ros.protocol.tls import server_context

RESET = struct.pack("ii", 1, 0)
ALERT = bytes((21, 3, 3, 0, 2, 2, 40))


def hello_of(context: ssl.SSLContext) -> bytes:
    """The first message of a client."""
    outgoing = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()
    raise AssertionError("the handshake needs no server")


def test_they_leave_no_traceback_and_others_are_served(
    gateway: EmbeddedGateway, tls: ssl.SSLContext
) -> None:
    before = len(gateway.log_path.read_text())
    hello = hello_of(tls)
    for n in range(24):
        with socket.create_connection(("127.0.0.1", gateway.port), 20.0) as sock:
            sock.sendall((hello, hello[:100], hello + ALERT, b"GET / HTTP/1.1\r\n\r\n")[n % 4])
            if n % 2:  # until the gateway has looked at it
                sock.settimeout(0.2)
                with contextlib.suppress(OSError):
                    sock.recv(1)
            if n % 3 == 0:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        with socket.create_connection(("127.0.0.1", gateway.port), 20.0) as plain:
            secure = tls.wrap_socket(plain, server_hostname="localhost")
            if n % 2:
                secure.sendall(b"GET /hea")
            secure.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            secure.close()
        assert httpx.get(f"{gateway.url}/healthz", verify=tls).status_code == 200
    said = gateway.log_path.read_text()[before:]
    assert "Traceback" not in said
    assert "Logging error" not in said


class Halts:
    """Pauses at first, and at whatever it is given, and goes on later, as who has to think does."""

    def __init__(self) -> None:
        self.received = 0
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        assert self.transport is not None
        self.received += len(data)
        self.transport.pause_reading()
        asyncio.get_running_loop().call_later(0.002, resume, self.transport)


class HaltingProtocol(Halts, asyncio.Protocol):
    """With a buffer for each read."""


class HaltingReader(Halts, Reader):
    """With the buffer of all."""


@pytest.mark.parametrize("halts", [HaltingProtocol, HaltingReader])
@pytest.mark.parametrize("size", [2_000, 20_000, 1_000_007])
def test_who_pauses_is_given_all_that_was_sent_before_the_client_waits(
    keys: Path,
    tls: ssl.SSLContext,
    size: int,
    halts: type[HaltingProtocol | HaltingReader],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transports, "READ_BYTES", 1 + size // 50)
    monkeypatch.setattr(transports, "_reading", transports._Reading())
    if importlib.util.find_spec("aiofastnet"):  # with so little at once it keeps some each time
        monkeypatch.setattr("aiofastnet.constants.DATA_RECEIVED_MAX_SIZE", 1 + size // 50)
    listener = socket.create_server(("127.0.0.1", 0))
    sent = threading.Event()

    def send() -> None:
        with (
            socket.create_connection(listener.getsockname(), 20.0) as plain,
            tls.wrap_socket(plain, server_hostname="127.0.0.1") as secure,
        ):
            secure.sendall(bytes(size))
            sent.set()
            secure.recv(1)  # until the other side ends

    async def receive() -> int:
        sending = asyncio.create_task(asyncio.to_thread(send))
        sock, _ = await asyncio.to_thread(listener.accept)
        sock.setblocking(False)
        halting = halts()
        context = server_context(keys / "server.crt", keys / "server.key")
        transport = await open_tls(lambda: halting, sock, context, 20.0)
        await asyncio.to_thread(sent.wait, 1.0)  # or as much as the kernel takes
        resume(transport)
        deadline = time.monotonic() + 20.0
        while halting.received < size and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        transport.abort()
        await asyncio.gather(sending, return_exceptions=True)
        return halting.received

    with listener:
        assert asyncio.run(receive()) == size
