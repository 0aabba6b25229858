"""Puts the frames of one session's sets together from their pieces, and has them committed.

What is wrong with a frame costs one refusal; what cannot be kept now is refused as `overloaded`,
and stays with its device. Pieces come in order, of one frame after the other.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable
from typing import NamedTuple

from ...errors import RecordError, StoreError
from ...protocol import decode
from ...protocol.records import Committed, NotTaken, RecordItem
from ...protocol.sets import SetAck, SetHead, SetPiece, packet_of, set_ack, unpack_body
from .rows import SetBatch
from .store import SqliteSetStore

logger = logging.getLogger(__name__)

IN_WORK_MAX = 16
"""Frames of one session that are whole and not answered."""


class Budget(NamedTuple):
    """The memory of a session's messages."""

    take: Callable[[int], bool]
    give: Callable[[int], None]


class SetDesk:
    """The frames of one session; used from the event loop.

    say(ack) answers. on_outcome(outcome) counts: committed, or the code of a refusal.
    """

    def __init__(
        self,
        store: SqliteSetStore,
        device: str,
        stream: str,
        *,
        say: Callable[[SetAck], None],
        budget: Budget,
        on_outcome: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._device = device
        self._stream = stream
        self._say = say
        self._budget = budget
        self._on_outcome = on_outcome
        self._number = -1  # of the frame whose pieces are taken
        self._head: SetHead | None = None
        self._buffer = bytearray()
        self._whole: asyncio.Queue[tuple[int, SetHead, bytes]] = asyncio.Queue(IN_WORK_MAX)

    def take(self, piece: SetPiece) -> None:
        """A piece has come."""
        if piece.offset == 0:
            self._begin(piece)
        elif piece.number != self._number:
            return  # of one that is refused already
        head = self._head
        if head is None:
            return
        if piece.offset != len(self._buffer) or piece.offset + len(piece.data) > head.size:
            self._refuse("corrupt", "the pieces do not make the frame that was announced")
            return
        self._buffer += piece.data
        if len(self._buffer) < head.size:
            return
        body, self._buffer, self._head = bytes(self._buffer), bytearray(), None
        if self._whole.full():
            self._budget.give(head.size)
            self._answer(piece.number, head, "overloaded", "too many frames of sets are in work")
        else:
            self._whole.put_nowait((piece.number, head, body))

    def drop(self) -> None:
        """The session has ended: what is not whole is given up."""
        if self._head is not None:
            self._budget.give(self._head.size)
            self._head = None
        while not self._whole.empty():
            self._budget.give(self._whole.get_nowait()[1].size)

    async def run(self) -> None:
        """Commit what is whole, in order, until cancelled."""
        try:
            while True:
                number, head, body = await self._whole.get()
                try:
                    await self._commit(number, head, body)
                finally:
                    self._budget.give(head.size)
        finally:
            self.drop()

    def _begin(self, piece: SetPiece) -> None:
        if self._head is not None:
            self._refuse("corrupt", "another frame begins before this one is whole")
        self._number = piece.number
        try:
            head = SetHead.from_tuple(piece.head)
        except (RecordError, TypeError) as error:
            name, seq = _called(piece)
            self._told(NotTaken(name, seq, "corrupt", str(error)), piece.number)
            return
        if piece.stream != self._stream:
            text = f"stream {piece.stream} is not the one of this session"
            self._answer(piece.number, head, "forbidden", text)
        elif not self._budget.take(head.size):
            self._answer(piece.number, head, "overloaded", "no memory for another frame")
        else:
            self._head, self._buffer = head, bytearray()

    async def _commit(self, number: int, head: SetHead, body: bytes) -> None:
        try:
            sequence, message, digest = await asyncio.to_thread(self._looked_at, body)
        except RecordError as error:
            self._answer(number, head, "corrupt", str(error))
            return
        item = RecordItem(head.set, head.seq, head.after, head.stamp_ns, digest)
        batch = SetBatch(self._device, self._stream, head.epoch, item, sequence, message)
        try:
            outcome = await asyncio.wrap_future(self._store.commit(batch))
        except StoreError as error:
            logger.error("%s/%s: frame not kept: %s", self._device, self._stream, error)
            self._answer(number, head, "overloaded", "frames cannot be kept now")
            return
        self._told(outcome, number)

    def _looked_at(self, body: bytes) -> tuple[int, bytes, bytes]:
        sequence, message = unpack_body(body)
        if message:
            packet_of(message, decode, self._stream)
        return sequence, message, hashlib.sha256(body).digest()

    def _refuse(self, code: str, text: str) -> None:
        head, self._head, self._buffer = self._head, None, bytearray()
        if head is not None:
            self._budget.give(head.size)
            self._answer(self._number, head, code, text)

    def _answer(self, number: int, head: SetHead, code: str, text: str) -> None:
        self._told(NotTaken(head.set, head.seq, code, text), number)

    def _told(self, outcome: Committed | NotTaken, number: int) -> None:
        if isinstance(outcome, Committed):
            self._on_outcome("committed")
            self._say(set_ack(number, outcome))
        else:
            self._on_outcome(outcome.code)
            self._say(set_ack(number, outcome))


def _called(piece: SetPiece) -> tuple[str, int]:
    """Set and number of what may be no frame at all, as far as they can be told."""
    name = piece.head[0] if piece.head and type(piece.head[0]) is str else ""
    seq = piece.head[1] if len(piece.head) > 1 and type(piece.head[1]) is int else 0
    return name[:64], seq if 0 <= seq < 2**63 else 0
