"""Devices that send frames encoded beforehand, so that what is measured is the server.

    python -m bench.serving.stream PORT KEYS DEVICE DEVICES SECONDS SIDE_PX [RATE]

With RATE they send so many frames a second, all together, whether or not those before were
answered. Without, each keeps `IN_FLIGHT` key frames in flight on a connection of its own. All
frames are different JPEG pictures, in the messages of the protocol; only the id is written anew
into the bytes. Of the answers the type is read, as they come in the order of the frames. Prints,
as JSON, the times from sending to acknowledgement in ms, how many were refused, and how long it
took.
"""

from __future__ import annotations

import asyncio
import functools
import json
import ssl
import struct
import sys
import time
from collections import deque
from pathlib import Path

import numpy as np

from bench.tiny_model import TINY_PX
from mastra_ros.compression import Encoder
from mastra_ros.config import CompressionConfig
from mastra_ros.privacy import hiding_nothing
from mastra_ros.protocol import Ack, FrameMessage, Hello, Nack, decode, encode
from mastra_ros.protocol.keys import audience_of, load_device_key
from mastra_ros.protocol.tls import client_context
from mastra_ros.protocol.tokens import sign_token
from mastra_ros.types import Frame, FrameKey

IN_FLIGHT = 2
PICTURES = 64
FIRST_STAMP_NS = 1_700_000_000_000_000_000
ID_DIGITS = 12
GATE = hiding_nothing("drawn pictures; nobody is on them")
_REQUEST = (
    "GET /v1/stream HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
    "Authorization: Bearer {token}\r\n\r\n"
)


def framed(data: bytes) -> bytearray:
    """A masked frame of a WebSocket; its mask is zero, which changes nothing."""
    size = len(data)
    if size < 126:
        head = struct.pack(">BB", 0x82, 0x80 | size)
    elif size < 65_536:
        head = struct.pack(">BBH", 0x82, 0x80 | 126, size)
    else:
        head = struct.pack(">BBQ", 0x82, 0x80 | 127, size)
    return bytearray(head + bytes(4) + data)


