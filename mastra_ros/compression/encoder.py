"""Frames into packets, on the device.

A delta is conditional replenishment (Mounts, "A video encoding system with conditional
picture-element replenishment", 1969): tiles that differ from the reference are sent anew and
replace what is there; nothing is ever added to it. So the encoder need not know the decoder's
pixels to the last bit. It keeps, for each picture sent, the *camera's* pixels from which every tile
of the decoder's picture was coded, and compares new frames with those. Against the decoded pixels
the ringing of the codec at every edge would look like change; against the camera's only noise and
true change are left, and a drift too slow to be seen from frame to frame is found all the same,
because what is compared with stays what was sent.

The reference is the newest frame that the gateway has acknowledged, never one merely sent.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from ..config import CompressionConfig
from ..errors import CodecError
from ..pictures import eight_bits
from ..privacy import ClearedFrame
from ..types import Frame, FrameKey, Packet, PacketKind
from .changes import changed_tiles
from .payload import TILE_STEP_PX, Payload, pack
from .stills import DEEP, JPEGLS, LOSSLESS, check_codec, encode_still
from .tiles import Image, Mask, cut, paste

SENT_MAX = 32
"""Sent pictures that still wait for their acknowledgement; older ones are given up."""


@dataclass(frozen=True)
class _Picture:
    """What the decoder holds under this stamp and check, in the camera's pixels."""

    stamp_ns: int
    check: int
    encoding: str
    image: Image


@dataclass(frozen=True)
class _Sent:
    """A packet on its way: a whole picture, or what changes `parent`."""

    number: int  # counts the packets: stamps may repeat or go back
    key: FrameKey
    check: int
    encoding: str
    image: Image  # key: the frame; delta: the mosaic, or the parent's picture where none changed
    parent: _Picture | None = None
    mask: Mask | None = None
    tile_px: int = 0

    def picture(self) -> _Picture:
        image = self.image
        if self.parent is not None and self.mask is not None and self.mask.any():
            image = paste(self.image, self.mask, self.parent.image, self.tile_px)
        return _Picture(self.key.stamp_ns, self.check, self.encoding, image)


