"""The values that cross the borders between stages.

All are frozen and check themselves at birth, so that a stage may trust what it is given.
Times: `stamp_ns` is the time of capture on the source's own clock (the stamp of the ROS
header, ns since its epoch); every other `*_ns` is monotonic time of this process. A frame
is known everywhere by its `FrameKey`, and never by its stamp alone.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .errors import FrameError

CHANNELS = {"mono8": 1, "bgr8": 3, "rgb8": 3, "mono16": 1, "bgr16": 3, "rgb16": 3}
"""Encodings of `Frame.image` and their channels."""

EIGHT_BIT = {"mono16": "mono8", "bgr16": "bgr8", "rgb16": "rgb8"}
"""Encodings of 16 bits, and what they are called with 8."""

MAX_SIDE_PX = 16_384


class Route(str, Enum):
    """Where a frame is inferred; also the origin of a result."""

    LOCAL = "local"
    SPLIT = "split"
    CLOUD = "cloud"


class PacketKind(str, Enum):
    """How the payload of a packet is to be read."""

    KEY = "key"  # a whole picture
    DELTA = "delta"  # changed regions over a reference picture
    FEATURES = "features"  # the tensor at the cut of a split model
    VIDEO = "video"  # a packet of a video codec: alone (no reference), or resting on the one before
    REPEAT = "repeat"  # nothing has changed since the video packet that it names


LEFT_OUT = "the link carries fewer frames than these in time"
"""The error of a frame that was not sent so that others arrive: no fault of the gateway."""

STILL_KINDS = frozenset({PacketKind.KEY, PacketKind.DELTA, PacketKind.FEATURES})
"""What every version reads; others go only to a peer that has announced their codec."""


FRAME_ID = re.compile(r"[!-~]{0,64}")
"""What the id of a frame may be: printable ASCII without spaces."""


class FrameKey(NamedTuple):
    """Names one frame of one stream of one device.

    id: given once, where the frame enters, so that two frames under one stamp are two. It stays
    with every copy of the frame. Empty only where a peer, a file or a message of an older version
    knows none: there, stream and stamp alone are the name.
    """

    stream: str
    stamp_ns: int
    id: str = ""

    @property
    def unnamed(self) -> FrameKey:
        """Stream and stamp alone, as older versions know it."""
        return FrameKey(self.stream, self.stamp_ns)


@dataclass(frozen=True)
class Frame:
    """One picture: `image` is (height, width) for mono8 and mono16, else (height, width, 3).

    It is uint8, or uint16 where the encoding says 16: white is then 65535, whatever the camera's
    own depth. `pictures.eight_bits` makes of it what models, codecs and viewers take.
    """

    key: FrameKey
    image: NDArray[Any]  # uint8 or uint16
    encoding: str = "bgr8"
    frame_id: str = "camera"  # the coordinate frame of the ROS header

    def __post_init__(self) -> None:
        if self.encoding not in CHANNELS:
            raise FrameError(f"encoding: expected one of {sorted(CHANNELS)}, got {self.encoding!r}")
        wanted = np.uint16 if self.encoding in EIGHT_BIT else np.uint8
        if self.image.dtype != wanted:
            raise FrameError(
                f"image: expected {wanted.__name__} for {self.encoding}, got {self.image.dtype}"
            )
        expected = 2 if CHANNELS[self.encoding] == 1 else 3
        shape = self.image.shape
        if len(shape) != expected or (expected == 3 and shape[2] != 3):
            raise FrameError(f"image: shape {shape} does not fit encoding {self.encoding}")
        if not (0 < shape[0] <= MAX_SIDE_PX and 0 < shape[1] <= MAX_SIDE_PX):
            raise FrameError(f"image: expected sides of 1 to {MAX_SIDE_PX} px, got {shape}")

    @property
    def height_px(self) -> int:
        return int(self.image.shape[0])

    @property
    def width_px(self) -> int:
        return int(self.image.shape[1])


@dataclass(frozen=True)
class Detections:
    """What a detector found in one frame.

    boxes: float32 (n, 4), x1 y1 x2 y2 in px of the frame, x1 <= x2, y1 <= y2.
    scores: float32 (n,), 0 to 1. classes: int32 (n,), index into `labels`.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    classes: NDArray[np.int32]
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        n = len(self.scores)
        if self.boxes.shape != (n, 4) or self.scores.shape != (n,) or self.classes.shape != (n,):
            raise ValueError(
                "detections: expected boxes (n, 4), scores (n,), classes (n,), got "
                f"{self.boxes.shape}, {self.scores.shape}, {self.classes.shape}"
            )
        if n and (int(self.classes.min()) < 0 or int(self.classes.max()) >= len(self.labels)):
            raise ValueError(f"detections: classes outside 0..{len(self.labels) - 1}")
        if not np.isfinite(self.boxes).all():
            raise ValueError("detections: boxes are not finite")

    def __len__(self) -> int:
        return len(self.scores)

    def parted(self, counts: Sequence[int]) -> list[Detections]:
        """These as those of several frames, of which each has so many, in order."""
        parts, at = [], 0
        for count in counts:
            part = Detections.__new__(Detections)  # all of them are sound, so is each part
            part.__dict__.update(
                boxes=self.boxes[at : at + count],
                scores=self.scores[at : at + count],
                classes=self.classes[at : at + count],
                labels=self.labels,
            )
            parts.append(part)
            at += count
        return parts

    @classmethod
    def empty(cls, labels: tuple[str, ...] = ()) -> Detections:
        """No detections."""
        return cls(
            np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int32), labels
        )


