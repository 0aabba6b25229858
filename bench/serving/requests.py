"""Clients of HTTP that send requests encoded beforehand, so that what is measured is the server.

    python -m bench.serving.requests PORT CLIENTS SECONDS FOLDER [CA]

FOLDER has whole requests (`*.http`), which each client sends in turn, the next one when the last
is answered; client n begins with the nth. With CA the connections are TLS 1.3. Prints, as JSON, the
times from sending to the end of the answer in ms, how many were not answered with 200 and the first
of those, and how long it took.
"""

from __future__ import annotations

import asyncio
import functools
import json
import re
import ssl
import sys
import time
from pathlib import Path

from mastra_ros.protocol.tls import client_context

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)[ \t]*\r\n", re.IGNORECASE)
CONNECT_S = 20.0


class Client(asyncio.Protocol):
    """One connection with one request on its way."""

    def __init__(self, requests: list[bytes], first: int) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.latencies_ms: list[float] = []
        self.refused = 0
        self.refusal = b""
        self._requests = requests
        self._at = first % len(requests)
        self._until = 0.0
        self._sent = 0.0
        self._buffer = b""
        self._answer_bytes = 0  # 0 until the head is there

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        """See asyncio."""
        if not self.done.done():
            self.done.set_exception(ConnectionError(f"the server has hung up: {error}"))

    def start(self, until: float) -> None:
        """Send until then."""
        self._until = until
        self._send()

    def _send(self) -> None:
        self._sent = time.perf_counter()
        self._transport.write(self._requests[self._at])
        self._at = (self._at + 1) % len(self._requests)

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        self._buffer = self._buffer + data if self._buffer else data
        if not self._answer_bytes:
            end = self._buffer.find(b"\r\n\r\n") + 4
            if end < 4:
                return
            length = _LENGTH.search(self._buffer, 0, end)
            self._answer_bytes = end + int(length[1]) if length else end
        if len(self._buffer) < self._answer_bytes:
            return
        now = time.perf_counter()
        if self._buffer[9:12] == b"200":
            self.latencies_ms.append((now - self._sent) * 1e3)
        else:
            self.refused += 1
            self.refusal = self.refusal or self._buffer[:500]
        self._buffer, self._answer_bytes = b"", 0
        if now < self._until:
            self._send()
        else:
            self.done.set_result(None)


async def load(
    port: int, clients: int, seconds: float, requests: list[bytes], context: ssl.SSLContext | None
) -> dict[str, object]:
    """Drive the server with so many connections; what they saw."""
    loop = asyncio.get_running_loop()
    made = []
    for n in range(clients):
        make = functools.partial(Client, requests, n)
        connecting = loop.create_connection(make, "127.0.0.1", port, ssl=context)
        made.append(await asyncio.wait_for(connecting, CONNECT_S))
    started, cpu = time.perf_counter(), time.process_time()
    for _, client in made:
        client.start(started + seconds)
    await asyncio.gather(*(client.done for _, client in made))
    took_s, cpu_s = time.perf_counter() - started, time.process_time() - cpu
    for transport, _ in made:
        transport.abort()
    refusals = [client.refusal for _, client in made if client.refusal]
    return {
        "latencies_ms": [ms for _, client in made for ms in client.latencies_ms],
        "refused": sum(client.refused for _, client in made),
        "refusal": refusals[0].decode("latin-1") if refusals else "",
        "took_s": took_s,
        "client_cpu_s": cpu_s,
    }


def request(path: str, body: bytes, headers: dict[str, str] | None = None) -> bytes:
    """A whole request."""
    named = {"Host": "localhost", "Content-Length": str(len(body)), **(headers or {})}
    lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + body


def main() -> None:
    """Print what was seen."""
    port, clients, seconds, folder, *ca = sys.argv[1:]
    requests = [path.read_bytes() for path in sorted(Path(folder).glob("*.http"))]
    context = client_context(Path(ca[0])) if ca else None
    seen = asyncio.run(load(int(port), int(clients), float(seconds), requests, context))
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
