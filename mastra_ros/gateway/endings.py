"""Why a session ends, in the codes of our goodbye and of WebSocket."""

from __future__ import annotations

from dataclasses import dataclass

CLOSE_CODES = {
    "closing": 1001,
    "protocol": 1002,
    "version": 1002,
    "forbidden": 1008,
    "overloaded": 1013,
    "silent": 1001,
    "replaced": 1001,
}
"""Codes of RFC 6455 for the codes of Goodbye."""
TOO_BIG = 1009
NORMAL = 1000
FAILED = 1011


@dataclass(frozen=True)
class End:
    """Why and how a session ends; without a goodbye (None) the device has gone already."""

    code: str
    text: str
    close_code: int = NORMAL
    goodbye: bytes | None = None
