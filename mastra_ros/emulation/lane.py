"""One direction of a relayed connection: a serialiser (rate), then a delay line."""

from __future__ import annotations

import asyncio
import math
import socket
from collections import deque
from collections.abc import Callable

from .faults import DirectionShape

CHUNK_BYTES = 65_536
SLICE_S = 0.005
"""At a limited rate bytes move in slices of so much time, so that a change of rate counts soon."""
SLICE_BYTES_MIN = 256
DELAYED_BYTES_MAX = 8 * 1024 * 1024
"""Bytes on their way in the delay line before reading stops."""


class Serialiser:
    """Lets bytes of one direction pass one after another, at a rate, whichever lane they are of."""

    def __init__(self) -> None:
        self._free_at_s = 0.0

    async def pace(self, size_bytes: int, rate_bps: float) -> None:
        """Wait until `size_bytes` have passed at `rate_bps`."""
        now_s = asyncio.get_running_loop().time()
        self._free_at_s = max(self._free_at_s, now_s) + size_bytes * 8 / rate_bps
        if self._free_at_s > now_s:
            await asyncio.sleep(self._free_at_s - now_s)


class Lane:
    """Carries bytes from `source` to `sink` in order, shaped by what `shape()` says at the moment.

    Bytes wait for their turn at the rate, then spend the delay. While they wait for the rate
    nothing more is read, so that the sender feels the back-pressure of a slow link. The end
    of the stream travels like the bytes before it.
    """

    def __init__(
        self,
        source: socket.socket,
        sink: socket.socket,
        serialiser: Serialiser,
        shape: Callable[[], DirectionShape],
        moving: asyncio.Event,
    ) -> None:
        self._source = source
        self._sink = sink
        self._serialiser = serialiser
        self._shape = shape
        self._moving = moving
        self._loop = asyncio.get_running_loop()
        self._line: deque[tuple[float, bytes]] = deque()
        self._line_bytes = 0
        self._changed = asyncio.Event()
        self.carried_bytes = 0

    async def run(self) -> None:
        """Carry until the source ends and its last byte has arrived; OSError when either breaks."""
        intake = asyncio.ensure_future(self._take())
        outlet = asyncio.ensure_future(self._deliver())
        try:
            await asyncio.gather(intake, outlet)
        finally:
            intake.cancel()
            outlet.cancel()
            await asyncio.gather(intake, outlet, return_exceptions=True)

    async def _take(self) -> None:
        last_release_s = 0.0
        while True:
            while self._line_bytes >= DELAYED_BYTES_MAX:
                self._changed.clear()
                await self._changed.wait()
            await self._moving.wait()
            data = await self._loop.sock_recv(self._source, self._slice_bytes())
            await self._moving.wait()
            await self._serialiser.pace(len(data), self._shape().rate_bps)
            # A delay that shrinks must not let later bytes overtake earlier ones.
            last_release_s = max(last_release_s, self._loop.time() + self._shape().delay_s)
            self._line.append((last_release_s, data))
            self._line_bytes += len(data)
            self._changed.set()
            if not data:
                return

    def _slice_bytes(self) -> int:
        rate_bps = self._shape().rate_bps
        if math.isinf(rate_bps):
            return CHUNK_BYTES
        return int(min(max(rate_bps * SLICE_S / 8, SLICE_BYTES_MIN), CHUNK_BYTES))

    async def _deliver(self) -> None:
        while True:
            while not self._line:
                self._changed.clear()
                await self._changed.wait()
            release_s, data = self._line[0]
            wait_s = release_s - self._loop.time()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            await self._moving.wait()
            if not data:
                self._sink.shutdown(socket.SHUT_WR)
                return
            await self._loop.sock_sendall(self._sink, data)
            self._line.popleft()
            self._line_bytes -= len(data)
            self.carried_bytes += len(data)
            self._changed.set()
