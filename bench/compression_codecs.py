"""Plain codecs, as anybody types them, and ours, all behind one call: a frame in, bytes and a
picture out. The plain ones are PyAV's and OpenCV's own and share nothing with our encoders.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Protocol

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from mastra_ros.compression import Decoder, StreamEncoder
from mastra_ros.compression.chain import unpack_video
from mastra_ros.compression.first import PROCESSOR, Clock
from mastra_ros.config import CompressionConfig, build
from mastra_ros.privacy import hiding_nothing
from mastra_ros.types import STILL_KINDS, Frame, FrameKey

Picture = NDArray[np.uint8]

KEY_EVERY = 60
NEVER = 100_000
ACKNOWLEDGED_AFTER = 2
GATE = hiding_nothing("codecs measured on this machine; nothing is sent")
"""Frames, as with a round trip of 130 ms at 15 frames/s; of tiles, which rest on nothing else."""


class Coder(Protocol):
    """Both ends of one codec."""

    def encode(self, image: Picture) -> tuple[bytes, int]:
        """What travels, and the bytes of headers in it."""
        ...

    def decode(self, data: bytes) -> Picture:
        """The picture, of the packets in order."""
        ...

    def rest(self) -> None:
        """Work that is done beside that of the stream, told apart from its time."""
        ...


@dataclass(frozen=True)
class Setting:
    """One point of a curve: `make` a coder of frames of this shape."""

    curve: str
    quality: str
    make: Callable[[Sequence[int]], Coder]
    plain: bool = True  # one that anybody has without us: may be "the best codec"


class Jpeg:
    """One still a frame."""

    def __init__(self, quality: int) -> None:
        self._options = [cv2.IMWRITE_JPEG_QUALITY, quality]

    def encode(self, image: Picture) -> tuple[bytes, int]:
        return cv2.imencode(".jpg", image, self._options)[1].tobytes(), 0

    def decode(self, data: bytes) -> Picture:
        flags = cv2.IMREAD_UNCHANGED
        return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), flags), np.uint8)

    def rest(self) -> None: ...


_DECODERS = {"libx264": "h264", "libx265": "hevc", "libvpx-vp9": "vp9", "libsvtav1": "libdav1d"}


class Video:
    """An encoder of FFmpeg in one thread with nothing held back, and the decoder of its format."""

    def __init__(
        self, name: str, options: dict[str, str], shape: Sequence[int], key_every: int
    ) -> None:
        self._gray = len(shape) == 2
        self._count = 0
        context: Any = av.CodecContext.create(name, "w")
        context.height, context.width = shape[:2]
        context.pix_fmt, context.time_base = "yuv420p", Fraction(1, 15)
        context.framerate, context.gop_size = Fraction(15), key_every
        context.max_b_frames, context.thread_count, context.options = 0, 1, options
        self._encoder = context
        decoder: Any = av.CodecContext.create(_DECODERS[name], "r")
        decoder.thread_count = 1
        decoder.flags |= 1 << 19  # low delay
        self._decoder = decoder

    def encode(self, image: Picture) -> tuple[bytes, int]:
        if self._gray:  # as it is: by way of BGR its range would be cut, and never be widened again
            chroma = np.full((image.shape[0] // 2, image.shape[1]), 128, np.uint8)
            planes = np.concatenate((image, chroma))
        else:
            planes = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420), np.uint8)
        frame = av.VideoFrame.from_ndarray(planes, "yuv420p")
        frame.pts = self._count
        self._count += 1
        return b"".join(bytes(packet) for packet in self._encoder.encode(frame)), 0

    def decode(self, data: bytes) -> Picture:
        (frame,) = self._decoder.decode(av.Packet(data))
        planes = frame.to_ndarray()
        if self._gray:
            return np.asarray(planes[: frame.height], np.uint8)
        return np.asarray(cv2.cvtColor(planes, cv2.COLOR_YUV2BGR_I420), np.uint8)

    def rest(self) -> None: ...


@dataclass
class Ours:
    """`StreamEncoder` and `Decoder`, as device and gateway have them."""

    config: CompressionConfig
    formats: tuple[str, ...] = ("h264", "vp9", "av1")
    _jobs: list[Callable[[], None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._decoder = Decoder()
        self._sent: list[Any] = []
        self.use(PROCESSOR)

    def use(self, clock: Clock) -> None:
        """Before the first frame: what tells the times of encoders."""
        self.encoder = StreamEncoder(self.config, run=self._later, clock=clock)
        self.encoder.peer(self.formats)

    def _later(self, job: Callable[[], None]) -> None:
        self._jobs.append(job)

    def encode(self, image: Picture) -> tuple[bytes, int]:
        number = len(self._sent) + 1
        if number > ACKNOWLEDGED_AFTER:
            self.encoder.acknowledge(number - ACKNOWLEDGED_AFTER)
        frame = Frame(FrameKey("main", number), image, "mono8" if image.ndim == 2 else "bgr8")
        packet = self.encoder.encode(GATE.clear(frame))
        self._sent.append(packet)
        whole = packet.payload
        if packet.kind in STILL_KINDS:
            return whole, 0
        return whole, len(whole) - len(unpack_video(packet)[0].data)

    def decode(self, data: bytes) -> Picture:  # noqa: ARG002  of the packet around it
        return np.asarray(self._decoder.decode(self._sent[-1]).image, np.uint8)

    def rest(self) -> None:
        while self._jobs:
            self._jobs.pop(0)()


@dataclass
class Run:
    """What one setting made of one scene."""

    sizes: list[int] = field(default_factory=list)  # without headers of ours
    headers: list[int] = field(default_factory=list)
    encode_ms: list[float] = field(default_factory=list)
    decode_ms: list[float] = field(default_factory=list)


def run(coder: Coder, frames: Sequence[Picture], done: Run) -> Iterator[tuple[int, Picture]]:
    """Each frame's number and its decoded picture; what else is known goes into `done`."""
    for number, image in enumerate(frames):
        began = time.perf_counter()
        data, header = coder.encode(image)
        encoded = time.perf_counter()
        decoded = coder.decode(data)
        done.decode_ms.append((time.perf_counter() - encoded) * 1e3)
        done.encode_ms.append((encoded - began) * 1e3)
        done.sizes.append(len(data) - header)
        done.headers.append(header)
        coder.rest()
        yield number, decoded