@dataclass(frozen=True)
class Features:
    """The tensor at the cut of a split model, quantised: real = (tensor - zero_point) * scale."""

    key: FrameKey
    cut: str  # name of the cut in the bundle
    tensor: NDArray[np.int8]  # of one frame, without a side for the batch
    scale: float
    zero_point: int
    width_px: int  # of the frame that the head has seen
    height_px: int
    model: str = ""  # name of the bundle
    pair: str = ""  # names head and tail that were cut from one network; see `BundleSplit`

    def __post_init__(self) -> None:
        if self.tensor.dtype != np.int8 or not self.tensor.size:
            raise ValueError(
                f"features: expected int8 values, got {self.tensor.dtype} {self.tensor.shape}"
            )
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise ValueError(f"features: expected a scale above 0, got {self.scale}")
        if not -128 <= self.zero_point <= 127:
            raise ValueError(f"features: expected a zero point of int8, got {self.zero_point}")
        if not (0 < self.width_px <= MAX_SIDE_PX and 0 < self.height_px <= MAX_SIDE_PX):
            raise ValueError(f"features: {self.width_px}x{self.height_px} px is out of range")


@dataclass(frozen=True)
class LoadSample:
    """The load of this device at one moment. Shares are 0 to 1; NaN where there is no sensor."""

    at_ns: int
    cpu: float
    memory: float
    temperature_c: float = math.nan
    inference_ms: float = math.nan  # of the latest local inference
    queue_frames: int = 0
    process_cpu: float = math.nan  # this process alone, as a share of all cores
    clock: float = math.nan  # CPU clock as a share of its highest; low under load: throttled

    def __post_init__(self) -> None:
        for name in ("cpu", "memory", "process_cpu", "clock"):
            value = getattr(self, name)
            if not (math.isnan(value) or 0.0 <= value <= 1.0):
                raise ValueError(f"load: expected {name} between 0 and 1, got {value}")


@dataclass(frozen=True)
class LinkSample:
    """The link to the gateway at one moment, as the bridge sees it; NaN while not yet known."""

    at_ns: int
    connected: bool
    rtt_ms: float = math.nan  # smoothed round trip of heartbeats
    rtt_var_ms: float = math.nan
    loss: float = 0.0  # share of heartbeats and packets without an answer in time, 0 to 1
    goodput_bps: float = math.nan  # upward, bits a second
    last_heard_ns: int = 0  # when anything last came from the gateway
    in_flight: int = 0  # live packets sent and not yet acknowledged
    spooled: int = 0  # records waiting on disk
    frame_bytes: float = math.nan  # mean size of a live frame; the scheduler works it out

    def __post_init__(self) -> None:
        if not 0.0 <= self.loss <= 1.0:
            raise ValueError(f"link: expected loss between 0 and 1, got {self.loss}")


