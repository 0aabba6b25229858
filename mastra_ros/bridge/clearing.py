"""The last look before the wire: nothing leaves that was not cleared under today's promise.

A packet says under which promise it was made (`Packet.clearance`); a record of an older spool says
nothing. Such a record is cleared anew, where that can be, or kept and counted.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Protocol

from ..errors import MastraError
from ..types import FrameKey, GateState, Packet
from .news import News

log = logging.getLogger(__name__)


class Clearer(Protocol):
    """Knows what the device has promised; called from one thread at a time."""

    def passes_live(self, packet: Packet) -> bool:
        """Whether a packet that was made just now may leave."""

    def passes(self, packet: Packet, state: GateState) -> bool:
        """Whether a packet of the spool may leave as it is."""

    def anew(self, packet: Packet) -> Packet:
        """The packet, decoded, cleared and encoded anew; may be slow. Raises MastraError."""


class NothingToHide:
    """The Clearer of the mode off."""

    def passes_live(self, packet: Packet) -> bool:  # noqa: ARG002
        """See Clearer."""
        return True

    def passes(self, packet: Packet, state: GateState) -> bool:  # noqa: ARG002
        """See Clearer."""
        return True

    def anew(self, packet: Packet) -> Packet:
        """See Clearer."""
        return packet


class SpoolGate:
    """Looks at each packet of the spool, and remembers those that have to stay. In one loop."""

    def __init__(self, clearer: Clearer) -> None:
        self.clearer = clearer
        self.state = GateState()  # of the gate between frame and encoder
        self.kept: set[FrameKey] = set()
        self.refused = 0  # live packets that came without the right clearance
        self._news = News()

    def told(self, state: GateState) -> None:
        """How the gate is now; where it has changed, what was kept is looked at again."""
        before, self.state = self.state, state
        if (before.shut, before.clearance) != (state.shut, state.clearance):
            self.kept.clear()

    def passes_live(self, packet: Packet) -> bool:
        """Whether a packet that was made just now may leave; counts those that may not."""
        passes = self.clearer.passes_live(packet)
        self.refused += not passes
        return passes

    async def of_spool(self, packet: Packet) -> Packet | None:
        """The packet as it may leave; None while it has to stay."""
        if self.clearer.passes(packet, self.state):
            return packet
        if not self.state.clearance:  # nobody has said yet what today's promise is
            return None
        try:
            cleared = await asyncio.to_thread(self.clearer.anew, packet)
        except MastraError as error:
            self.kept.add(packet.key)
            text = f"a record of the spool is kept, and not sent: {error}"
            if line := self._news.line(text, time.monotonic_ns()):
                log.warning("privacy: %s", line)
            return None
        return cleared if self.clearer.passes(cleared, self.state) else None
