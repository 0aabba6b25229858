"""Messages of the extension `sets`: durable frames, in pieces so small that live ones pass them.

A frame goes up as `SetPiece`s of one number, in order; the first one has its head. It is answered
once with a `SetAck`, as records are (see `records.py`): committed, or refused and why. What is
wrong with a frame costs one refusal, and so head and body are looked at apart from the message.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import msgpack

from ..errors import ProtocolError, RecordError
from ..records import check_kind, check_stamp
from ..sets import SEQUENCE_MAX, SetFrame
from ..types import Packet
from .checks import INT64_MAX, blob, checked, integer, name
from .messages import FrameMessage, Message
from .records import Committed, NotTaken, RecordsAck, is_epoch

EXTENSION = "sets"
"""What hello and welcome call it."""
PIECE_BYTES_MAX = 65_536
FRAME_BYTES_MAX = 16_777_216
"""Largest frame of a set, with all that is said of it."""


def _head(value: Any) -> tuple[Any, ...]:
    return tuple(value) if type(value) in (list, tuple) and len(value) <= 8 else ()


def _epoch(value: Any) -> str:
    return value if is_epoch(value) else ""


@dataclass(frozen=True)
class SetHead:
    """What is said of a frame before its bytes: [set, seq, after, stamp_ns, size, epoch].

    seq and after: as of records, by which the device numbers what it sends of a set.
    """

    set: str
    seq: int
    after: int
    stamp_ns: int
    size: int
    epoch: str

    def to_tuple(self) -> tuple[Any, ...]:
        """As it stands in the message."""
        return (self.set, self.seq, self.after, self.stamp_ns, self.size, self.epoch)

    @classmethod
    def from_tuple(cls, raw: tuple[Any, ...]) -> SetHead:
        """What somebody else sent; RecordError says what is wrong with it."""
        if len(raw) != 6:
            raise RecordError("set: expected a head of set, seq, after, stamp_ns, size and epoch")
        made = cls(*raw)
        check_kind(made.set)
        check_stamp(made.stamp_ns)
        if type(made.seq) is not int or not 1 <= made.seq <= INT64_MAX:
            raise RecordError(f"set: expected a number from 1, got {made.seq!r:.80}")
        if type(made.after) is not int or not 0 <= made.after < made.seq:
            raise RecordError(f"set: expected to come after 0 to {made.seq - 1}")
        if type(made.size) is not int or not 1 <= made.size <= FRAME_BYTES_MAX:
            raise RecordError(f"set: expected 1 to {FRAME_BYTES_MAX} bytes, got {made.size!r:.40}")
        if not is_epoch(made.epoch):
            raise RecordError("set: expected an epoch of hexadecimal digits")
        return made


@dataclass(frozen=True)
class SetPiece(Message):
    """Device: bytes of the frame of this number, from `offset` on."""

    TYPE_ID: ClassVar[int] = 88
    number: int = checked(integer())
    stream: str = checked(name)
    offset: int = checked(integer(0, FRAME_BYTES_MAX))
    data: bytes = checked(blob(PIECE_BYTES_MAX))
    head: tuple[Any, ...] = checked(_head, ())


@dataclass(frozen=True)
class SetAck(RecordsAck):
    """Gateway, the answer to the frame of this number; the kind in it is the name of the set."""

    TYPE_ID: ClassVar[int] = 89


def set_ack(number: int, outcome: Committed | NotTaken) -> SetAck:
    """The answer that says this."""
    if isinstance(outcome, Committed):
        return SetAck(number, ([outcome.kind, outcome.seq],), ())
    told = [outcome.kind, outcome.seq, outcome.code, outcome.text[:256], outcome.last]
    return SetAck(number, (), (told,))


SET_MESSAGES: tuple[type[Message], ...] = (SetPiece, SetAck)


def pack_frame(frame: SetFrame, encode: Any) -> bytes:
    """The body of a frame: its sequence, and the very message that an ordinary frame would be."""
    message = None
    if frame.packet is not None:
        message = encode(FrameMessage.from_packet(replace(frame.packet, late=True)))
    return bytes(msgpack.packb({"sequence": frame.sequence, "frame": message}))


def unpack_body(body: bytes) -> tuple[int, bytes]:
    """Sequence and message of a body, the message empty at the end of a set; RecordError."""
    try:
        said = msgpack.unpackb(body, raw=False, max_map_len=8, max_array_len=0, max_ext_len=0)
    except (ValueError, TypeError, RecursionError) as error:
        raise RecordError(f"set: expected a map as msgpack ({error!s:.80})") from None
    if type(said) is not dict or type(said.get("sequence")) is not int:
        raise RecordError("set: expected a map with a sequence")
    sequence, frame = said["sequence"], said.get("frame")
    if not 0 <= sequence <= SEQUENCE_MAX:
        raise RecordError(f"set: expected a sequence 0 to {SEQUENCE_MAX}, got {sequence}")
    if frame is not None and type(frame) is not bytes:
        raise RecordError("set: expected a frame as bytes")
    return sequence, frame or b""


def packet_of(message: bytes, decode: Any, stream: str) -> Packet:
    """The packet in the message of a frame; RecordError where it is none that a set may have."""
    try:
        said = decode(message, FRAME_BYTES_MAX)
        if not isinstance(said, FrameMessage):
            raise RecordError("set: expected a frame")
        packet = said.to_packet()
    except (ProtocolError, ValueError) as error:
        raise RecordError(f"set: {error!s:.200}") from None
    if said.stream != stream:
        raise RecordError(f"set: expected stream {stream}, got {said.stream}")
    SetFrame("x", 0, packet)
    return packet
