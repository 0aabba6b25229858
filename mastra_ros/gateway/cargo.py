"""The second cargo of one session, beside frames: records up, artefacts down."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from ..protocol.artefacts import EXTENSION as ARTEFACTS
from ..protocol.artefacts import ArtefactAck, ArtefactRequest
from ..protocol.messages import Message
from ..protocol.records import EXTENSION as RECORDS
from ..protocol.records import Records
from .applications.artefact_desk import ArtefactDesk
from .records import RecordDesk

CARGO = (Records, ArtefactRequest, ArtefactAck)
"""What a device says of it."""
PIECES_IN_WORK_MAX = 512
"""Requests for pieces of one session in work; more are not listened to."""


class CargoDesks:
    """What a gateway has for all its sessions."""

    def __init__(self, records: RecordDesk, artefacts: ArtefactDesk | None) -> None:
        self.records = records
        self.artefacts = artefacts

    @property
    def extensions(self) -> tuple[str, ...]:
        """What is announced to devices."""
        return (RECORDS,) if self.artefacts is None else (RECORDS, ARTEFACTS)


class Cargo:
    """That of one session; used from the event loop.

    say(message): sends it, if the session is open. notice(task): is told of every task that ends.
    """

    def __init__(
        self,
        desks: CargoDesks,
        device: str,
        say: Callable[[Message], None],
        notice: Callable[[asyncio.Task[None]], None],
    ) -> None:
        self.tasks: set[asyncio.Task[None]] = set()
        self._desks = desks
        self._device = device
        self._stream = ""
        self._say = say
        self._notice = notice
        self._pieces = 0
        self._in_order = asyncio.Lock()
        self._offered: set[int] = set()
        self._more = asyncio.Event()

    def opened(self, stream: str, extensions: frozenset[str]) -> None:
        """The session is open, and both ends know these extensions."""
        self._stream = stream
        if ARTEFACTS in extensions and self._desks.artefacts is not None:
            self._start(self._keep_offering(self._desks.artefacts))

    def wake(self, device: str, stream: str) -> None:
        """There may be an artefact for a device."""
        if (device, stream) == (self._device, self._stream):
            self._more.set()

    def take(self, message: Message) -> None:
        """What the device has said."""
        desk = self._desks.artefacts
        if isinstance(message, Records):
            self._start(self._answer_records(message))
        elif desk is None:
            return
        elif isinstance(message, ArtefactRequest) and self._pieces < PIECES_IN_WORK_MAX:
            self._pieces += 1
            self._start(self._answer_request(desk, message))
        elif isinstance(message, ArtefactAck):
            self._start(self._take_ack(desk, message))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        task.add_done_callback(self._notice)

    async def _answer_records(self, message: Records) -> None:
        self._say(await self._desks.records.answer(self._device, self._stream, message))

    async def _answer_request(self, desk: ArtefactDesk, message: ArtefactRequest) -> None:
        try:
            async with self._in_order:  # the device takes pieces in the order of its requests
                piece = await asyncio.to_thread(desk.piece, self._device, self._stream, message)
                self._say(piece)
        finally:
            self._pieces -= 1

    async def _take_ack(self, desk: ArtefactDesk, message: ArtefactAck) -> None:
        if await asyncio.to_thread(desk.acknowledged, self._device, self._stream, message):
            self._more.set()

    async def _keep_offering(self, desk: ArtefactDesk) -> None:
        """Offer each artefact once a session; the next ones when there may be some."""
        while True:
            self._more.clear()
            for offer in await asyncio.to_thread(desk.offers, self._device, self._stream):
                if offer.id not in self._offered:
                    self._offered.add(offer.id)
                    self._say(offer)
            await self._more.wait()
