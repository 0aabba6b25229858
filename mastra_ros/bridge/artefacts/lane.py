"""The part of a session that fetches artefacts, beside live packets: one after the other.

All that touches the disk is done in a thread, in order.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

from ...errors import SpoolError
from ...protocol.artefacts import ArtefactAck, ArtefactOffer, ArtefactPiece
from ...protocol.messages import Message
from .beside import Beside
from .folder import ArtefactFolder, Received
from .receiving import Link, Transfer

log = logging.getLogger(__name__)

LOOK_S = 0.05
OFFERS_MAX = 64
"""Offers that are listened to at once; the gateway offers the others again later."""
TRIES_MAX = 3
"""One that is damaged again and again is refused."""
WRITES_MAX = 8
"""Writes that may wait for the disk before no more is asked for."""
WRITE_BYTES, WRITE_S = 32_768, 0.5
"""Pieces are small; so many bytes of them are written together, or what came in so long."""


class ArtefactLane:
    """Fetches what is offered, from the loop of the session.

    send(message): queues it. quiet(): whether the link has room. away(): whether a live packet is
    away, unanswered. on_received: called in the loop for each artefact that is whole; only then it
    is acknowledged.
    """

    def __init__(
        self,
        folder: ArtefactFolder,
        disk: Executor,
        link: Link,
        beside: Beside,
        *,
        send: Callable[[Message], None],
        quiet: Callable[[], bool],
        away: Callable[[], bool],
        on_received: Callable[[Received], None],
    ) -> None:
        self._folder = folder
        self._disk = disk
        self._send = send
        self._quiet = quiet
        self._away = away
        self._beside = beside
        self._on_received = on_received
        self._offers: dict[int, ArtefactOffer] = {}
        self._tries: dict[str, int] = {}
        self._link = link
        self._transfer: Transfer | None = None
        self._writes: list[asyncio.Future[Any]] = []
        self._unwritten = bytearray()
        self._unwritten_at = 0
        self._unwritten_s = 0.0
        self._gone = False
        self._wake = asyncio.Event()

    def offered(self, offer: ArtefactOffer) -> None:
        """The gateway has something."""
        if len(self._offers) < OFFERS_MAX:
            self._offers[offer.id] = offer
        self._wake.set()

    def piece(self, piece: ArtefactPiece) -> None:
        """The gateway has sent a piece; one that nobody waits for means nothing."""
        transfer = self._transfer
        if piece.gone:
            self._offers.pop(piece.id, None)
            self._gone = self._gone or (transfer is not None and transfer.offer.id == piece.id)
        elif transfer is not None and transfer.heard(piece, time.monotonic_ns()):
            if not self._unwritten:
                self._unwritten_at, self._unwritten_s = piece.offset, time.monotonic()
            self._unwritten += piece.data
            if len(self._unwritten) >= WRITE_BYTES:
                self._write(transfer.offer)
        self._wake.set()

    def live_answered(self, took_ns: int, now_ns: int) -> None:
        """A live packet was answered after so long."""
        self._beside.answered(took_ns, now_ns)
        self._beside.look(self._away(), now_ns)
        self._wake.set()

    async def run(self) -> None:
        """Fetch until cancelled."""
        self._beside.begin(time.monotonic_ns())
        while True:
            if self._offers:
                offer = next(iter(self._offers.values()))
                try:
                    await self._fetch(offer)
                except SpoolError as error:
                    self._unwritten.clear()
                    self._refuse(offer, str(error))
                except asyncio.CancelledError:  # the next session goes on from here
                    self._write(offer)
                    raise
                finally:
                    self._transfer, self._gone = None, False
                self._offers.pop(offer.id, None)
            else:
                await self._rest(1.0)

    async def _fetch(self, offer: ArtefactOffer) -> None:
        begun_ns = time.monotonic_ns()
        offset = await self._on_disk(self._folder.begin, offer)
        self._transfer = transfer = Transfer(offer, offset, self._link, begun_ns)
        while not transfer.complete:
            if self._gone or 0 < offer.life_s < (time.monotonic_ns() - begun_ns) / 1e9:
                await self._written(offer)
                await self._on_disk(self._folder.forget, offer)
                return
            self._writes = [write for write in self._writes if not _done_well(write)]
            if self._unwritten and time.monotonic() - self._unwritten_s > WRITE_S:
                self._write(offer)
            if len(self._writes) < WRITES_MAX:
                self._ask(transfer, time.monotonic_ns())
            await self._rest(LOOK_S)
        await self._written(offer)
        received = await self._on_disk(self._folder.finish, offer)
        if received is not None:
            self._on_received(received)
            self._send(ArtefactAck(offer.id, offer.sha256, "stored"))
            return
        if len(self._tries) >= OFFERS_MAX:  # of others, that were refused or came well at last
            self._tries = {offer.sha256: self._tries.get(offer.sha256, 0)}
        self._tries[offer.sha256] = self._tries.get(offer.sha256, 0) + 1
        if self._tries[offer.sha256] >= TRIES_MAX:
            raise SpoolError("what came does not have the SHA-256 that was announced")
        await self._fetch(offer)

    def _ask(self, transfer: Transfer, now_ns: int) -> None:
        self._beside.look(self._away(), now_ns)
        window_bytes = self._beside.window_bytes(self._link, transfer.idle, now_ns)
        if window_bytes and self._quiet():
            for request in transfer.requests(now_ns, window_bytes):
                self._send(request)

    def _refuse(self, offer: ArtefactOffer, why: str) -> None:
        log.error("artefact %s %s %s is refused: %s", offer.kind, offer.name, offer.version, why)
        self._send(ArtefactAck(offer.id, offer.sha256, "refused", why[:256]))

    def _write(self, offer: ArtefactOffer) -> None:
        if self._unwritten:
            data = bytes(self._unwritten)
            self._unwritten.clear()
            self._writes.append(self._on_disk(self._folder.write, offer, self._unwritten_at, data))
            self._writes[-1].add_done_callback(_notice)

    async def _written(self, offer: ArtefactOffer) -> None:
        self._write(offer)
        writes, self._writes = self._writes, []
        for write in writes:
            await write

    async def _rest(self, longest_s: float) -> None:
        with contextlib.suppress(asyncio.TimeoutError, TimeoutError):
            await asyncio.wait_for(self._wake.wait(), longest_s)
        self._wake.clear()

    def _on_disk(self, action: Callable[..., Any], *values: Any) -> asyncio.Future[Any]:
        return asyncio.get_running_loop().run_in_executor(self._disk, action, *values)


def _notice(write: asyncio.Future[Any]) -> None:
    """Of one that fails when the session has ended nobody hears."""
    if not write.cancelled():
        write.exception()


def _done_well(write: asyncio.Future[Any]) -> bool:
    """Whether a piece is written; SpoolError where it could not be."""
    if write.done():
        write.result()
    return write.done()
