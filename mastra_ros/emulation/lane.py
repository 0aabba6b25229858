"""One direction of a relayed connection: a serialiser (rate, trace), then a delay line."""

from __future__ import annotations

import asyncio
import math
import random
import socket
from collections import deque
from collections.abc import Callable

from .faults import DirectionShape, LinkShape
from .loss import SEGMENT_BYTES, Losses
from .trace import OPPORTUNITY_BYTES, TraceCursor

CHUNK_BYTES = 65_536
SLICE_S = 0.005
"""At a limited rate bytes move in slices of so much time, so that a change of rate counts soon."""
SLICE_BYTES_MIN = 256
LAG_S = 0.002
LATE_MAX_S = 0.05
"""A piece taken so soon after the one before was queued; a busy machine wakes at most so late."""
DELAYED_BYTES_MAX = 8 * 1024 * 1024
"""Bytes on their way in the delay line before reading stops."""


class Serialiser:
    """Lets bytes of one direction pass one after another, whichever lane they are of.

    clock: the time in s on the clock of the faults, which traces follow.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._free_at_s = 0.0
        self._woke_at_s = -math.inf  # after the last wait
        self._cursor = TraceCursor()

    async def pace(self, size_bytes: int, shape: DirectionShape) -> None:
        """Wait until `size_bytes` have passed in this shape."""
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        # A piece that was queued while we slept must not pay for our waking late.
        queued = now_s - self._woke_at_s < LAG_S
        self._free_at_s = max(self._free_at_s, now_s - LATE_MAX_S if queued else now_s)
        self._free_at_s += size_bytes * 8 / shape.rate_bps
        if shape.trace is not None:
            clock_s = self._clock()
            into_s = clock_s - shape.trace_start_s
            through_s = self._cursor.finish_s(shape.trace, size_bytes, into_s) - into_s
            self._free_at_s = max(self._free_at_s, now_s + through_s)
        if self._free_at_s > now_s:
            await asyncio.sleep(self._free_at_s - now_s)
            self._woke_at_s = loop.time()


def slice_bytes(shape: DirectionShape) -> int:
    """How many bytes to move at once in this shape."""
    most = CHUNK_BYTES if shape.trace is None else OPPORTUNITY_BYTES
    if not math.isinf(shape.rate_bps):
        most = int(min(max(shape.rate_bps * SLICE_S / 8, SLICE_BYTES_MIN), most))
    # Whole segments are lost, whatever the slices.
    return most if shape.loss == 0 else max(most // SEGMENT_BYTES, 1) * SEGMENT_BYTES


class Lane:
    """Carries bytes from `source` to `sink` in order, shaped by what `shape()` says at the moment.

    Bytes wait for their turn at the rate, then spend the delay. While they wait for the rate
    nothing more is read, so that the sender feels the back-pressure of a slow link. The end
    of the stream travels like the bytes before it. `way` picks this direction out of a link.
    """

    def __init__(
        self,
        source: socket.socket,
        sink: socket.socket,
        serialiser: Serialiser,
        shape: Callable[[], LinkShape],
        way: Callable[[LinkShape], DirectionShape],
        moving: asyncio.Event,
        rng: random.Random,
    ) -> None:
        self._source = source
        self._sink = sink
        self._serialiser = serialiser
        self._link = shape
        self._way = way
        self._moving = moving
        self._rng = rng
        self._loop = asyncio.get_running_loop()
        self._line: deque[tuple[float, bytes]] = deque()
        self._line_bytes = 0
        self._last_release_s = 0.0
        self._changed = asyncio.Event()
        self.carried_bytes = 0

    def _shape(self) -> DirectionShape:
        return self._way(self._link())

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
        while True:
            while self._line_bytes >= DELAYED_BYTES_MAX:
                self._changed.clear()
                await self._changed.wait()
            await self._moving.wait()
            wanted = slice_bytes(self._shape())
            data = await self._loop.sock_recv(self._source, wanted)
            if not data:
                self._delay(data, more=False)
                return
            more = len(data) == wanted
            # The link may have become slow while we waited for the data.
            while data:
                await self._moving.wait()
                size = slice_bytes(self._shape())
                piece, data = data[:size], data[size:]
                await self._serialiser.pace(len(piece), self._shape())
                self._delay(piece, more=more or bool(data))

    def _delay(self, data: bytes, *, more: bool) -> None:
        """Put data in the delay line; `more`: other bytes follow close behind."""
        link = self._link()
        way = self._way(link)
        losses = Losses(way.loss, link.rtt_s, link.rttvar_s, self._rng)
        for piece, late_s in losses.pieces(data, more=more):
            wait_s = way.delay_s + way.jitter_s * self._rng.random() + late_s
            # A delay that shrinks must not let later bytes overtake earlier ones.
            self._last_release_s = max(self._last_release_s, self._loop.time() + wait_s)
            self._line.append((self._last_release_s, piece))
            self._line_bytes += len(piece)
        self._changed.set()

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
