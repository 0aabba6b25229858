"""What a stream's frames are encoded with: video where the gateway takes it, else tiles."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

from ..config import CompressionConfig
from ..config.compression import STILL_CODECS, VIDEO_QUALITY
from ..errors import CodecError
from ..pictures import eight_bits
from ..privacy import ClearedFrame
from ..types import Frame, Packet, PacketKind
from .chain import SCALED
from .chooser import Chooser, Runner, beside
from .codecs import CODECS, FORMATS, fault_of, open_encoder
from .encoder import Encoder
from .first import MOST_MOVES, PROCESSOR, Clock, first_of
from .payload import TILE_STEP_PX
from .rate import RateControl, Room
from .tiles import Image
from .trials import candidates
from .video import VideoChain

log = logging.getLogger(__name__)

VIDEO_MIN_PX = 64
"""Pictures with a smaller side are stills: not every codec holds them, and they cost little."""


REPEAT_SHARE = 0.5
"""Of the threshold of tiles: a frame is repeated where less than this has changed. A codec skips
what stands still for some 20 bytes, so a repeat that hides a slow change costs more than it saves:
on traffic a fifth of the frames were repeats, for 6 % of the bytes and a sixth of the likeness of
what a detector answers."""


FINE_MORE = 14
"""One frame in some that change something (`CodecSpec.fine_every`) has so much more quality, where
the encoder takes another from frame to frame and the link has room: those behind rest on it. At
equal distance of a detector's scores it saves 18 % of x264's bytes on traffic, 9 on a crossing, 5
on bottles, and 10 % of VP9's on traffic."""


