"""Messages that bring artefacts down, the extension `artefacts`: offered, asked for in pieces.

The gateway offers what it has for a stream; the device asks for pieces, one small request each, as
fast as its link carries them beside live frames, and from wherever it was when the link was cut.
What is whole and has the right SHA-256 it acknowledges, and is not offered again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar

from ..artefacts import BYTES_MAX
from ..errors import ProtocolError
from .checks import blob, checked, choice, flag, integer, name, number, text
from .messages import Message

EXTENSION = "artefacts"
"""What hello and welcome call it."""
PIECE_BYTES_MAX = 65_536
OUTCOMES = ("stored", "refused")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def _sha256(value: Any) -> str:
    if type(value) is not str or not _SHA256.fullmatch(value):
        raise ProtocolError("expected a SHA-256 of 64 hexadecimal digits")
    return value


@dataclass(frozen=True)
class ArtefactOffer(Message):
    """Gateway: this is here for you. `id` names it to this gateway; 0 s of life: for ever."""

    TYPE_ID: ClassVar[int] = 82
    id: int = checked(integer())
    kind: str = checked(name)
    name: str = checked(name)
    size: int = checked(integer(0, BYTES_MAX))
    sha256: str = checked(_sha256)
    version: str = checked(text(128), "")
    media_type: str = checked(text(128), "")
    keep: str = checked(choice("newest", "all"), "newest")
    life_s: float = checked(number(0.0, 1e9), 0.0)


@dataclass(frozen=True)
class ArtefactRequest(Message):
    """Device: give me so many bytes of it, from here on."""

    TYPE_ID: ClassVar[int] = 83
    id: int = checked(integer())
    offset: int = checked(integer(0, BYTES_MAX))
    length: int = checked(integer(1, PIECE_BYTES_MAX))


@dataclass(frozen=True)
class ArtefactPiece(Message):
    """Gateway, the answer to a request. `gone`: it is offered no longer, a newer one may be."""

    TYPE_ID: ClassVar[int] = 84
    id: int = checked(integer())
    offset: int = checked(integer(0, BYTES_MAX))
    data: bytes = checked(blob(PIECE_BYTES_MAX), b"")
    gone: bool = checked(flag, False)


@dataclass(frozen=True)
class ArtefactAck(Message):
    """Device: it is stored, or will not be, for the reason in `text`; offer it no more."""

    TYPE_ID: ClassVar[int] = 85
    id: int = checked(integer())
    sha256: str = checked(_sha256)
    outcome: str = checked(choice(*OUTCOMES))
    text: str = checked(text(256), "")


ARTEFACT_MESSAGES: tuple[type[Message], ...] = (
    ArtefactOffer,
    ArtefactRequest,
    ArtefactPiece,
    ArtefactAck,
)