def pictures(stream: str, side_px: int = TINY_PX) -> list[tuple[bytearray, int]]:
    """Frames as they are sent, and where in them the digits of the id stand."""
    rng = np.random.default_rng(1)
    encoder = Encoder(CompressionConfig(codec="jpeg"), stream)
    gate = hiding_nothing("drawn pictures")
    frame_id = "#" * ID_DIGITS
    made = []
    for n in range(PICTURES):
        image = np.full((side_px, side_px), n // 2, np.uint8)
        rows, columns = rng.integers(0, side_px // 8, (2, 6)) * 8
        for row, column in zip(rows, columns, strict=True):
            image[row : row + 8, column : column + 8] = rng.integers(256)
        key = FrameKey(stream, FIRST_STAMP_NS + n, frame_id)
        packet = encoder.encode(gate.clear(Frame(key, image, "mono8")))
        data = framed(encode(FrameMessage.from_packet(packet)))
        made.append((data, data.rindex(frame_id.encode())))
        encoder.forget()
    return made


class Device(asyncio.Protocol):
    """One connection: greets, then sends until it is told to stop."""

    def __init__(
        self, token: str, device: str, stream: str, frames: list[tuple[bytearray, int]]
    ) -> None:
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.latencies_ms: list[float] = []
        self.refused = 0
        self.until = 0.0
        self._request = _REQUEST.format(token=token).encode()
        self._hello = framed(encode(Hello(1, device, stream)))
        self._pictures = frames
        self._sent: deque[float] = deque()
        self._number = 0
        self._buffer = bytearray()
        self._upgraded = False
        self._period_s = self._due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._request)

    def connection_lost(self, error: Exception | None) -> None:
        """See asyncio."""
        for future in (self.ready, self.done):
            if not future.done():
                future.set_exception(ConnectionError(f"the gateway has hung up: {error}"))

    def start(self, until: float, period_s: float = 0.0, first_s: float = 0.0) -> None:
        """Keep frames in flight until then, or send one each period, the first after `first_s`."""
        self.until = until
        if period_s:
            self._period_s = period_s
            self._due = asyncio.get_running_loop().time() + first_s
            asyncio.get_running_loop().call_at(self._due, self._send_on_time)
            return
        for _ in range(IN_FLIGHT):
            self._send()

    def _send_on_time(self) -> None:
        if time.perf_counter() >= self.until:
            self._end()
            return
        self._due += self._period_s
        asyncio.get_running_loop().call_at(self._due, self._send_on_time)
        self._send()

    def _end(self) -> None:
        if not self._sent and not self.done.done():
            self.done.set_result(None)

    def _send(self) -> None:
        self._number += 1
        data, at = self._pictures[self._number % PICTURES]
        data[at : at + ID_DIGITS] = b"%0*d" % (ID_DIGITS, self._number)
        self._sent.append(time.perf_counter())
        self._transport.write(bytes(data))

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        self._buffer += data
        if not self._upgraded:
            head, found, rest = self._buffer.partition(b"\r\n\r\n")
            if not found:
                return
            if b" 101 " not in head[:20]:
                self.connection_lost(ConnectionError(bytes(head[:100]).decode("latin-1")))
                return
            self._upgraded, self._buffer = True, rest
            self._transport.write(self._hello)
        at = 0
        while (end := self._end_of(at)) is not None:
            self._heard(end[0], end[1])
            at = end[1]
        del self._buffer[:at]

    def _end_of(self, at: int) -> tuple[int, int] | None:
        """Where the payload that begins with the frame at `at` begins and ends, if it is here."""
        left = len(self._buffer) - at
        if left < 2:
            return None
        size, start = self._buffer[at + 1], at + 2
        if size == 126:
            if left < 4:
                return None
            size, start = int.from_bytes(self._buffer[at + 2 : at + 4], "big"), at + 4
        return (start, start + size) if len(self._buffer) >= start + size else None

    def _heard(self, start: int, end: int) -> None:
        kind = self._buffer[start + 1]
        if kind == Ack.TYPE_ID:
            sent = self._sent.popleft()
            now = time.perf_counter()
            self.latencies_ms.append((now - sent) * 1e3)
            self._next(now)
        elif kind == Nack.TYPE_ID:
            self._sent.popleft()
            self.refused += 1
            self._next(time.perf_counter())
        elif not self.ready.done():
            decode(bytes(self._buffer[start:end]))
            self.ready.set_result(None)

    def _next(self, now: float) -> None:
        if now >= self.until:
            self._end()
        elif not self._period_s:
            self._send()


async def load(
    port: int,
    keys: Path,
    name: str,
    devices: int,
    seconds: float,
    side_px: int,
    rate: float = 0.0,
) -> dict[str, object]:
    """Drive the gateway with so many connections; what they saw."""
    loop = asyncio.get_running_loop()
    key, audience = load_device_key(keys, name), audience_of(keys)
    context: ssl.SSLContext = client_context(keys / "ca.crt")
    run = time.time_ns()
    # All before the first connects, which would be taken for dead meanwhile. What is different is
    # the name of the stream alone, which is written into copies.
    first = f"{run}-0000"
    ready = pictures(first, side_px)
    encoded = {
        stream: [(data.replace(first.encode(), stream.encode()), at) for data, at in ready]
        for stream in (f"{run}-{n:04}" for n in range(devices))
    }
    made = []
    for stream, frames in encoded.items():
        token = sign_token(name, key, audience)
        made_one = functools.partial(Device, token, name, stream, frames)
        transport, device = await loop.create_connection(
            made_one,
            "127.0.0.1",
            port,
            ssl=context,
        )
        await asyncio.wait_for(device.ready, 20.0)
        made.append((transport, device))
    started = time.perf_counter()
    cpu = time.process_time()
    period_s = devices / rate if rate else 0.0
    for place, (_, device) in enumerate(made):
        device.start(started + seconds, period_s, place * period_s / devices)
    await asyncio.gather(*(device.done for _, device in made))
    took_s, cpu_s = time.perf_counter() - started, time.process_time() - cpu
    for _, device in made:
        if not device.done.done():
            await device.done
    for transport, _ in made:
        transport.abort()
    latencies = [ms for _, device in made for ms in device.latencies_ms]
    return {
        "latencies_ms": latencies,
        "refused": sum(device.refused for _, device in made),
        "took_s": took_s,
        "client_cpu_s": cpu_s,
    }


def main() -> None:
    """Print what was seen."""
    port, keys, name, devices, seconds, side_px, *rate = sys.argv[1:]
    rates = [float(one) for one in rate]
    seen = asyncio.run(
        load(int(port), Path(keys), name, int(devices), float(seconds), int(side_px), *rates)
    )
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
