"""Gives artefacts to the devices that they are for: offers, pieces, acknowledgements."""

from __future__ import annotations

import logging
import math
import os
import time
from dataclasses import dataclass

from ...errors import StoreError
from ...protocol.artefacts import (
    ArtefactAck,
    ArtefactOffer,
    ArtefactPiece,
    ArtefactRequest,
)
from .keeping import Keeping, KeptArtefact

logger = logging.getLogger(__name__)

AHEAD_BYTES = 65_536
"""So much is read at once, since pieces are small and come in order."""
OFFERS_MAX = 16
"""Offered to a stream at once; the next ones follow as these are acknowledged."""


@dataclass(frozen=True)
class Block:
    """Bytes of an artefact from `offset` on, which a stream may have."""

    id: int
    offset: int
    data: bytes
    until_s: float  # since 1970; it has expired then

    def piece(self, request: ArtefactRequest) -> ArtefactPiece | None:
        """What is asked for; None where it is not all in here."""
        start = request.offset - self.offset
        end = start + request.length
        if request.id != self.id or start < 0 or end > len(self.data):
            return None
        if time.time() > self.until_s:
            return None
        return ArtefactPiece(request.id, request.offset, self.data[start:end])


class ArtefactDesk:
    """The artefacts of all devices. Methods touch the disk: call them in a thread."""

    def __init__(self, keeping: Keeping) -> None:
        self._keeping = keeping

    def offers(self, device: str, stream: str) -> list[ArtefactOffer]:
        """What a stream has not got yet, the oldest first; nothing where that cannot be told."""
        now_s = time.time()
        try:
            waiting = self._keeping.undelivered(device, stream, now_s, OFFERS_MAX)
        except StoreError as error:
            logger.error("%s/%s: no artefacts are offered: %s", device, stream, error)
            return []
        return [_offer(kept, now_s) for kept in waiting]

    def block(self, device: str, stream: str, request: ArtefactRequest) -> Block | None:
        """What is asked for and what comes behind it, of what was offered to this stream.

        None where there is no such thing, any longer.
        """
        try:
            kept = self._keeping.artefact(request.id)
            if kept is None or (kept.device, kept.stream) != (device, stream):
                return None
            if kept.expired(time.time()) or request.offset + request.length > kept.size:
                return None
            descriptor = os.open(self._keeping.data(kept), os.O_RDONLY | os.O_NOFOLLOW)
            try:
                data = os.pread(descriptor, max(request.length, AHEAD_BYTES), request.offset)
            finally:
                os.close(descriptor)
        except (StoreError, OSError) as error:
            logger.error("%s/%s: artefact %d: %s", device, stream, request.id, error)
            return None
        until_s = kept.made_s + kept.expires_s if kept.expires_s else math.inf
        return Block(request.id, request.offset, data, until_s)

    def acknowledged(self, device: str, stream: str, ack: ArtefactAck) -> bool:
        """The device has it or does not want it; whether it was one of its own."""
        try:
            kept = self._keeping.artefact(ack.id)
            own = kept is not None and (kept.device, kept.stream) == (device, stream)
            if kept is None or not own or kept.sha256 != ack.sha256:
                return False
            if ack.outcome != "stored":
                logger.warning(
                    "%s/%s: artefact %s %s is refused: %s",
                    *(device, stream, kept.kind, kept.name, ack.text),
                )
            self._keeping.delivered(ack.id, time.time())
        except StoreError as error:
            logger.error("%s/%s: artefact %d: %s", device, stream, ack.id, error)
            return False
        return True


def _offer(kept: KeptArtefact, now_s: float) -> ArtefactOffer:
    life_s = max(0.001, kept.made_s + kept.expires_s - now_s) if kept.expires_s else 0.0
    return ArtefactOffer(
        *(kept.id, kept.kind, kept.name, kept.size, kept.sha256),
        *(kept.version, kept.media_type, kept.keep, min(life_s, 1e9)),
    )
