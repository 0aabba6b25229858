"""What the gateway and the process of a model say to each other: msgpack with a length before it.

Each message is of one fixed type, which is checked as it is read: whoever took over the other
process by a picture can say nothing here but outcomes of frames. (An application's process, in
`applications/pipe.py`, is asked one thing at a time by a thread that waits; here groups overtake
each other on the way there and back, and the event loop hears the answers.)
"""

from __future__ import annotations

import socket
import struct

import msgspec

MESSAGE_BYTES_MAX = 2**28
"""Of one message: a group of the largest small pictures takes a tenth of it."""
READ_BYTES = 2**18
_HEAD = struct.Struct(">I")

COMMITTED, DUPLICATE, FAILED = range(3)


class WireBroken(Exception):  # noqa: N818 - named for what happened
    """The other end is gone, or says what nobody of ours says."""


class Begin(msgspec.Struct, array_like=True, frozen=True):
    """The first word to the process: what it works with."""

    bundle: str
    folder: str  # of the results' database
    config: dict[str, object]  # of the gateway
    references_bytes_max: int
    log_level: int


class Begun(msgspec.Struct, array_like=True, frozen=True):
    """Its answer, when it may be asked; `problem` is why not."""

    engine: str
    problem: str = ""


class Asked(msgspec.Struct, array_like=True, frozen=True):
    """One frame. show: the picture is wanted back."""

    device: str
    stream: str
    stamp_ns: int
    id: str
    kind: str
    width_px: int
    height_px: int
    encoding: str
    reference_ns: int
    late: bool
    show: bool
    payload: bytes


class Picture(msgspec.Struct, array_like=True, frozen=True):
    """Pixels of one frame, rows one after the other."""

    shape: tuple[int, ...]
    encoding: str
    pixels: bytes


class Told(msgspec.Struct, array_like=True, frozen=True):
    """What came of one frame: its record, or the name of an error and its text."""

    outcome: int
    data: bytes = b""
    error: str = ""
    text: str = ""
    picture: Picture | None = None


class Group(msgspec.Struct, array_like=True, frozen=True):
    """Frames that are worked on together. more: as many wait already."""

    number: int
    frames: list[Asked]
    more: bool = False


class Answered(msgspec.Struct, array_like=True, frozen=True):
    """What came of a group, in its order, and what is counted since the answer before.

    problem: of the database.
    """

    number: int  # of the group
    told: list[Told]
    run_ms: float
    decode_s: list[float]
    commits: list[tuple[int, float]]  # results and seconds of each transaction
    problem: str = ""


_encode = msgspec.msgpack.Encoder().encode
read_begin = msgspec.msgpack.Decoder(Begin).decode
read_begun = msgspec.msgpack.Decoder(Begun).decode
read_group = msgspec.msgpack.Decoder(Group).decode
read_answer = msgspec.msgpack.Decoder(Answered).decode


def packed(message: Begin | Begun | Group | Answered) -> bytes:
    """The bytes of a message, its length before it."""
    data = _encode(message)
    return _HEAD.pack(len(data)) + data


class Cutter:
    """Cuts messages out of what has come."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that are complete now. Raises WireBroken."""
        self._buffer += data
        found = []
        while len(self._buffer) >= _HEAD.size:
            (size,) = _HEAD.unpack_from(self._buffer)
            if size > MESSAGE_BYTES_MAX:
                raise WireBroken(f"a message of {size} bytes")
            end = _HEAD.size + size
            if len(self._buffer) < end:
                break
            found.append(bytes(memoryview(self._buffer)[_HEAD.size : end]))
            del self._buffer[:end]
        return found


class Ear:
    """Reads messages from a socket, one after the other; for the process, which only waits."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._cutter = Cutter()
        self._here: list[bytes] = []

    def hear(self) -> bytes | None:
        """The next message; None when the other end has hung up."""
        while not self._here:
            data = self._sock.recv(READ_BYTES)
            if not data:
                return None
            self._here = self._cutter.feed(data)[::-1]
        return self._here.pop()