def _video(
    curve: str, name: str, options: dict[str, str], levels: Sequence[int], key_every: int
) -> Iterator[Setting]:
    for level in levels:
        given = {**options, "crf": str(level)}
        yield Setting(
            curve,
            f"crf{level}",
            lambda shape, given=given: Video(name, given, shape, key_every),  # type: ignore[misc]
        )


def _ours(curve: str, **values: Any) -> Setting:
    config = build(CompressionConfig, values)
    return Setting(
        curve, f"quality {values.get('quality', 0)}", lambda _: Ours(config), plain=False
    )


QUALITIES = (25, 35, 45, 55, 60, 65, 75, 85)


def settings(qualities: Sequence[int] = QUALITIES) -> list[Setting]:
    """All curves."""
    made = [Setting("JPEG", f"q{q}", lambda _, q=q: Jpeg(q)) for q in (85,)]  # type: ignore[misc]
    made += [_ours("tiles", codec="jpeg", quality=85)]
    low = {"tune": "zerolatency"}
    ultra = {**low, "preset": "ultrafast"}
    made += _video("x264 ultrafast", "libx264", ultra, (18, 23, 28, 33), KEY_EVERY)
    very = {**low, "preset": "veryfast"}
    made += _video("x264 veryfast", "libx264", very, (18, 23, 28, 34, 40), KEY_EVERY)
    fast = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "b": "0"}
    made += _video("VP9 realtime 8", "libvpx-vp9", fast, (12, 20, 30, 40, 50, 58), KEY_EVERY)
    hevc = {
        **low,
        "preset": "ultrafast",
        "x265-params": "log-level=none:pools=none:frame-threads=1",
    }
    made += _video("x265 ultrafast", "libx265", hevc, (26, 32), KEY_EVERY)
    delay = f"pred-struct=1:lp=1:rtc=1:lookahead=0:keyint={KEY_EVERY}"
    free = {"preset": "12", "svtav1-params": delay}
    made += _video("SVT-AV1 12 low delay", "libsvtav1", free, (20, 30, 40, 50), KEY_EVERY)
    made += [_ours("auto", quality=q) for q in qualities]
    made += [_ours("auto, royalty-free", quality=q, royalty_free=True) for q in qualities[1::2]]
    return made
