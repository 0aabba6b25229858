"""Durable frames in named sets: a sweep, an archive, pictures to train with.

A frame of a set is a packet that nobody infers and that has no deadline. It is kept on the device
until the gateway has committed it, and there, as it was sent, until an application closes the set.
Within a set frames are told apart by a sequence number, which whoever makes them gives. An end may
be told as well; what came before it is committed before it is.
"""

from __future__ import annotations

from dataclasses import dataclass

from .errors import RecordError
from .records import check_kind
from .types import Packet, PacketKind

SEQUENCE_MAX = 2**53
WHOLE_KINDS = (PacketKind.KEY, PacketKind.FEATURES)
"""Kinds that stand alone whatever was sent before."""


@dataclass(frozen=True)
class SetFrame:
    """One frame of a set, or the end of one, where there is no packet.

    set: a name of 1 to 64 letters, digits, dots, hyphens, underscores; it is not used again for
    another set of the same stream. sequence: where in the set it belongs, the end behind all
    frames. Told twice it is kept once. What else is known of the frame (a pose, a digest) is the
    `meta` of the packet.
    Raises RecordError where it makes no sense.
    """

    set: str
    sequence: int
    packet: Packet | None = None

    def __post_init__(self) -> None:
        check_kind(self.set)
        if type(self.sequence) is not int or not 0 <= self.sequence <= SEQUENCE_MAX:
            raise RecordError(
                f"set: expected a sequence 0 to {SEQUENCE_MAX}, got {self.sequence!r:.40}"
            )
        if self.packet is not None and self.packet.kind not in WHOLE_KINDS:
            kinds = " or ".join(kind.value for kind in WHOLE_KINDS)
            raise RecordError(f"set: expected a packet of {kinds}, got {self.packet.kind.value}")
