"""Frames of sets on their way up: kept on disk as records are, sent in pieces beside live packets.

Their file is like that of records, and has its own room. Nothing leaves that is not cleared under
today's promise of privacy: a frame that may not leave is cleared anew where that can be, and else
it waits, with those behind it.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from dataclasses import dataclass, replace
from typing import Any

from ..errors import RecordError
from ..protocol import decode, encode
from ..protocol.sets import (
    FRAME_BYTES_MAX,
    PIECE_BYTES_MAX,
    SetHead,
    SetPiece,
    pack_frame,
    packet_of,
    unpack_body,
)
from ..sets import SetFrame
from .clearing import SpoolGate
from .records import RecordLane
from .records.sending import Settlement, Stored

IN_FLIGHT_MAX = 8
"""Frames that are not answered."""
PIECE_S = 0.004
"""How long one piece may take the link."""
PIECE_BYTES_MIN, PIECE_BYTES = 4096, 16_384
"""Of a piece; the second one while it is not known how fast the link is."""
REST_S = 1.0
"""Pause before a frame that may not leave is looked at again."""


def piece_bytes(goodput_bps: float) -> int:
    """How large a piece may be on a link that carries so many bits a second."""
    if math.isnan(goodput_bps):
        return PIECE_BYTES
    return int(min(max(goodput_bps / 8 * PIECE_S, PIECE_BYTES_MIN), PIECE_BYTES_MAX))


@dataclass(frozen=True)
class SetItem:
    """A frame as it is kept on the device."""

    kind: str
    stamp_ns: int
    id: str
    body: bytes

    def packed(self) -> bytes:
        """What is kept of it."""
        return self.body

    @classmethod
    def of(cls, frame: SetFrame, stream: str) -> SetItem:
        """A frame of this device's stream. Raises RecordError, ProtocolError."""
        packet = frame.packet
        if packet is not None and packet.key.stream != stream:
            raise RecordError(f"set: expected stream {stream}, got {packet.key.stream}")
        body = pack_frame(frame, lambda message: encode(message, FRAME_BYTES_MAX))
        if len(body) > FRAME_BYTES_MAX:
            raise RecordError(f"set: expected at most {FRAME_BYTES_MAX} bytes, got {len(body)}")
        stamp_ns = time.time_ns() if packet is None else packet.key.stamp_ns
        return cls(frame.set, stamp_ns, f"{frame.set}/{frame.sequence}", body)


class SetLane(RecordLane):
    """Sends what waits; see RecordLane. `gate` says what may leave."""

    def __init__(self, *args: Any, gate: SpoolGate, **more: Any) -> None:
        super().__init__(*args, in_flight_max=IN_FLIGHT_MAX, **more)
        self._gate = gate
        self._rest_until_s = 0.0

    @property
    def waiting(self) -> int:
        """Frames that wait on this device."""
        return self._spool.stats.waiting

    async def _send_some(self) -> bool:
        sending = self._sending
        if not self._spool.stats.waiting or time.monotonic() < self._rest_until_s:
            return False
        if self._settling:
            await asyncio.wait(self._settling)
        if not sending.may_send(time.monotonic_ns()):
            return False
        batch = await asyncio.wrap_future(self._spool.next_batch(sending.position, 1, 1))
        if not batch:
            return False
        (stored,) = batch
        try:
            body = await self._cleared(stored)
        except RecordError as error:  # nobody could read it, and nothing behind it would ever go
            self._on_refused(f"{stored.kind} {stored.seq}: {error}")
            dropped = Settlement(stored.epoch, dropped=((stored.kind, stored.seq),))
            await asyncio.wrap_future(self._spool.settle(dropped))
            return True
        if body is None:
            self._rest_until_s = time.monotonic() + REST_S
            return False
        await self._send_pieces(stored, body)
        return True

    async def _send_pieces(self, stored: Stored, body: bytes) -> None:
        """All of a frame, unless it is answered before."""
        number = self._sending.sent([stored], time.monotonic_ns())
        head = SetHead(
            *(stored.kind, stored.seq, stored.after, stored.stamp_ns, len(body), stored.epoch)
        ).to_tuple()
        offset = 0
        while offset < len(body):
            await self._quietly()
            if not self._sending.sent_whole(number, time.monotonic_ns()):
                return
            data = body[offset : offset + piece_bytes(self._goodput_bps())]
            self._send(SetPiece(number, self._stream, offset, data, head))
            offset, head = offset + len(data), ()

    async def _quietly(self) -> None:
        while not self._quiet():
            self._wake.clear()
            with contextlib.suppress(asyncio.TimeoutError, TimeoutError):
                await asyncio.wait_for(self._wake.wait(), 0.05)

    async def _cleared(self, stored: Stored) -> bytes | None:
        """The body as it may leave; None while it has to stay. Raises RecordError."""
        sequence, message = unpack_body(stored.body)
        if not message:
            return stored.body
        packet = packet_of(message, decode, self._stream)
        cleared = await self._gate.of_spool(packet)
        if cleared is None or cleared is packet:
            return None if cleared is None else stored.body
        frame = SetFrame(stored.kind, sequence, replace(cleared, meta=packet.meta))
        return pack_frame(frame, lambda said: encode(said, FRAME_BYTES_MAX))
