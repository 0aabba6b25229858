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

    @property
    def bytes_kept(self) -> int:
        """Memory of the pictures kept."""
        ...

    def decode(self, packet: Packet) -> Frame:
        """The frame; CodecError, or ReferenceMissing when the stream needs a key frame."""
        ...


class _Stream:
    """One stream's decoder, run off the event loop, one packet after the other."""

    def __init__(self, decoder: PacketDecoder) -> None:
        self.turn = asyncio.Lock()
        self.bytes_kept = 0
        self._decoder = decoder

    def decode(self, packet: Packet) -> Frame:
        try:
            return self._decoder.decode(packet)
        finally:
            self.bytes_kept = self._decoder.bytes_kept


class References:
    """Decoders by (device, stream), bounded in number and memory; used from the event loop."""

    def __init__(
        self,
        make: Callable[[], PacketDecoder],
        executor: Executor,
        *,
        streams_max: int,
        bytes_max: int,
    ) -> None:
        self._make = make
        self._executor = executor
        self._streams_max = streams_max
        self._bytes_max = bytes_max
        self._streams: OrderedDict[tuple[str, str], _Stream] = OrderedDict()

    def __len__(self) -> int:
        return len(self._streams)

    @property
    def bytes_kept(self) -> int:
        """Memory of all pictures kept."""
        return sum(stream.bytes_kept for stream in self._streams.values())

    async def decode(self, device: str, packet: Packet) -> Frame:
        """Decode in the executor; CodecError or ReferenceMissing as the decoder says."""
        key = (device, packet.key.stream)
        stream = self._streams.get(key)
        if stream is None:
            stream = self._streams[key] = _Stream(self._make())
        self._streams.move_to_end(key)
        try:
            async with stream.turn:
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(self._executor, stream.decode, packet)
        finally:
            self._trim()

    def _trim(self) -> None:
        """Drop the streams used least recently; the last one used always stays."""
        while len(self._streams) > 1 and (
            len(self._streams) > self._streams_max or self.bytes_kept > self._bytes_max
        ):
            self._streams.popitem(last=False)
