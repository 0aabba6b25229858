"""Messages of the extension `pictures`: a device shows what it sees, while somebody looks.

The gateway wishes for pictures for a moment, and again while it is asked for them; the device
sends one now and then, in pieces so small that live frames pass them. Nothing of it is answered,
and nothing is sent again: the newest wins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .checks import blob, checked, integer, text
from .messages import Message

EXTENSION = "pictures"
"""What hello and welcome call it."""
LEASE_MS_MAX = 60_000
PIECE_BYTES_MAX = 65_536
PICTURE_BYTES_MAX = 262_144
"""Largest picture, with all that is said of it."""


@dataclass(frozen=True)
class PictureWish(Message):
    """Gateway: somebody looks; show what you see for so long from now on. 0: nobody does."""

    TYPE_ID: ClassVar[int] = 90
    lease_ms: int = checked(integer(0, LEASE_MS_MAX))


@dataclass(frozen=True)
class PicturePiece(Message):
    """Device: bytes of the picture of this number, from `offset` on, of `size` in all.

    Together they are the very message that a frame would be, a late key frame.
    """

    TYPE_ID: ClassVar[int] = 91
    number: int = checked(integer())
    offset: int = checked(integer(0, PICTURE_BYTES_MAX))
    size: int = checked(integer(1, PICTURE_BYTES_MAX))
    data: bytes = checked(blob(PIECE_BYTES_MAX))


@dataclass(frozen=True)
class PictureWithheld(Message):
    """Device: there is no picture to look at, for the reason in `text`."""

    TYPE_ID: ClassVar[int] = 92
    text: str = checked(text(256), "")


PICTURE_MESSAGES: tuple[type[Message], ...] = (PictureWish, PicturePiece, PictureWithheld)
