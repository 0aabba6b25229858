"""The second cargo of one session, beside frames: records and statuses up, artefacts down."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

from ..protocol.artefacts import EXTENSION as ARTEFACTS
from ..protocol.artefacts import ArtefactAck, ArtefactPiece, ArtefactRequest
from ..protocol.messages import Message
from ..protocol.pictures import EXTENSION as PICTURES
from ..protocol.pictures import PicturePiece, PictureWish, PictureWithheld
from ..protocol.records import EXTENSION as RECORDS
from ..protocol.records import Records
from ..protocol.sets import EXTENSION as SETS
from ..protocol.sets import SetPiece
from ..protocol.statuses import EXTENSION as STATUS
from ..protocol.statuses import StatusReport
from .applications.artefact_desk import ArtefactDesk, Block
from .looking import LookedAt, PictureDesk
from .records import RecordDesk
from .sets import SetDesk, SqliteSetStore
from .sets.desk import Budget
from .statuses import Hearing, StatusBoard

CARGO = (
    *(Records, ArtefactRequest, ArtefactAck, StatusReport, SetPiece),
    *(PicturePiece, PictureWithheld),
)
"""What a device says of it."""
ASKED_MAX = 128
"""Requests and acknowledgements of one session that wait; more are not listened to."""


class CargoDesks:
    """What a gateway has for all its sessions."""

    def __init__(
        self,
        records: RecordDesk,
        artefacts: ArtefactDesk | None,
        sets: SqliteSetStore | None = None,
        *,
        on_status: Callable[[str], None] = lambda _: None,
        on_set_frame: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Both count outcomes: kept or committed, or the code of the refusal."""
        self.sets = sets
        self.on_set_frame = on_set_frame
        self.records = records
        self.artefacts = artefacts
        self.statuses = StatusBoard()
        self.hearing = Hearing()
        self.looked = LookedAt()
        self.on_status = on_status

    @property
    def extensions(self) -> tuple[str, ...]:
        """What is announced to devices."""
        there = {ARTEFACTS: self.artefacts, SETS: self.sets}
        return (
            RECORDS,
            STATUS,
            PICTURES,
            *(name for name, desk in there.items() if desk is not None),
        )


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
        budget: Budget,
    ) -> None:
        self._budget = budget
        self._sets: SetDesk | None = None
        self._pictures: PictureDesk | None = None
        self.tasks: set[asyncio.Task[None]] = set()
        self._desks = desks
        self._device = device
        self._stream = ""
        self._say = say
        self._notice = notice
        self._asked: asyncio.Queue[ArtefactRequest | ArtefactAck] = asyncio.Queue(ASKED_MAX)
        self._offered: set[int] = set()
        self._more = asyncio.Event()

    def opened(self, stream: str, extensions: frozenset[str]) -> None:
        """The session is open, and both ends know these extensions."""
        self._stream = stream
        if ARTEFACTS in extensions and self._desks.artefacts is not None:
            self._start(self._keep_offering(self._desks.artefacts))
            self._start(self._serve(self._desks.artefacts))
        if SETS in extensions and self._desks.sets is not None:
            self._sets = SetDesk(
                *(self._desks.sets, self._device, stream),
                say=self._say,
                budget=self._budget,
                on_outcome=self._desks.on_set_frame,
            )
            self._start(self._sets.run())
        if PICTURES in extensions:
            whose = self._device, stream
            self._pictures = PictureDesk(self._desks.looked, *whose, self._budget)

    def wish_for_pictures(self, lease_ms: int) -> None:
        """Ask the device to show what it sees, if it can."""
        if self._pictures is not None:
            self._say(PictureWish(lease_ms))

    def close(self) -> None:
        """The session has ended."""
        if self._pictures is not None:
            self._pictures.drop()

    def heard(self, silent_s: float, heartbeat_s: float) -> None:
        """The device was heard so long ago."""
        if self._stream:
            at_s = time.time() - silent_s
            self._desks.hearing.saw(self._device, self._stream, at_s, heartbeat_s)

    def wake(self, device: str, stream: str) -> None:
        """There may be an artefact for a device."""
        if (device, stream) == (self._device, self._stream):
            self._more.set()

    def take(self, message: Message) -> None:
        """What the device has said."""
        if isinstance(message, Records):
            self._start(self._answer_records(message))
        elif isinstance(message, SetPiece) and self._sets is not None:
            self._sets.take(message)
        elif isinstance(message, PicturePiece) and self._pictures is not None:
            self._pictures.take(message, time.monotonic())
        elif isinstance(message, PictureWithheld) and self._pictures is not None:
            self._pictures.withheld(message, time.monotonic())
        elif isinstance(message, StatusReport):
            desks = self._desks
            nack = desks.statuses.take(self._device, self._stream, message, time.time())
            desks.on_status("kept" if nack is None else nack.code)
            if nack is not None:
                self._say(nack)
        elif isinstance(message, (ArtefactRequest, ArtefactAck)) and not self._asked.full():
            self._asked.put_nowait(message)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        task.add_done_callback(self._notice)

    async def _answer_records(self, message: Records) -> None:
        self._say(await self._desks.records.answer(self._device, self._stream, message))

    async def _serve(self, desk: ArtefactDesk) -> None:
        """One after the other: a device takes pieces in the order of its requests."""
        whose = self._device, self._stream
        block: Block | None = None
        while True:
            asked = await self._asked.get()
            if isinstance(asked, ArtefactRequest):
                piece = None if block is None else block.piece(asked)
                if piece is None:
                    block = await asyncio.to_thread(desk.block, *whose, asked)
                    piece = None if block is None else block.piece(asked)
                self._say(piece or ArtefactPiece(asked.id, asked.offset, gone=True))
            elif await asyncio.to_thread(desk.acknowledged, *whose, asked):
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
