"""The part of a session that sends records: beside live packets, and after them.

It sends only while no live packet waits and live answers are not slow, in batches so small that
one of them takes the link for a few ms.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Callable
from typing import Any

from ...protocol.records import RecordsAck
from .sending import RecordSending
from .thread import RecordThread

log = logging.getLogger(__name__)

BATCH_RECORDS_MAX = 128
BATCH_S = 0.002
"""How long one batch may take the link."""
BATCH_BYTES_MIN, BATCH_BYTES, BATCH_BYTES_MAX = 512, 2048, 65_536
"""The size of a batch; the second one while it is not known how fast the link is."""
LOOK_S = 0.25


def batch_bytes(goodput_bps: float) -> int:
    """How large a batch may be on a link that carries so many bits a second."""
    if math.isnan(goodput_bps):
        return BATCH_BYTES
    return int(min(max(goodput_bps / 8 * BATCH_S, BATCH_BYTES_MIN), BATCH_BYTES_MAX))


class RecordLane:
    """Sends what waits in `spool`, from the loop of the session.

    send(message): queues it. quiet(): whether the link has room beside live packets.
    goodput_bps(): what it carries. on_refused(text): a refusal in words.
    """

    def __init__(
        self,
        stream: str,
        spool: RecordThread,
        *,
        send: Callable[[Any], None],
        quiet: Callable[[], bool],
        goodput_bps: Callable[[], float],
        on_refused: Callable[[str], None],
        in_flight_max: int = 2,
    ) -> None:
        self._stream = stream
        self._spool = spool
        self._send = send
        self._quiet = quiet
        self._goodput_bps = goodput_bps
        self._on_refused = on_refused
        self._sending = RecordSending(in_flight_max)
        self._settling: set[asyncio.Future[None]] = set()
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """There may be something to send, or room for it."""
        self._wake.set()

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            self._wake.clear()
            if not await self._send_some():
                with contextlib.suppress(asyncio.TimeoutError, TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), LOOK_S)

    async def _send_some(self) -> bool:
        sending = self._sending
        if not self._spool.stats.waiting or not self._quiet():
            return False
        if self._settling:  # or a record that is committed would be read, and sent again
            await asyncio.wait(self._settling)
        if not sending.may_send(time.monotonic_ns()):
            return False
        batch = await asyncio.wrap_future(
            self._spool.next_batch(
                sending.position, BATCH_RECORDS_MAX, batch_bytes(self._goodput_bps())
            )
        )
        if not batch:
            return False
        self._send(sending.message(self._stream, batch, time.monotonic_ns()))
        return True

    def answered(self, ack: RecordsAck) -> None:
        """The gateway has answered a batch; ProtocolError where that makes no sense."""
        settlement = self._sending.answered(ack, time.monotonic_ns())
        if settlement is None:
            return
        for text in settlement.refusals:
            self._on_refused(text)
        if settlement:
            done = asyncio.wrap_future(self._spool.settle(settlement))
            self._settling.add(done)
            done.add_done_callback(self._settling.discard)
        self.wake()
