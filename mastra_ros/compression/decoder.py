"""Packets into frames, in the gateway."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from ..errors import CodecError, ReferenceMissing
from ..types import Frame, Packet, PacketKind
from .payload import Payload, unpack
from .stills import decode_still
from .tiles import Image, layout, paste
from .video import VideoReceiver


class _Picture(NamedTuple):
    """A decoded picture."""

    encoding: str
    image: Image


class Decoder:
    """Decodes the packets of one stream and keeps the latest pictures as references.

    One instance a device and stream; not for several threads at once. Nothing is allocated for a
    picture of more than `pixels_max` px. Late packets are decoded, but not kept: no delta will
    ever refer to them.
    """

    def __init__(
        self, references_kept: int = 16, pixels_max: int = 33_554_432, *, video: bool = True
    ) -> None:
        self._takes_video = video
        self._references_kept = references_kept
        self._pixels_max = pixels_max
        # By stamp and check of the payload: under one stamp there may be several pictures.
        self._kept: OrderedDict[tuple[int, int], _Picture] = OrderedDict()
        self._uses: dict[int, int] = {}  # of the pixels kept, by their id
        self._kept_bytes = 0
        self._video = VideoReceiver()

    @property
    def bytes_kept(self) -> int:
        """Memory of the references, bytes; pictures that share their pixels count once."""
        return self._kept_bytes + self._video.bytes_kept

    def decode(self, packet: Packet) -> Frame:
        """The frame in a packet. Its image is read-only, since it may serve as a reference.

        Raises:
            ReferenceMissing: the delta's reference is not here, or is another picture than the
                encoder's under the same stamp; a key frame helps.
            CodecError: the packet holds no picture, is damaged, too large, or contradicts itself.
        """
        if packet.kind is PacketKind.FEATURES:
            raise CodecError("expected a picture, got features")
        pixels = packet.width_px * packet.height_px
        if pixels > self._pixels_max:
            raise CodecError(f"expected at most {self._pixels_max} px, got {pixels}")
        if packet.kind in (PacketKind.VIDEO, PacketKind.REPEAT):
            if not self._takes_video or packet.late:
                raise CodecError("video is not taken here, or comes late: it cannot stand alone")
            return Frame(packet.key, self._video.decode(packet), packet.encoding)
        payload, check = unpack(packet)
        if payload.mask is None:
            image = decode_still(
                payload.still,
                payload.encoding,
                payload.codec,
                payload.width_px,
                payload.height_px,
            )
        else:
            image = self._changed(payload)
        image.setflags(write=False)
        if not packet.late:
            self._keep((packet.key.stamp_ns, check), _Picture(payload.encoding, image))
        return Frame(packet.key, image, payload.encoding)

    def forget_oldest(self) -> bool:
        """Give up the picture that has been of no use for longest; False when none is kept."""
        if not self._kept:
            return self._video.forget()
        self._forget_first()
        return True

    def _changed(self, payload: Payload) -> Image:
        """The reference with the changed tiles replaced."""
        assert payload.mask is not None
        name = (payload.reference_ns, payload.reference_check)
        reference = self._kept.get(name)
        if reference is None:
            if any(stamp_ns == payload.reference_ns for stamp_ns, _ in self._kept):
                raise ReferenceMissing(
                    f"the picture of {payload.reference_ns} ns is another than the encoder's"
                )
            raise ReferenceMissing(f"no picture of {payload.reference_ns} ns is kept")
        shape = (payload.height_px, payload.width_px)
        if reference.image.shape[:2] != shape or reference.encoding != payload.encoding:
            raise CodecError("a delta of another size or encoding than its reference")
        # In use, so the last to be given up.
        self._kept.move_to_end(name)
        if not payload.tiles:
            return reference.image
        rows, columns = layout(payload.tiles, payload.tile_px)
        mosaic = decode_still(
            payload.still,
            payload.encoding,
            payload.codec,
            columns * payload.tile_px,
            rows * payload.tile_px,
        )
        return paste(mosaic, payload.mask, reference.image, payload.tile_px)

    def _keep(self, name: tuple[int, int], picture: _Picture) -> None:
        before = self._kept.pop(name, None)
        self._kept[name] = picture
        self._use(picture.image, 1)
        if before is not None:
            self._use(before.image, -1)
        while len(self._kept) > self._references_kept:
            self._forget_first()

    def _forget_first(self) -> None:
        _, picture = self._kept.popitem(last=False)
        self._use(picture.image, -1)

    def _use(self, image: Image, by: int) -> None:
        """Count pictures that have these pixels."""
        uses = self._uses.pop(id(image), 0) + by
        if uses:
            self._uses[id(image)] = uses
        if uses == 0 or uses == by:  # the last one went, or the first came
            self._kept_bytes += by * image.nbytes
