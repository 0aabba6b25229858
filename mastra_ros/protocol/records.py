"""Messages that carry records, the extension `records`: many in one message, one answer to each.

A device may send `Records` only where hello and welcome have both named the extension, and the
gateway answers each with one `RecordsAck` of the same number. What is wrong with one record is a
refusal of that record and of those after it of the same kind, never the end of the session: so its
fields are looked at one by one (`items`), and not with the message.

Order: records of one stream and kind are taken in the order of their numbers. `after` is the number
of the one before it that the device still holds or knows to be committed, so that a gap which is
nobody's fault (a damaged spool) is told from one where a message was lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from ..errors import ProtocolError, RecordError
from ..records import BODY_BYTES_MAX, VALUES_MAX, check_kind, check_stamp, unpack_body
from .checks import INT64_MAX, checked, integer, name, printable
from .messages import Message
from .outline import check_outline

EXTENSION = "records"
"""What hello and welcome call it."""
RECORDS_MAX = 256
"""Most records in one message."""
EPOCH = re.compile(r"[0-9a-f]{16,64}")

GAP = "gap"
"""The code of a refusal for the order's sake: send again from `last` on."""
EPOCH_TAKEN = "epoch"
"""The code for a number that had another record: number all of them anew, in a new epoch."""
FOR_GOOD = ("corrupt", "forbidden", "too_large")
"""Codes of refusals that will be no different another time."""


@dataclass(frozen=True)
class RecordItem:
    """One record as it travels: a list [kind, seq, after, stamp_ns, body]."""

    kind: str
    seq: int
    after: int
    stamp_ns: int
    body: bytes

    def to_list(self) -> list[Any]:
        """As it stands in the message."""
        return [self.kind, self.seq, self.after, self.stamp_ns, self.body]

    @classmethod
    def from_list(cls, raw: Any) -> RecordItem:
        """What somebody else sent; RecordError says what is wrong with it."""
        if type(raw) is not list or len(raw) != 5:
            raise RecordError("record: expected a list of kind, seq, after, stamp_ns and body")
        kind, seq, after, stamp_ns, body = raw
        check_kind(kind)
        if type(seq) is not int or not 1 <= seq <= INT64_MAX:
            raise RecordError(f"record: expected a number from 1, got {seq!r:.80}")
        if type(after) is not int or not 0 <= after < seq:
            raise RecordError(f"record: expected to come after 0 to {seq - 1}, got {after!r:.80}")
        check_stamp(stamp_ns)
        if type(body) is not bytes or len(body) > BODY_BYTES_MAX:
            size = len(body) if isinstance(body, bytes) else type(body).__name__
            raise RecordError(f"record: expected at most {BODY_BYTES_MAX} bytes, got {size}")
        try:
            check_outline(body, VALUES_MAX + 1)
        except ProtocolError as error:
            raise RecordError(str(error).replace("envelope", "record", 1)) from None
        unpack_body(body)
        return cls(kind, seq, after, stamp_ns, body)


def is_epoch(value: object) -> bool:
    """Whether it may name an epoch: 16 to 64 hexadecimal digits."""
    return type(value) is str and bool(EPOCH.fullmatch(value))


def _list(value: Any) -> tuple[Any, ...]:
    if type(value) not in (list, tuple) or len(value) > RECORDS_MAX:
        size = len(value) if isinstance(value, list) else type(value).__name__
        raise ProtocolError(f"expected a list of at most {RECORDS_MAX}, got {size}")
    return tuple(value)


def _epoch(value: Any) -> str:
    return value if is_epoch(value) else ""


@dataclass(frozen=True)
class Records(Message):
    """Device: records of one epoch, in order. `number` names the message within its session.

    `epoch` is empty where it makes no sense: that is no end of the session either.
    """

    TYPE_ID: ClassVar[int] = 80
    number: int = checked(integer())
    stream: str = checked(name)
    epoch: str = checked(_epoch)
    records: tuple[Any, ...] = checked(_list)


@dataclass(frozen=True)
class Committed:
    """Records of a kind are committed up to this number, this one included."""

    kind: str
    seq: int


@dataclass(frozen=True)
class NotTaken:
    """This record is not taken, nor are those after it of its kind in the same message.

    last: the number of the last one that is committed; -1 where that is not known.
    """

    kind: str
    seq: int
    code: str
    text: str = ""
    last: int = -1


@dataclass(frozen=True)
class RecordsAck(Message):
    """Gateway, the answer to the `Records` of this number.

    committed: lists [kind, seq]. refused: lists [kind, seq, code, text, last]. See `Committed` and
    `NotTaken`.
    """

    TYPE_ID: ClassVar[int] = 81
    number: int = checked(integer())
    committed: tuple[Any, ...] = checked(_list)
    refused: tuple[Any, ...] = checked(_list)

    @classmethod
    def of(cls, number: int, committed: list[Committed], refused: list[NotTaken]) -> RecordsAck:
        """The message that says this."""
        return cls(
            number,
            tuple([one.kind, one.seq] for one in committed),
            tuple([no.kind, no.seq, no.code, no.text[:256], no.last] for no in refused),
        )

    def all_committed(self) -> Iterator[Committed]:
        """What is committed; ProtocolError where that makes no sense."""
        for raw in self.committed:
            kind, seq = _fields(raw, 2)
            yield Committed(_text(kind, 64), _whole(seq))

    def all_refused(self) -> Iterator[NotTaken]:
        """What is not taken; ProtocolError where that makes no sense."""
        for raw in self.refused:
            kind, seq, code, said, last = _fields(raw, 5)
            yield NotTaken(
                _text(kind, 64), _whole(seq), _text(code, 32), _text(said, 256), _whole(last, -1)
            )


def _fields(raw: Any, count: int) -> list[Any]:
    if type(raw) is not list or len(raw) != count:
        raise ProtocolError(f"RecordsAck: expected lists of {count}")
    return raw


def _whole(value: Any, low: int = 0) -> int:
    if type(value) is not int or not low <= value <= INT64_MAX:
        raise ProtocolError(f"RecordsAck: expected a whole number from {low}, got {value!r:.40}")
    return value


def _text(value: Any, longest: int) -> str:
    if type(value) is not str or len(value) > longest:
        raise ProtocolError(f"RecordsAck: expected at most {longest} characters")
    return printable(value)


RECORD_MESSAGES: tuple[type[Message], ...] = (Records, RecordsAck)
