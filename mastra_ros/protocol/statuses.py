"""Messages of the extension `status`: what a device tells of itself, at most once a second.

Not durable: the newest wins. After an outage a device tells those of the last minutes as well,
each with how long ago it was by the device's clock that never jumps, so that the gateway can place
it by its own. A good one is not answered; what is wrong with one costs one `StatusNack`, and so its
body is looked at apart from the message.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from .checks import checked, choice, integer, text
from .messages import Message

EXTENSION = "status"
"""What hello and welcome call it."""
AGO_MS_MAX = 3_600_000
STATUS_CODES = ("corrupt", "too_large", "overloaded")


def _bytes(value: Any) -> bytes:
    return value if type(value) is bytes else b""


@dataclass(frozen=True)
class StatusReport(Message):
    """Device: a status. `run` and `number` name it among those of this device's stream.

    run: a random number of this start of the bridge. body: see `mastra_ros.statuses`; what is no
    bytes is empty, which is refused and ends no session.
    """

    TYPE_ID: ClassVar[int] = 86
    run: int = checked(integer())
    number: int = checked(integer())
    body: bytes = checked(_bytes)
    ago_ms: int = checked(integer(0, AGO_MS_MAX), 0)


@dataclass(frozen=True)
class StatusNack(Message):
    """Gateway: the status of this number is not taken, for the reason in `code`."""

    TYPE_ID: ClassVar[int] = 87
    number: int = checked(integer())
    code: str = checked(choice(*STATUS_CODES))
    text: str = checked(text(256), "")


STATUS_MESSAGES: tuple[type[Message], ...] = (StatusReport, StatusNack)
