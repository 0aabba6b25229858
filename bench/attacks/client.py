"""What attackers use: connections that stop half-way, and devices that say what no device says."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

import httpx
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from mastra_ros.protocol import Hello, Message, Welcome, decode, encode
from mastra_ros.protocol.keys import audience_of, load_device_key
from mastra_ros.protocol.tokens import sign_token

from .healthy import open_websocket, tls_of
from .site import Site

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run an attack that is asynchronous."""
    return asyncio.run(work)


async def tcp(site: Site, source: str, number: int) -> list[socket.socket]:
    """Connections from a loopback address that say nothing; those refused are among them."""
    loop = asyncio.get_running_loop()
    made = []
    for _ in range(number):
        sock = socket.socket()
        sock.setblocking(False)
        with contextlib.suppress(OSError):
            sock.bind((source, 0))
            await asyncio.wait_for(loop.sock_connect(sock, ("127.0.0.1", site.port)), 5.0)
        made.append(sock)
    return made


async def tls(site: Site, source: str, number: int) -> list[asyncio.StreamWriter]:
    """Connections past their handshake, or as far as they are let; they say nothing more."""
    context = tls_of(site.keys)

    async def one() -> asyncio.StreamWriter | None:
        with contextlib.suppress(OSError, asyncio.TimeoutError, ssl.SSLError):
            opening = asyncio.open_connection(
                "127.0.0.1", site.port, ssl=context, local_addr=(source, 0)
            )
            return (await asyncio.wait_for(opening, 10.0))[1]
        return None

    made: list[asyncio.StreamWriter] = []
    for start in range(0, number, 50):
        writers = await asyncio.gather(*(one() for _ in range(min(50, number - start))))
        made += [writer for writer in writers if writer is not None]
    return made


async def connect_ms(site: Site, device: str = "healthy", host: str = "127.0.0.1") -> float:
    """How long a registered device takes from nothing to its welcome."""
    started = time.perf_counter()
    async with session(site, device, f"new-{time.monotonic_ns()}", host=host):
        return (time.perf_counter() - started) * 1e3


@contextlib.asynccontextmanager
async def session(
    site: Site, device: str, stream: str, *, life_s: float = 300.0, host: str = "127.0.0.1"
) -> AsyncIterator[ClientConnection]:
    """A session past its greeting."""
    async with open_websocket(site.port, site.keys, device, host, life_s) as websocket:
        await websocket.send(encode(Hello(1, device, stream)))
        answer = await hear(websocket)
        if not isinstance(answer, Welcome):
            raise RuntimeError(f"expected Welcome, got {answer}")
        yield websocket


async def hear(websocket: ClientConnection, patience_s: float = 20.0) -> Message | None:
    """The next message of the gateway; None when it hangs up."""
    try:
        data = await asyncio.wait_for(websocket.recv(), patience_s)
    except ConnectionClosed:
        return None
    assert isinstance(data, bytes)
    return decode(data)


async def closes(websocket: ClientConnection, patience_s: float = 20.0) -> list[Message]:
    """What the gateway says until it hangs up; TimeoutError when it does not."""
    heard = []
    until = time.monotonic() + patience_s
    while (message := await hear(websocket, max(0.0, until - time.monotonic()))) is not None:
        heard.append(message)
    return heard


def token(site: Site, device: str, **options: Any) -> str:
    """A fresh token."""
    return sign_token(device, load_device_key(site.keys, device), audience_of(site.keys), **options)


def request(site: Site, path: str, device: str = "evil-1", **options: Any) -> httpx.Response:
    """One request over HTTP."""
    headers = {"Authorization": f"Bearer {token(site, device)}", **options.pop("headers", {})}
    method = options.pop("method", "GET")
    with httpx.Client(
        base_url=f"https://127.0.0.1:{site.port}", verify=tls_of(site.keys), timeout=20.0
    ) as client:
        return client.request(method, path, headers=headers, **options)


def half_request(site: Site, path: str, device: str, announced: int, sent: bytes) -> ssl.SSLSocket:
    """A POST whose body is announced and not sent whole."""
    raw = socket.create_connection(("127.0.0.1", site.port), timeout=20.0)
    wrapped = tls_of(site.keys).wrap_socket(raw, server_hostname="127.0.0.1")
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {announced}\r\n"
        f"Authorization: Bearer {token(site, device)}\r\n\r\n"
    )
    wrapped.sendall(head.encode() + sent)
    return wrapped