class StreamEncoder:
    """Encodes the frames of one stream. Not for several threads at once.

    Until `peer` has told what the gateway decodes, and where it decodes no video, frames are tiles
    and stills as every version reads them; so is every late frame, which stands alone. A codec
    that does not work costs one line, and the next best is used.

    A frame's image must not be changed after it was given: it is kept without copying.
    """

    def __init__(
        self,
        config: CompressionConfig,
        stream: str = "main",
        *,
        qualities: Mapping[str, int] | None = None,
        run: Runner = beside,
        clock: Clock = PROCESSOR,
    ) -> None:
        """qualities: by codec, what a quality of 0 means, where that was measured.

        run: where codecs are tried while frames are encoded. clock: what says how long they take.
        """
        self._clock = clock
        self._run = run
        self._qualities = dict(qualities or {})
        self._stills = Encoder(self._of_stills(config), stream)
        self._stream = stream
        self._config = config
        self._formats: frozenset[str] = frozenset()
        self._chooser: Chooser | None = None
        self._chain: VideoChain | None = None
        self._name = ""  # of the encoder in the chain
        self._shape: tuple[int, ...] = ()
        self._gray = False
        self._told: set[str] = set()
        self._session = -1
        self._since_fine = 0
        self._asked = 0
        self.rate = RateControl()
        self._goodput_bps = math.nan

    @property
    def in_force(self) -> str:
        """Codec and quality of the next frame, for people."""
        if self._chooser is None:
            config = self._of_stills(self._config)
            return f"tiles {config.still_codec} quality {config.still_quality}"
        setting = self.rate.setting(self._wanted)
        told = f"{self._chooser.present} quality {setting.quality}"
        told += f" side {setting.scale:.0%}" if setting.scale < 1 else ""
        return told + (f" one frame in {setting.every}" if setting.every > 1 else "")

    @property
    def next_bytes(self) -> float:
        """What the next frame is expected to take; NaN while unknown, and of tiles."""
        if self._chooser is None:
            return math.nan
        key = self._chain is None or self._chain.broken
        return self.rate.expected(self._wanted, key=key)

    @property
    def _wanted(self) -> int:
        """The quality of video where the link carries it."""
        return self._quality_of("" if self._chooser is None else self._chooser.present)

    def _quality_of(self, name: str) -> int:
        """The quality wanted of an encoder: as asked for, else as measured for its codec."""
        measured = self._qualities.get(CODECS[name].family, 0) if name else 0
        return self._config.quality or measured or VIDEO_QUALITY

    def _of_stills(self, config: CompressionConfig) -> CompressionConfig:
        """The parameters for tiles and stills, with the quality that was measured for them."""
        measured = self._qualities.get(config.still_codec, 0)
        return replace(config, quality=measured) if measured and not config.quality else config

    def configure(self, config: CompressionConfig) -> None:
        """Use other parameters from the next frame on (DependencyError: a codec is missing)."""
        before, self._config = self._config, config
        self._stills.configure(self._of_stills(config))
        names = ("codec", "royalty_free", "encode_budget_ms", "tile_px", "change_threshold")
        if any(getattr(before, name) != getattr(config, name) for name in names):
            self._prepare()

    def peer(self, formats: Iterable[str]) -> None:
        """The gateway decodes these bitstreams and stills; it is sent no others."""
        told = frozenset(formats)
        self._stills.peer(told.difference((*FORMATS, SCALED)))
        self.rate.takes(scaled=SCALED in told)
        known = told.intersection(FORMATS)
        if known != self._formats:
            self._formats = known
            self._prepare()

    def fit(self, left_ms: float, now_s: float) -> bool:
        """Before a frame is encoded: the time left until its deadline (0: none), and the time.

        The quality of video comes down so far that the frame arrives in time, then the size of
        its picture, then the rate of frames; and all go up again. False: this frame is not to be
        sent, for the link does not carry as many.
        """
        if self._chooser is None:
            return True
        wanted = self._wanted
        self.rate.decide(Room.of(self._goodput_bps, left_ms), wanted, now_s)
        return self.rate.due(wanted)

    def encode(self, cleared: ClearedFrame, *, hard: bool = False, late: bool = False) -> Packet:
        """Encode a frame; a late one becomes a still that stands outside the sequence.

        What later packets rest on is the masked picture, so none carries what is under a mask.

        Raises:
            CodecError: the frame is of another stream, or no codec can hold it.
        """
        if cleared.key.stream != self._stream:
            raise CodecError(f"expected stream {self._stream!r}, got {cleared.key.stream!r}")
        # A picture with the stamp 0 cannot be rested on: the chain goes on behind it.
        video = self._formats and self._config.codec not in STILL_CODECS
        if late or not video or cleared.key.stamp_ns == 0:
            return self._stills.encode(cleared, hard=hard, late=late)
        frame = eight_bits(cleared.frame)
        shape, gray = frame.image.shape[:2], frame.image.ndim == 2
        if (shape, gray) != (self._shape, self._gray):  # what cannot hold one may hold another
            self._shape, self._gray = shape, gray
            self._prepare()
        while self._chooser is not None:
            packet = self._video(self._chooser, frame, hard=hard)
            if packet is not None:
                return replace(packet, clearance=cleared.clearance)
        return self._stills.encode(cleared, hard=hard)

    def acknowledge(self, stamp_ns: int, frame_id: str = "") -> None:
        """The gateway holds the picture of this frame; only tiles wait for that."""
        self._stills.acknowledge(stamp_ns, frame_id)

    def require_key(self) -> None:
        """The gateway lacks what the next frame would rest on: that becomes a key frame."""
        self._stills.require_key()
        if self._chain is not None:
            self._chain.cut()

    def forget(self) -> None:
        """Forget all that was sent, as for a new session: the next frame is a key frame."""
        self._stills.forget()
        if self._chain is not None:
            self._chain.cut()

    def follow(
        self,
        *,
        session: int,
        codecs: Iterable[str],
        acknowledged: tuple[int, str],
        key_frame_needed: bool,
        key_frames_asked: int,
        goodput_bps: float = math.nan,
    ) -> None:
        """What the bridge says of the link, as often as it likes.

        session: counts them; another one is with a gateway that need not know what went before.
        codecs: what it decodes. acknowledged: stamp (0: none) and id of its newest picture.
        key_frames_asked: counts what asked for a key frame; one is the answer to all before it.
        goodput_bps: what the link has carried upward; NaN while unknown.
        """
        self._goodput_bps = goodput_bps
        if session != self._session:
            self._session = session
            self.forget()
        self.peer(codecs)
        if acknowledged[0]:
            self.acknowledge(*acknowledged)
        if key_frame_needed and key_frames_asked != self._asked:
            self.require_key()
        self._asked = key_frames_asked

    def close(self) -> None:
        """End what runs beside."""
        if self._chooser is not None:
            self._chooser.close()

    def _prepare(self) -> None:
        """Which video codecs may be used now; the chain begins anew."""
        self.close()
        config = self._config
        self._chooser, self._chain, self._name = None, None, ""
        self._stills.forget()
        if config.codec in STILL_CODECS or not self._formats:
            return
        if self._shape and min(self._shape) < VIDEO_MIN_PX:
            return
        free_only = config.royalty_free
        names = candidates(config.codec, self._formats, free_only=free_only, gray=self._gray)
        if config.codec != "auto":
            names = [name for name in names if self._works(name)]
            if not names:
                self._say(f"{config.codec} is not to be had here, auto takes its place")
                names = candidates("auto", self._formats, free_only=free_only, gray=self._gray)
        # Only the first is tried before it is used; the others are, when they are measured.
        first = first_of(names, MOST_MOVES * config.encode_budget_ms, self._clock)
        if not first:
            self._say("no video codec is to be had here, so changed tiles are sent")
            return
        self._chooser = Chooser(
            names,
            budget_ms=config.encode_budget_ms,
            run=self._run,
            clock=self._clock,
            first=first,
            measured=() if config.quality else self._qualities,
        )

    def _works(self, name: str) -> bool:
        """Whether it works here; of one that was asked for by name, why not is told."""
        fault = fault_of(name)
        if fault and CODECS[name].family == self._config.codec:
            self._say(fault)
        return not fault

    def _video(self, chooser: Chooser, frame: Frame, *, hard: bool) -> Packet | None:
        """The packet of a frame; None where the codec failed and is given up."""
        config = self._config
        try:
            if self._chain is None or self._name != chooser.present:
                self._name = chooser.present
                self._chain = VideoChain(
                    open_encoder(self._name),
                    tile_px=-(-config.tile_px // TILE_STEP_PX) * TILE_STEP_PX,
                    change_threshold=REPEAT_SHARE * config.change_threshold,
                )
            spec = CODECS[self._name]
            wanted, live = self._wanted, spec.live_range > 0
            key = self._chain.broken
            scale = self.rate.setting(wanted).scale
            # Of the others, another quality would be another key.
            quality = self.rate.next_quality(wanted, key=key) if live else self.rate.quality(wanted)
            began_s = self._clock.spent_s(self._name)
            due = self._since_fine >= spec.fine_every
            fine = live and not key and due and not self.rate.steps
            finer = FINE_MORE if fine and quality == wanted else 0
            packet = self._chain.encode(frame, quality, scale=scale, hard=hard, finer=finer)
            if packet.kind is not PacketKind.REPEAT:
                self._since_fine = 1 if key or finer else self._since_fine + 1
            spent_ms = (self._clock.spent_s(self._name) - began_s) * 1e3
        except CodecError as error:
            self._give_up(chooser, str(error))
            return None
        image: Image = frame.image
        alone = packet.stands_alone
        self.rate.sent(len(packet.payload), key=alone, quality=quality)
        size = 0 if alone else len(packet.payload)
        idle = alone or packet.kind is PacketKind.REPEAT
        chooser.saw(
            image,
            frame.encoding,
            size,
            self._quality_of,
            spent_ms=math.nan if idle else spent_ms,
        )
        return packet

    def _give_up(self, chooser: Chooser, reason: str) -> None:
        self._say(f"{reason}; the next best codec takes its place")
        self._chain = None
        if not chooser.drop(self._name):
            chooser.close()
            self._chooser = None

    def _say(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            log.warning("compression: %s", text)
