"""The two ends of a chain of video packets, which stay in step or begin anew.

A video decoder is a state machine: it must have seen exactly the packets that the encoder believes
it has. So each packet names the one that it rests on, and the decoder knows by what name its own
state goes: what names another is refused before a codec sees it, and a key frame begins a new
chain. The encoder rests on what it has sent last, without waiting for an acknowledgement: whoever
carries the packets keeps their order, and says when one was not carried.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from ..errors import CodecError, ReferenceMissing
from ..types import Frame, Packet, PacketKind
from .chain import Link, VideoPayload, pack_video, unpack_video
from .changes import changed_tiles
from .codecs import VideoDecoder, VideoEncoder, open_decoder
from .tiles import Image

SCALED_MIN_PX = 64
"""No picture is made smaller than this on a side."""
BAND_PX = 96
"""Change is looked for in bands of about this height: the first that has any is enough."""

DecoderMaker = Callable[[str, str, int, int], VideoDecoder]


@dataclass(frozen=True)
class _State:
    """The packet that the next one rests on, and the camera's picture in it."""

    stamp_ns: int
    check: int
    encoding: str
    image: Image
    quality: int
    scale: float


class VideoChain:
    """Encodes the frames of one stream with one video encoder. Not for several threads at once.

    A frame's image must not be changed after it was given: it is kept without copying.
    """

    def __init__(self, encoder: VideoEncoder, *, tile_px: int, change_threshold: float) -> None:
        self._encoder = encoder
        self._tile_px = tile_px
        self._threshold = change_threshold
        self._state: _State | None = None
        self._moving = 0  # where something has changed last

    @property
    def broken(self) -> bool:
        """Whether the next packet will be a key."""
        return self._state is None

    def cut(self) -> None:
        """Something was not carried or is not there: the next packet is a key."""
        self._state = None

    def encode(
        self,
        frame: Frame,
        quality: int,
        *,
        scale: float = 1.0,
        hard: bool = False,
        finer: int = 0,
    ) -> Packet:
        """Encode a frame of 8 bits; unchanged, it becomes a repeat.

        scale: of the sides of the picture that the codec holds, 1 at most. finer: so much more
        quality than is wanted, of a frame that changes something; those behind it rest on it.

        Raises:
            CodecError: the encoder does not take it; the next packet is a key.
        """
        if frame.key.stamp_ns == 0:
            raise CodecError("a picture with the stamp 0 cannot be rested on")
        before, self._state = self._state, None
        if before is not None and not (_alike(before, frame) and before.scale == scale):
            before = None
        if before is not None and before.quality == quality and self._unchanged(before, frame):
            self._state = before
            payload = VideoPayload(Link.REPEAT, self._encoder.format, before.check, b"")
            return _packet(frame, PacketKind.REPEAT, payload, before.stamp_ns, hard)[0]
        image = _smaller(frame.image, scale)
        asked = min(100, quality + finer)
        coded = self._encoder.encode(image, frame.encoding, key=before is None, quality=asked)
        if coded.key or before is None:
            coded_px = None if image is frame.image else (image.shape[1], image.shape[0])
            payload = VideoPayload(Link.KEY, self._encoder.format, 0, coded.data, coded_px)
            packet, check = _packet(frame, PacketKind.VIDEO, payload, 0, hard)
        else:
            payload = VideoPayload(Link.INTER, self._encoder.format, before.check, coded.data)
            packet, check = _packet(frame, PacketKind.VIDEO, payload, before.stamp_ns, hard)
        state = (frame.key.stamp_ns, check, frame.encoding, frame.image, quality, scale)
        self._state = _State(*state)
        return packet

    def _unchanged(self, before: _State, frame: Frame) -> bool:
        """Whether no tile has changed; looked for from where one had, which is the rule."""
        height_px = self._tile_px * max(1, BAND_PX // self._tile_px)
        image = frame.image
        bands = [slice(top, top + height_px) for top in range(0, image.shape[0], height_px)]
        first = min(self._moving, len(bands) - 1)
        for number in (first, *(n for n in range(len(bands)) if n != first)):
            band = bands[number]
            args = (self._tile_px, self._threshold)
            if changed_tiles(image[band], before.image[band], *args).any():
                self._moving = number
                return False
        return True


def _smaller(image: Image, scale: float) -> Image:
    """The picture at this share of its sides, itself for 1 and where too little would be left."""
    height, width = image.shape[:2]
    size = (round(width * scale), round(height * scale))
    if scale >= 1.0 or min(size) < SCALED_MIN_PX:
        return image
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _alike(before: _State, frame: Frame) -> bool:
    return before.encoding == frame.encoding and before.image.shape == frame.image.shape


def _packet(
    frame: Frame, kind: PacketKind, payload: VideoPayload, reference_ns: int, hard: bool
) -> tuple[Packet, int]:
    packet = Packet(
        frame.key,
        kind,
        b"",
        frame.width_px,
        frame.height_px,
        frame.encoding,
        reference_ns,
        hard,
        codec=payload.format,
    )
    data, check = pack_video(payload, packet)
    return dataclasses.replace(packet, payload=data), check


@dataclass
class _Held:
    """A decoder, the name of what it has decoded last, and that picture."""

    decoder: VideoDecoder
    format: str
    encoding: str
    name: tuple[int, int]  # stamp and check
    image: Image


class VideoReceiver:
    """Decodes the video packets of one stream: one decoder, or none. For one thread at a time."""

    def __init__(self, make: DecoderMaker = open_decoder) -> None:
        self._make = make
        self._held: _Held | None = None

    @property
    def bytes_kept(self) -> int:
        """Most memory that decoder and last picture may take, bytes."""
        held = self._held
        return 0 if held is None else held.decoder.bytes_kept + held.image.nbytes

    def forget(self) -> bool:
        """Give up the decoder; False where there is none. The stream needs a key frame then."""
        held, self._held = self._held, None
        return held is not None

    def decode(self, packet: Packet) -> Image:
        """The read-only picture of a packet of kind `video` or `repeat`.

        Raises:
            ReferenceMissing: it rests on another packet than the one decoded last here.
            CodecError: it is damaged, or no single picture of the size that it says.
        """
        payload, check = unpack_video(packet)
        if payload.link is Link.KEY:
            return self._key(packet, payload, check)
        held = self._held
        name = (packet.reference_ns, payload.rests_on)
        if held is None:
            raise ReferenceMissing(f"no picture of {name[0]} ns is kept")
        if held.name != name:
            raise ReferenceMissing(
                f"the picture of {name[0]} ns is not the one decoded last, of {held.name[0]} ns"
            )
        expected = (held.format, held.encoding, *held.image.shape[:2])
        found = (payload.format, packet.encoding, packet.height_px, packet.width_px)
        if expected != found:
            raise CodecError(f"video: expected {expected} as before, got {found}")
        if payload.link is Link.REPEAT:
            return held.image
        self._held = None  # of no use any more where decoding fails
        held.image = _whole(held.decoder.decode(payload.data), packet)
        held.name = (packet.key.stamp_ns, check)
        self._held = held
        return held.image

    def _key(self, packet: Packet, payload: VideoPayload, check: int) -> Image:
        """Each key has a decoder of its own: nothing of what came before can reach its picture."""
        size = payload.coded_px or (packet.width_px, packet.height_px)
        decoder = self._make(payload.format, packet.encoding, *size)
        image = _whole(decoder.decode(payload.data), packet)
        name = (packet.key.stamp_ns, check)
        self._held = _Held(decoder, payload.format, packet.encoding, name, image)
        return image


def _whole(image: Image, packet: Packet) -> Image:
    """Read-only, and of the frame's size: boxes found in it are the frame's."""
    size = (packet.width_px, packet.height_px)
    if image.shape[:2] != size[::-1]:
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    image.setflags(write=False)
    return image