class Encoder:
    """Encodes the frames of one stream. Not for several threads at once.

    A frame's image must not be changed after it was given: it is kept without copying.
    """

    def __init__(self, config: CompressionConfig, stream: str = "main") -> None:
        self._stream = stream
        self._reference: _Picture | None = None
        self._sent: OrderedDict[FrameKey, _Sent] = OrderedDict()
        self._number = 0
        self._key_wanted = False
        self._deltas = 0  # since the last key frame
        self._taken: frozenset[str] = frozenset()
        self.configure(config)

    def configure(self, config: CompressionConfig) -> None:
        """Use other parameters from the next frame on (DependencyError: a codec is missing)."""
        check_codec(config.still_codec)
        self._config = config
        self._threshold = 0.0 if config.codec == JPEGLS else config.change_threshold
        self._tile_px = -(-config.tile_px // TILE_STEP_PX) * TILE_STEP_PX

    def peer(self, takes: Iterable[str]) -> None:
        """What the gateway has said that it reads beyond what every version does."""
        if (taken := frozenset(takes)) != self._taken:
            self._taken = taken
            self.forget()

    def _codec_of(self, *, late: bool) -> str:
        """For the next frame. A spool may meet any gateway, so what is late is what all read."""
        codec = self._config.still_codec
        return "png" if codec == JPEGLS and (late or JPEGLS not in self._taken) else codec

    @property
    def reference_ns(self) -> int:
        """Stamp of the picture that the next delta would change; 0 without one."""
        return 0 if self._reference is None else self._reference.stamp_ns

    def encode(self, cleared: ClearedFrame, *, hard: bool = False, late: bool = False) -> Packet:
        """Encode a frame; a late one becomes a key frame that stands outside the sequence.

        What it keeps to compare with is the masked picture: no delta carries what is under a mask.

        One of 16 bits is sent with 8, as the device's own model sees it and every gateway knows
        it, unless the codec is lossless and the gateway has said that it takes 16.

        Raises:
            CodecError: the frame is of another stream, or too large for the codec.
        """
        packet = self._encode(cleared.frame, hard=hard, late=late)
        return replace(packet, clearance=cleared.clearance)

    def _encode(self, frame: Frame, *, hard: bool, late: bool) -> Packet:
        if frame.key.stream != self._stream:
            raise CodecError(f"expected stream {self._stream!r}, got {frame.key.stream!r}")
        codec = self._codec_of(late=late)
        if late or DEEP not in self._taken or codec not in LOSSLESS:
            frame = eight_bits(frame)
        if late:
            payload, _ = pack(self._whole(frame, codec))
            return _packet(frame, PacketKind.KEY, payload, 0, hard=hard, late=True)
        reference = self._usable(frame)
        if reference is not None:
            mask = changed_tiles(frame.image, reference.image, self._tile_px, self._threshold)
            if np.count_nonzero(mask) <= self._config.key_share * mask.size:
                return self._delta(frame, reference, mask, codec, hard=hard)
        payload, check = pack(self._whole(frame, codec))
        self._key_wanted = False
        self._deltas = 0
        self._remember(_Sent(self._next(), frame.key, check, frame.encoding, frame.image))
        return _packet(frame, PacketKind.KEY, payload, 0, hard=hard, late=False)

    def acknowledge(self, stamp_ns: int, frame_id: str = "") -> None:
        """The gateway holds the picture of this frame; unknown and old ones change nothing.

        Without an id the stamp has to be that of one picture alone.
        """
        key = FrameKey(self._stream, stamp_ns, frame_id)
        if not frame_id:
            named = [sent for sent in self._sent if sent.stamp_ns == stamp_ns]
            key = named[0] if len(named) == 1 else key
        sent = self._sent.pop(key, None)
        if sent is None:
            return
        self._reference = sent.picture()  # older ones are forgotten below, so this is the newest
        for old in [s.key for s in self._sent.values() if s.number < sent.number]:
            del self._sent[old]

    def require_key(self) -> None:
        """The gateway lacks a reference: the next frame is a key frame.

        Key frames on their way stay good as references; what rests on the lost one does not.
        """
        self._key_wanted = True
        self._reference = None
        for lost in [s.key for s in self._sent.values() if s.parent is not None]:
            del self._sent[lost]

    def forget(self) -> None:
        """Forget all that was sent, as for a new session: the next frame is a key frame."""
        self.require_key()
        self._sent.clear()

    def _usable(self, frame: Frame) -> _Picture | None:
        """The reference, where a delta of this frame is possible and due."""
        reference = self._reference
        if (
            reference is None
            or self._key_wanted
            or self._deltas >= self._config.key_interval_frames
            or reference.encoding != frame.encoding
            or reference.image.shape != frame.image.shape
        ):
            return None
        return reference

    def _whole(self, frame: Frame, codec: str) -> Payload:
        config = self._config
        still = encode_still(
            frame.image,
            frame.encoding,
            codec,
            config.still_quality,
            error_max=config.error_max,
        )
        return Payload(
            codec,
            frame.encoding,
            frame.width_px,
            frame.height_px,
            frame.key.stamp_ns,
            still,
        )

    def _delta(
        self, frame: Frame, reference: _Picture, mask: Mask, codec: str, *, hard: bool
    ) -> Packet:
        config = self._config
        image, still = reference.image, b""
        if mask.any():
            image = cut(frame.image, mask, self._tile_px)
            still = encode_still(
                image,
                frame.encoding,
                codec,
                config.still_quality,
                smallest=True,
                error_max=config.error_max,
            )
        payload, check = pack(
            Payload(
                codec,
                frame.encoding,
                frame.width_px,
                frame.height_px,
                frame.key.stamp_ns,
                still,
                self._tile_px,
                reference.stamp_ns,
                reference.check,
                mask,
            )
        )
        self._deltas += 1
        sent = _Sent(
            self._next(), frame.key, check, frame.encoding, image, reference, mask, self._tile_px
        )
        self._remember(sent)
        return _packet(frame, PacketKind.DELTA, payload, reference.stamp_ns, hard=hard, late=False)

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _remember(self, sent: _Sent) -> None:
        if sent.key.stamp_ns == 0:  # a delta cannot name it
            return
        self._sent.pop(sent.key, None)
        self._sent[sent.key] = sent
        if len(self._sent) > SENT_MAX:
            self._sent.popitem(last=False)


def _packet(
    frame: Frame, kind: PacketKind, payload: bytes, reference_ns: int, *, hard: bool, late: bool
) -> Packet:
    return Packet(
        frame.key,
        kind,
        payload,
        frame.width_px,
        frame.height_px,
        frame.encoding,
        reference_ns,
        hard,
        late,
    )
