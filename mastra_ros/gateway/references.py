"""The decoders of all streams: each holds the pictures that the stream's deltas refer to.

They outlive a session, so that a device that reconnects goes on with deltas. Kept are those of
the streams used last; a stream that is dropped continues with a key frame.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, Protocol, TypeVar

from ..config import GatewayConfig
from ..types import Frame, Packet

R = TypeVar("R")

HEAVY_PX = 4_000_000
"""Decoding a larger picture takes many times as long as a frame may wait."""


LOOK_S = 10.0
"""Somebody looks at a device for so long after each picture."""


def references_bytes_max(config: GatewayConfig) -> int:
    """Most memory of the references in each process that decodes."""
    in_all = min(config.references_bytes_max, config.memory_bytes_max // 2)
    return in_all if config.processes == 1 else in_all // (1 + len(config.bundles))


def _unchanged(frame: Frame) -> Any:
    return frame


class PacketDecoder(Protocol):
    """What is needed of a `compression.Decoder`; used by one thread at a time."""

    @property
    def bytes_kept(self) -> int:
        """Memory of the pictures kept."""
        ...

    def decode(self, packet: Packet) -> Frame:
        """The frame; CodecError, or ReferenceMissing when the stream needs a key frame."""
        ...

    def forget_oldest(self) -> bool:
        """Keep one picture less, if any; a delta that refers to it costs a key frame."""
        ...


class _Stream:
    """One stream's decoder, run off the event loop, one packet after the other."""

    def __init__(self, decoder: PacketDecoder) -> None:
        self.turn = asyncio.Lock()
        self.bytes_kept = 0
        self.looked_until_s = 0.0  # monotonic
        self.newest: Frame | None = None
        self.newest_s = 0.0  # when that was decoded, monotonic
        self._decoder = decoder
        self._in_use = threading.Lock()

    @property
    def busy(self) -> bool:
        """Whether it decodes, or will next."""
        return self.turn.locked() or self._in_use.locked()

    def decode(self, packet: Packet) -> Frame:
        with self._in_use:
            try:
                frame = self._decoder.decode(packet)
                self.remember(frame)
                return frame
            finally:
                self.bytes_kept = self._decoder.bytes_kept

    def looked(self) -> bool:
        """Whether somebody looks; what was kept for who does no longer is forgotten."""
        if time.monotonic() <= self.looked_until_s:
            return True
        self.newest = None
        return False

    def remember(self, frame: Frame) -> None:
        """Keep the newest frame while somebody looks."""
        if not self.looked():
            return
        if self.newest is None or frame.key.stamp_ns >= self.newest.key.stamp_ns:
            self.newest, self.newest_s = frame, time.monotonic()

    def forget(self, size: int) -> None:
        """Keep so much less, if as much is kept; nothing happens while it decodes."""
        if not self._in_use.acquire(blocking=False):
            return
        try:
            wanted = max(0, self.bytes_kept - size)
            while self.bytes_kept > wanted and self._decoder.forget_oldest():
                self.bytes_kept = self._decoder.bytes_kept
        finally:
            self._in_use.release()


class Turn:
    """When a packet that rests on the one before it may be decoded: after that one."""

    def __init__(self, before: Turn | None) -> None:
        self._before = before
        self._over = asyncio.Event()

    async def come(self) -> None:
        """Wait until whatever came before has been decoded, or never will be."""
        if self._before is not None:
            await self._before._over.wait()
            self._before = None

    def over(self) -> None:
        """The next one may come."""
        self._over.set()

    @property
    def is_over(self) -> bool:
        """Whether nobody need wait for it."""
        return self._over.is_set()


class References:
    """Decoders by (device, stream), bounded in number and memory; used from the event loop."""

    def __init__(
        self,
        make: Callable[[], PacketDecoder],
        executor: Executor,
        *,
        streams_max: int,
        bytes_max: int,
        heavy: Executor | None = None,
    ) -> None:
        """Pictures of more than `HEAVY_PX` are decoded in `heavy`, so that small ones pass."""
        self._heavy = heavy or executor
        self._make = make
        self._executor = executor
        self._streams_max = streams_max
        self._bytes_max = bytes_max
        self._streams: OrderedDict[tuple[str, str], _Stream] = OrderedDict()
        self._turns: dict[tuple[str, str], Turn] = {}

    def __len__(self) -> int:
        return len(self._streams)

    @property
    def bytes_kept(self) -> int:
        """Memory of all pictures kept."""
        return sum(stream.bytes_kept for stream in self._streams.values())

    def turn(self, device: str, stream: str) -> Turn:
        """A place behind all that have come so far of this stream; who has it says `over`."""
        for key, last in list(self._turns.items()):
            if last.is_over:
                del self._turns[key]
        turn = Turn(self._turns.get((device, stream)))
        self._turns[device, stream] = turn
        return turn

    async def decode(
        self, device: str, packet: Packet, then: Callable[[Frame], R] = _unchanged
    ) -> R:
        """Decode in the executor; CodecError or ReferenceMissing as the decoder says.

        `then` is what is done with the frame, in the same thread.
        """
        stream = self.stream(device, packet.key.stream)
        try:
            async with stream.turn:
                loop = asyncio.get_running_loop()
                heavy = packet.width_px * packet.height_px > HEAVY_PX
                executor = self._heavy if heavy else self._executor
                return await loop.run_in_executor(executor, lambda: then(stream.decode(packet)))
        finally:
            self.trim()

    def stream(self, device: str, name: str) -> _Stream:
        """The decoder of one stream, for who decodes in a thread of his own and calls `trim`."""
        key = (device, name)
        stream = self._streams.get(key)
        if stream is None:
            stream = self._streams[key] = _Stream(self._make())
        self._streams.move_to_end(key)
        return stream

    def look(self, device: str, now_s: float) -> Frame | None:
        """The newest frame of a device; None where none has come since somebody looks."""
        streams = [one for (whose, _), one in self._streams.items() if whose == device]
        found: Frame | None = None
        for stream in streams:
            if now_s > stream.looked_until_s:  # what was kept when somebody looked before is old
                stream.newest = None
            stream.looked_until_s = now_s + LOOK_S
            found = stream.newest or found  # the stream that was used last comes last
        return found

    def looked_at_s(self, device: str) -> float:
        """When the newest frame of a device was decoded (monotonic), of those that `look` gives."""
        times_s = (
            one.newest_s
            for (whose, _), one in self._streams.items()
            if whose == device and one.newest is not None
        )
        return max(times_s, default=-math.inf)

    def shrink(self, bytes_max: int) -> None:
        """Keep no more memory than this: the streams used least recently go, of the last a part.

        One that is decoding is passed over, for it may need its reference.
        """
        for key, stream in list(self._streams.items()):
            excess = self.bytes_kept - bytes_max
            if excess <= 0:
                return
            if stream.busy:
                continue
            if key == next(reversed(self._streams)):
                stream.forget(excess)
            else:
                del self._streams[key]

    def trim(self) -> None:
        """Drop the streams used least recently, and pictures beyond the memory allowed."""
        while len(self._streams) > self._streams_max:
            self._streams.popitem(last=False)
        self.shrink(self._bytes_max)
