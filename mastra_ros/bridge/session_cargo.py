"""The second cargo of one session, beside frames: its lanes, and when they may use the link."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from ..protocol import Event, Message, RecordsAck, Session
from ..protocol.artefacts import EXTENSION as ARTEFACTS
from ..protocol.artefacts import ArtefactOffer, ArtefactPiece
from ..protocol.pictures import EXTENSION as PICTURES
from ..protocol.pictures import PictureWish
from ..protocol.records import EXTENSION as RECORDS
from ..protocol.sets import EXTENSION as SETS
from ..protocol.sets import SetAck
from ..protocol.statuses import EXTENSION as STATUS
from ..protocol.statuses import StatusNack
from ..types import Packet, PacketKind
from .artefacts import ArtefactLane
from .cargo import BridgeCargo
from .clearing import SpoolGate
from .delivery import Listener
from .flight import Goodput
from .outbox import Outbox
from .pictures import PictureLane
from .records import RecordLane
from .scavenger import Scavenger
from .set_lane import SetLane
from .statuses import StatusLane

QUEUED_MAX = 2
"""Pieces of sets that wait for the socket, so that a live packet waits for no more."""


def extensions_of(carried: BridgeCargo) -> tuple[str, ...]:
    """What the bridge announces."""
    shown = () if carried.pictures is None else (PICTURES,)
    return (RECORDS, ARTEFACTS, STATUS, SETS, *shown)


class SessionCargo:
    """What `carried` has, in one session; sends what it says by way of its outbox."""

    def __init__(
        self,
        session: Session,
        outbox: Outbox,
        goodput: Goodput,
        listener: Listener,
        carried: BridgeCargo,
        gate: SpoolGate,
        live_away: Callable[[], bool],
    ) -> None:
        """`live_away()`: whether a live packet is away, unanswered."""
        self._session = session
        self._outbox = outbox
        self._listener = listener
        self._scavenger = Scavenger(1)
        self.records = RecordLane(
            session.stream,
            carried.records,
            send=self._send_records,
            quiet=self._quiet,
            goodput_bps=lambda: goodput.bps,
            on_refused=listener.record_refused,
        )
        self._sets = SetLane(
            session.stream,
            carried.sets,
            send=self._send_records,
            quiet=lambda: self._quiet() and outbox.records_waiting < QUEUED_MAX,
            goodput_bps=lambda: goodput.bps,
            on_refused=listener.record_refused,
            gate=gate,
        )
        self._artefacts = ArtefactLane(
            *(carried.folder, carried.disk, carried.link_down, carried.beside),
            send=self._send_request,
            quiet=self._quiet,
            away=live_away,
            on_received=listener.artefact,
        )
        self._shown, self._pictures = carried.pictures, None
        if carried.pictures is not None:
            self._pictures = PictureLane(
                carried.pictures,
                send=self._send_records,
                quiet=lambda: self._quiet() and outbox.records_waiting < QUEUED_MAX,
                goodput_bps=lambda: goodput.bps,
            )
        self._refuse_status = carried.statuses.refuse
        self._statuses = StatusLane(
            carried.statuses.history, send=self._send_small, quiet=self._quiet
        )

    def start(self) -> list[asyncio.Future[Any]]:
        """The tasks of what both ends of the open session understand."""
        tasks: list[asyncio.Future[Any]] = []
        if RECORDS in self._session.extensions:
            tasks.append(asyncio.ensure_future(self.records.run()))
        else:
            self._listener.record_refused("the gateway is of an older version: it takes no records")
        if ARTEFACTS in self._session.extensions:
            tasks.append(asyncio.ensure_future(self._artefacts.run()))
        if SETS in self._session.extensions:
            tasks.append(asyncio.ensure_future(self._sets.run()))
        elif self._sets.waiting:
            self._listener.record_refused(
                "the gateway is of an older version: frames of sets wait on this device"
            )
        if STATUS in self._session.extensions:
            tasks.append(asyncio.ensure_future(self._statuses.run()))
        if self._pictures is not None and PICTURES in self._session.extensions:
            tasks.append(asyncio.ensure_future(self._pictures.run()))
        return tasks

    def react(self, event: Event) -> None:
        """What the gateway has said, if it is of cargo; ProtocolError where that makes no sense."""
        if isinstance(event, SetAck):
            self._sets.answered(event)
        elif isinstance(event, RecordsAck):
            self.records.answered(event)
        elif isinstance(event, ArtefactOffer):
            self._artefacts.offered(event)
        elif isinstance(event, ArtefactPiece):
            self._artefacts.piece(event)
        elif isinstance(event, StatusNack):
            self._refuse_status(event)
        elif isinstance(event, PictureWish) and self._shown is not None:
            self._shown.wish(event)

    def live_sent(self, packet: Packet, now_ns: int) -> None:
        """A live packet is on its way."""
        if self._shown is not None and packet.kind is not PacketKind.FEATURES:
            self._shown.showing.frame_goes(now_ns)

    def live_answered(self, took_ns: int, allowed_ns: int, now_ns: int) -> None:
        """A live packet was answered after so long, of the time that it had."""
        self._scavenger.live_answered(took_ns, allowed_ns, now_ns)
        self._artefacts.live_answered(took_ns, now_ns)

    def wrote(self) -> None:
        """The socket has taken something: there may be room."""
        if not self._outbox.live_waiting:
            self.wake()

    def wake(self) -> None:
        """There may be something to send."""
        self.records.wake()
        self._sets.wake()
        if self._pictures is not None:
            self._pictures.wake()

    def _send_records(self, message: Message) -> None:
        self._scavenger.sent(time.monotonic_ns())
        self._outbox.put_records(self._session.send(message, time.monotonic_ns()))

    def _send_small(self, message: Message) -> None:
        self._outbox.put_control(self._session.send(message, time.monotonic_ns()))

    def _send_request(self, message: Message) -> None:
        self._scavenger.sent(time.monotonic_ns())
        self._outbox.put_control(self._session.send(message, time.monotonic_ns()))

    def _quiet(self) -> bool:
        """Whether the link has room beside live packets."""
        if self._outbox.live_waiting:
            return False
        return self._scavenger.room(0, time.monotonic_ns()) > 0
