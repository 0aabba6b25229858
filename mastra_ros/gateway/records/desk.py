"""Answers the `Records` of devices: looks at each record, commits what may be taken.

What is wrong with a record costs that record one refusal. What cannot be kept now is refused as
`overloaded`, and stays with its device.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable

from ...errors import RecordError, StoreError
from ...protocol.records import Committed, NotTaken, RecordItem, Records, RecordsAck
from .store import RecordBatch, RecordStore

logger = logging.getLogger(__name__)

IN_WORK_MAX = 16
"""Messages of one device in work before more are refused."""


class RecordDesk:
    """The records of all devices; used from the event loop.

    on_outcome(outcome, count) counts: committed, duplicate, missing, or the code of a refusal.
    """

    def __init__(
        self, store: RecordStore, on_outcome: Callable[[str, int], None] = lambda *_: None
    ) -> None:
        self._store = store
        self._on_outcome = on_outcome
        self._in_work: Counter[str] = Counter()

    async def answer(self, device: str, stream: str, message: Records) -> RecordsAck:
        """What a device whose session is of `stream` is told; never raises for the message.

        Called one after the other, messages are committed in that order.
        """
        if message.stream != stream:
            text = f"stream {message.stream} is not the one of this session"
            return self._refuse(message, "forbidden", text)
        if not message.epoch:
            return self._refuse(message, "corrupt", "expected an epoch of hexadecimal digits")
        if self._in_work[device] >= IN_WORK_MAX:
            text = f"{self._in_work[device]} messages of this device are in work"
            return self._refuse(message, "overloaded", text)
        items, refused = _looked_at(message)
        if not items:
            return self._told(message.number, [], refused)
        self._in_work[device] += 1
        try:
            done = self._store.commit(RecordBatch(device, stream, message.epoch, tuple(items)))
            commit = await asyncio.wrap_future(done)
        except StoreError as error:
            logger.error("%s/%s: records not kept: %s", device, stream, error)
            return self._refuse(message, "overloaded", "records cannot be kept now")
        finally:
            self._in_work[device] -= 1
            if not self._in_work[device]:
                del self._in_work[device]
        for outcome, count in (
            ("committed", commit.new),
            ("duplicate", commit.duplicates),
            ("missing", commit.missing),
        ):
            if count:
                self._on_outcome(outcome, count)
        return self._told(message.number, commit.committed, commit.refused + refused)

    def _told(self, number: int, committed: list[Committed], refused: list[NotTaken]) -> RecordsAck:
        for no in refused:
            self._on_outcome(no.code, 1)
        return RecordsAck.of(number, committed, refused)

    def _refuse(self, message: Records, code: str, text: str) -> RecordsAck:
        """Refuse all of a message: the first of each kind stands for those after it."""
        refused: dict[str, NotTaken] = {}
        for raw in message.records:
            kind, seq = _called(raw)
            refused.setdefault(kind, NotTaken(kind, seq, code, text))
        return self._told(message.number, [], list(refused.values()))


def _looked_at(message: Records) -> tuple[list[RecordItem], list[NotTaken]]:
    """The records that make sense, and a refusal for those that do not; in order a kind."""
    items: list[RecordItem] = []
    refused: list[NotTaken] = []
    stopped: set[str] = set()
    for raw in message.records:
        kind, seq = _called(raw)
        if kind in stopped:
            continue
        try:
            items.append(RecordItem.from_list(raw))
        except RecordError as error:
            stopped.add(kind)
            refused.append(NotTaken(kind, seq, "corrupt", str(error)))
    return items, refused


def _called(raw: object) -> tuple[str, int]:
    """Kind and number of what may be no record at all, as far as they can be told."""
    if type(raw) is not list or len(raw) < 2:
        return "", 0
    kind = raw[0] if type(raw[0]) is str else ""
    seq = raw[1] if type(raw[1]) is int and 0 <= raw[1] < 2**63 else 0
    return kind[:64], seq
