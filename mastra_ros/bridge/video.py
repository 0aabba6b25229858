"""Video packets of one session: each rests on the one before, so their order is kept or ended.

Pure bookkeeping. What rests on a packet that was not sent, or was refused, is not sent: the gateway
would only refuse it, and the device's own model answers the sooner.
"""

from __future__ import annotations

import logging

from ..types import STILL_KINDS, Packet, PacketKind

log = logging.getLogger(__name__)

KEYS_REFUSED_MAX = 3
"""After so many key frames of a codec that the gateway cannot decode, it is sent no more of it."""
PATIENCE = 15
"""After so many frames that rest on nothing a key frame is asked for once more."""
_DAMAGED = ("corrupt", "failed", "too_large")


class VideoOrder:
    """Whether the gateway's decoder can be where our packets take it to be."""

    def __init__(self) -> None:
        self._broken = True  # whoever is there now need not know what went before
        self._began = 0  # number of the key frame that the chain hangs on
        self._waited = 0
        self._keys_refused = 0

    def not_known(self, packet: Packet, codecs: tuple[str, ...]) -> str:
        """Why this gateway cannot be sent a packet; empty: it can."""
        if packet.kind in STILL_KINDS or packet.codec in codecs:
            return ""
        return f"the gateway does not decode {packet.codec or 'a video that names no codec'}"

    def rests_on_nothing(self, packet: Packet) -> str:
        """Why a packet is of no use now; empty: it may be sent."""
        if packet.kind in STILL_KINDS or packet.stands_alone or not self._broken:
            return ""
        return "it rests on a frame that was not sent in this session"

    def sent(self, packet: Packet, number: int) -> None:
        """It goes to the gateway under this number."""
        if packet.kind is PacketKind.VIDEO and packet.stands_alone:
            self._broken, self._began, self._waited = False, number, 0

    def turned_away(self, packet: Packet) -> bool:
        """It never got a number; whether one more key frame has to be asked for.

        One that stands alone may have been the answer to what was asked for before. Of others so
        many mean that the answer was lost.
        """
        if packet.kind in STILL_KINDS:
            return False
        self._waited += 1
        asks = self._waited % PATIENCE == 0
        if packet.kind is PacketKind.VIDEO:
            asks = asks or packet.stands_alone or not self._broken
            self._broken = True
        return asks

    def lost(self, packet: Packet, number: int) -> bool:
        """It was not sent after all, or was refused; whether the chain ends with that."""
        if packet.kind is not PacketKind.VIDEO or number < self._began:
            return False
        self._broken = True
        return True

    def acknowledged(self, packet: Packet) -> None:
        """The gateway has decoded it."""
        if packet.kind is PacketKind.VIDEO:
            self._keys_refused = 0

    def undecodable(self, packet: Packet, code: str) -> bool:
        """It was refused with this code; whether the gateway shall be sent no more of its codec."""
        if packet.kind is PacketKind.VIDEO and packet.stands_alone and code in _DAMAGED:
            self._keys_refused += 1
        if self._keys_refused < KEYS_REFUSED_MAX:
            return False
        self._keys_refused = 0
        log.warning(
            "bridge: the gateway refuses %d key frames of %s (%s): no more in this session",
            *(KEYS_REFUSED_MAX, packet.codec, code),
        )
        return True