@dataclass(frozen=True)
class GateState:
    """What the gate of privacy does, and has done since start."""

    mode: str = ""  # faces_and_plates, whole, regions or off; empty: not known
    shut: str = ""  # why nothing can leave; empty while it can
    features: bool = True  # features of a split model may leave
    clearance: str = ""  # the promise under which frames leave now; empty: none, or not known
    sent: int = 0  # frames and features that were cleared to leave
    masked: int = 0  # of these, frames in which something is hidden
    withheld: int = 0  # frames and features that were to leave and did not

    def __post_init__(self) -> None:
        if not (0 <= self.masked <= self.sent and self.withheld >= 0):
            raise ValueError(
                f"gate: expected 0 <= masked <= sent and withheld >= 0, got {self.masked}, "
                f"{self.sent}, {self.withheld}"
            )


@dataclass(frozen=True)
class Decision:
    """What a policy wants for the coming frames, and why (a few words for people).

    spill: where a frame goes that the local model could not answer in time; None: it waits.
    spill_worth: the chance of an answer in time there, less what it costs, in frames in time: a
    frame whose chance at the local model is above that stays.
    recall: a frame that would go away stays, if the local model can answer it in time.
    """

    route: Route
    reason: str
    spill: Route | None = None
    recall: bool = False
    spill_worth: float = 0.5


def fits_reference(kind: PacketKind, reference_ns: int) -> bool:
    """Whether a packet of this kind may have this reference: video has one unless it is a key."""
    rests = kind in (PacketKind.DELTA, PacketKind.REPEAT)
    return kind is PacketKind.VIDEO or rests == (reference_ns != 0)


@dataclass(frozen=True)
class Packet:
    """One frame (or its features) on its way to the gateway.

    A delta or repeat names in `reference_ns` the stamp of the picture that it rests on, and so does
    a video packet that is no key; others have 0. codec: the bitstream that the gateway has to have
    announced before it may be sent this; empty for kinds that every version reads.
    """

    key: FrameKey
    kind: PacketKind
    payload: bytes
    width_px: int
    height_px: int
    encoding: str
    reference_ns: int = 0
    hard: bool = False  # escalated: the device was unsure, so the spool keeps it longest
    late: bool = False  # comes from the spool (or goes straight there): no deadline any more
    meta: dict[str, Any] = field(default_factory=dict)  # of features: cut, shape, scale, zero point
    clearance: str = ""  # the promise that it was cleared under (privacy/gate.py); empty: unknown
    codec: str = ""

    def __post_init__(self) -> None:
        if not fits_reference(self.kind, self.reference_ns):
            raise ValueError(f"packet: {self.kind.value} with reference {self.reference_ns} ns")
        if not (0 < self.width_px <= MAX_SIDE_PX and 0 < self.height_px <= MAX_SIDE_PX):
            raise ValueError(f"packet: size {self.width_px}x{self.height_px} px is out of range")

    @property
    def stands_alone(self) -> bool:
        """Whether it is a picture that rests on none before it."""
        return self.reference_ns == 0 and self.kind in (PacketKind.KEY, PacketKind.VIDEO)


@dataclass(frozen=True)
class Result:
    """The answer for one frame. Exactly one final result leaves the arbiter for each frame."""

    key: FrameKey
    origin: Route
    detections: Detections
    model: str = ""
    model_version: str = ""
    reason: str = ""  # why this route was taken
    final: bool = True  # False: provisional, the cloud's answer may follow
    late: bool = False  # of a frame that waited in the spool or came after its deadline
    age_ms: float = math.nan  # from capture to publication
    inference_ms: float = math.nan  # spent in the model
    error: str = ""  # not empty: inference failed, and the detections mean nothing

    @property
    def confidence(self) -> float:
        """Lowest score among the detections, 1.0 where there is none."""
        return float(self.detections.scores.min()) if len(self.detections) else 1.0
