"""Gives artefacts to the devices that they are for: offers, pieces, acknowledgements."""

from __future__ import annotations

import logging
import os
import time

from ...errors import StoreError
from ...protocol.artefacts import (
    ArtefactAck,
    ArtefactOffer,
    ArtefactPiece,
    ArtefactRequest,
)
from .keeping import Keeping, KeptArtefact

logger = logging.getLogger(__name__)

OFFERS_MAX = 16
"""Offered to a stream at once; the next ones follow as these are acknowledged."""


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

    def piece(self, device: str, stream: str, request: ArtefactRequest) -> ArtefactPiece:
        """A piece of what was offered to this stream; `gone` for everything else."""
        gone = ArtefactPiece(request.id, request.offset, gone=True)
        try:
            kept = self._keeping.artefact(request.id)
            if kept is None or (kept.device, kept.stream) != (device, stream):
                return gone
            if kept.expired(time.time()) or request.offset + request.length > kept.size:
                return gone
            descriptor = os.open(self._keeping.data(kept), os.O_RDONLY | os.O_NOFOLLOW)
            try:
                data = os.pread(descriptor, request.length, request.offset)
            finally:
                os.close(descriptor)
        except (StoreError, OSError) as error:
            logger.error("%s/%s: artefact %d: %s", device, stream, request.id, error)
            return gone
        return ArtefactPiece(request.id, request.offset, data)

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
