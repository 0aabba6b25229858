"""What the arbiter asks its surroundings to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from mastra_ros.types import FrameKey, Result, Route


@dataclass(frozen=True)
class Dispatch:
    """Give this frame to a route.

    deadline_ns: when an answer stops counting, on the caller's clock; 0 without a deadline.
    hard: the device was unsure of this frame. archive: encode it for the spool only, since it
    is answered elsewhere.
    """

    key: FrameKey
    route: Route
    reason: str
    deadline_ns: int = 0
    hard: bool = False
    archive: bool = False


@dataclass(frozen=True)
class Publish:
    """Publish a final result, or a provisional one (`result.final` false)."""

    result: Result


@dataclass(frozen=True)
class PublishLate:
    """Publish apart: an answer for a frame that already has its final result, or of the spool."""

    result: Result


@dataclass(frozen=True)
class DeadlineMissed:
    """A frame sent away got no answer in time. For the scheduler itself, not for the node.

    sent_ns: when it was sent, steady time. silent: nothing came from the gateway since then.
    """

    key: FrameKey
    sent_ns: int
    silent: bool


@dataclass(frozen=True)
class Superseded:
    """A frame that was announced was never admitted: no result will come."""

    key: FrameKey


Action: TypeAlias = "Dispatch | Publish | PublishLate | Superseded"
"""What a node has to carry out, in this order."""

Event: TypeAlias = "Dispatch | Publish | PublishLate | Superseded | DeadlineMissed"
"""What the arbiter returns."""
