"""What a session tells its owner. Messages of the peer are events as they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .messages import Message, Nack


@dataclass(frozen=True)
class Send:
    """These bytes must be written to the socket, as one binary message, in this order."""

    data: bytes = field(repr=False)


@dataclass(frozen=True)
class Opened:
    """Device: the gateway has welcomed us; frames may be sent from now on."""

    version: int
    session: str
    settings: dict[str, Any]
    software: str = ""
    codecs: tuple[str, ...] = ()  # bitstreams of video that the gateway decodes


@dataclass(frozen=True)
class Silent:
    """The peer said nothing, or left a heartbeat unanswered, for so long: the session is closed."""

    silence_ns: int


@dataclass(frozen=True)
class Refused:
    """Gateway: this message is not allowed; its nack stands in the `Send` that comes before."""

    message: Message
    nack: Nack


Event = Message | Send | Opened | Silent | Refused
