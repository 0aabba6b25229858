"""Cuts what a client sends into frames of WebSocket (RFC 6455, section 5).

The ordinary frame, a whole binary message that is masked and small, is unmasked here. Every other
one is given whole or in pieces to the protocol of `websockets`, which knows all the rest.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

try:
    from websockets.speedups import apply_mask
except ImportError:  # without its compiled part
    from websockets.utils import apply_mask

SMALL_BYTES = 65_536
_BINARY = 0x82  # whole, opcode 2
_MASKED = 0x80


class Cutter:
    """Keeps what has come of a frame that is not complete, if it is an ordinary one."""

    def __init__(
        self, on_message: Callable[[bytes], None], on_other: Callable[[bytes], bool]
    ) -> None:
        """`on_other(data)`: a piece of another frame; False when no more is wanted."""
        self._on_message = on_message
        self._on_other = on_other
        self._rest = b""
        self._other_left = 0  # of a frame that is not an ordinary one, bytes still to come
        self._in_message = False  # a message in fragments has begun

    @property
    def waiting_bytes(self) -> int:
        """What is kept."""
        return len(self._rest)

    def drop(self) -> None:
        """Forget it."""
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Take in what has come."""
        if self._rest:
            data, self._rest = self._rest + data, b""
        at, end = 0, len(data)
        while at < end:
            if self._other_left:
                piece = data[at : at + self._other_left]
                self._other_left -= len(piece)
                at += len(piece)
                if not self._on_other(piece):
                    return
                continue
            if end - at < 2:
                break
            first, second = data[at], data[at + 1]
            size, start = second & 0x7F, at + 2
            if size >= 126:
                start += 2 if size == 126 else 8
                if end < start:
                    break
                size = int.from_bytes(data[at + 2 : start], "big")
            if second & _MASKED:
                start += 4
            ordinary = first == _BINARY and second & _MASKED and not self._in_message
            if not ordinary or size > SMALL_BYTES:
                self._other_left = start - at + size
                if first & 0x0F < 3:  # no control frame, which may come between fragments
                    self._in_message = not first & 0x80
                continue
            if end < start + size:
                break
            self._on_message(apply_mask(data[start : start + size], data[start - 4 : start]))
            at = start + size
        if at < end:
            self._rest = data[at:] if at else data


def framed(messages: Sequence[bytes]) -> bytes:
    """Frames of a server, each with a whole binary message."""
    parts = []
    for data in messages:
        size = len(data)
        if size < 126:
            parts.append(bytes((_BINARY, size)))
        elif size < 65_536:
            parts.append(struct.pack(">BBH", _BINARY, 126, size))
        else:
            parts.append(struct.pack(">BBQ", _BINARY, 127, size))
        parts.append(data)
    return b"".join(parts)


def groups(messages: Sequence[bytes], size: int) -> list[Sequence[bytes]]:
    """The messages in order, as many together as have at most `size` bytes; at least one."""
    if sum(map(len, messages)) <= size:
        return [messages] if messages else []
    made: list[Sequence[bytes]] = []
    group: list[bytes] = []
    held = 0
    for data in messages:
        if group and held + len(data) > size:
            made.append(group)
            group, held = [], 0
        group.append(data)
        held += len(data)
    return [*made, group]
