"""The decoders of all streams: each holds the pictures that the stream's deltas refer to.

They outlive a session, so that a device that reconnects goes on with deltas. Kept are those of
the streams used last; a stream that is dropped continues with a key frame.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Protocol

from ..types import Frame, Packet


class PacketDecoder(Protocol):
    """What is needed of a `compression.Decoder`; used by one thread at a time."""

    def decode(self, packet: Packet) -> Frame:
        """The frame; CodecError, or ReferenceMissing when the stream needs a key frame."""
        ...


class StreamDecoder:
    """One stream's decoder, run in an executor, one packet after the other."""

    def __init__(self, decoder: PacketDecoder, executor: Executor) -> None:
        self._decoder = decoder
        self._executor = executor
        self._turn = asyncio.Lock()

    async def decode(self, packet: Packet) -> Frame:
        """Decode off the event loop."""
        loop = asyncio.get_running_loop()
        async with self._turn:
            return await loop.run_in_executor(self._executor, self._decoder.decode, packet)


class References:
    """Decoders by (device, stream), least recently used dropped first."""

    def __init__(
        self, make: Callable[[], PacketDecoder], executor: Executor, streams_max: int
    ) -> None:
        self._make = make
        self._executor = executor
        self._streams_max = streams_max
        self._decoders: OrderedDict[tuple[str, str], StreamDecoder] = OrderedDict()

    def of(self, device: str, stream: str) -> StreamDecoder:
        """The decoder of a stream, made when there is none."""
        key = (device, stream)
        decoder = self._decoders.get(key)
        if decoder is None:
            decoder = self._decoders[key] = StreamDecoder(self._make(), self._executor)
        self._decoders.move_to_end(key)
        while len(self._decoders) > self._streams_max:
            self._decoders.popitem(last=False)
        return decoder

    def __len__(self) -> int:
        return len(self._decoders)
