"""What device and gateway say to each other: frozen messages that check themselves at birth.

`TYPE_ID` is the number on the wire and never changes its meaning. A field may be added with a
default; nothing may be taken away within a version. Stamps and ids are those of `FrameKey`; an
older peer skips the id, and sends none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..errors import ProtocolError
from ..types import (
    MAX_SIDE_PX,
    Detections,
    FrameKey,
    Packet,
    PacketKind,
    Result,
    Route,
    fits_reference,
)
from .checks import (
    blob,
    check_fields,
    checked,
    choice,
    flag,
    frame_id,
    integer,
    name,
    number,
    plain,
    stamp,
    text,
    texts,
)

VERSION = 1
"""The newest version of the protocol that this code speaks."""
VERSION_MIN = 1
"""The oldest version that it still speaks."""

PROBE_BYTES_MAX = 262_144
"""Most padding of one probe, and of its answer."""

DETECTIONS_MAX = 10_000
LABELS_MAX = 2048
CODECS_MAX = 16

NACK_CODES = ("reference_missing", "corrupt", "too_large", "overloaded", "forbidden", "failed")
GOODBYE_CODES = ("closing", "protocol", "version", "forbidden", "overloaded", "silent", "replaced")


@dataclass(frozen=True)
class Message:
    """Base of all messages: checks every field at birth, raises ProtocolError."""

    TYPE_ID: ClassVar[int] = 0

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class Hello(Message):
    """Device, first message: who speaks, and the newest version that it knows.

    `heartbeat_ms`: the interval at which the gateway shall send heartbeats of its own, so that
    the device hears of a living gateway even while its own sending is slow; 0 none.
    `renews`: it will send a `Renewal` before its token expires, where the gateway takes that.
    `privacy`: likewise a `PrivacyReport` now and then.
    `codecs`: the bitstreams of video that it can make; an older gateway skips them.
    `extensions`: further messages that it knows; what both ends name may be said.
    """

    TYPE_ID: ClassVar[int] = 1
    version: int = checked(integer(1, 65535))
    device: str = checked(name)
    stream: str = checked(name)
    software: str = checked(text(128), "")
    heartbeat_ms: int = checked(integer(0, 600_000), 0)
    renews: bool = checked(flag, False)
    privacy: bool = checked(flag, False)
    codecs: tuple[str, ...] = checked(texts(CODECS_MAX, 32), ())
    extensions: tuple[str, ...] = checked(texts(32, 64), ())


@dataclass(frozen=True)
class Welcome(Message):
    """Gateway, the answer to Hello: the version used from here on, the session's name, settings.

    `renews`: a `Renewal` is understood; nobody is sent one that has not said so. `privacy`: a
    `PrivacyReport`, likewise.
    `codecs`: the bitstreams of video that it decodes; with any of them it knows the kinds `video`
    and `repeat`, which nobody is sent that has not said so. `extensions`: as in Hello.
    """

    TYPE_ID: ClassVar[int] = 2
    version: int = checked(integer(1, 65535))
    session: str = checked(text(64))
    settings: Mapping[str, Any] = checked(plain(), factory=dict)
    software: str = checked(text(128), "")
    renews: bool = checked(flag, False)
    privacy: bool = checked(flag, False)
    codecs: tuple[str, ...] = checked(texts(CODECS_MAX, 32), ())
    extensions: tuple[str, ...] = checked(texts(32, 64), ())


@dataclass(frozen=True)
class FrameMessage(Message):
    """Device: one `types.Packet`. `deadline_ms` is what is left for the answer; 0 there is none.

    `clearance`: under which promise of privacy it was made; an older device says nothing of it.
    """

    TYPE_ID: ClassVar[int] = 3
    stream: str = checked(name)
    stamp_ns: int = checked(stamp)
    kind: str = checked(choice(*(kind.value for kind in PacketKind)))
    width_px: int = checked(integer(1, MAX_SIDE_PX))
    height_px: int = checked(integer(1, MAX_SIDE_PX))
    encoding: str = checked(text(64))
    payload: bytes = checked(blob())
    reference_ns: int = checked(stamp, 0)
    meta: Mapping[str, Any] = checked(plain(), factory=dict)
    deadline_ms: float = checked(number(0.0, 1e9), 0.0)
    hard: bool = checked(flag, False)
    late: bool = checked(flag, False)
    id: str = checked(frame_id, "")
    clearance: str = checked(text(256), "")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not fits_reference(PacketKind(self.kind), self.reference_ns):
            raise ProtocolError(f"FrameMessage: {self.kind} with reference {self.reference_ns} ns")

    @property
    def key(self) -> FrameKey:
        """Names the frame."""
        return FrameKey(self.stream, self.stamp_ns, self.id)

    @classmethod
    def from_packet(cls, packet: Packet, deadline_ms: float = 0.0) -> FrameMessage:
        """The message that carries `packet`; late packets have no deadline."""
        return cls(
            stream=packet.key.stream,
            stamp_ns=packet.key.stamp_ns,
            kind=packet.kind.value,
            width_px=packet.width_px,
            height_px=packet.height_px,
            encoding=packet.encoding,
            payload=packet.payload,
            reference_ns=packet.reference_ns,
            meta=packet.meta,
            deadline_ms=0.0 if packet.late else deadline_ms,
            hard=packet.hard,
            late=packet.late,
            id=packet.key.id,
            clearance=packet.clearance,
        )

    def to_packet(self) -> Packet:
        """The packet that this message carries."""
        return Packet(
            key=self.key,
            kind=PacketKind(self.kind),
            payload=self.payload,
            width_px=self.width_px,
            height_px=self.height_px,
            encoding=self.encoding,
            reference_ns=self.reference_ns,
            hard=self.hard,
            late=self.late,
            meta=dict(self.meta),
            clearance=self.clearance,
        )


@dataclass(frozen=True)
class Ack(Message):
    """Gateway: the frame and its result are committed, and the device may forget the frame.

    `duplicate`: it had been committed before. `held_us`: from receipt to commit.
    """

    TYPE_ID: ClassVar[int] = 4
    stream: str = checked(name)
    stamp_ns: int = checked(stamp)
    duplicate: bool = checked(flag, False)
    held_us: int = checked(integer(), 0)
    id: str = checked(frame_id, "")

    @property
    def key(self) -> FrameKey:
        """Names the frame."""
        return FrameKey(self.stream, self.stamp_ns, self.id)


@dataclass(frozen=True)
class ResultMessage(Message):
    """Gateway: what was found in one frame; arrays as raw little-endian bytes.

    boxes: float32 (n, 4). scores: float32 (n,). classes: int32 (n,). As in `Detections`.
    """

    TYPE_ID: ClassVar[int] = 5
    stream: str = checked(name)
    stamp_ns: int = checked(stamp)
    origin: str = checked(choice(*(route.value for route in Route)))
    boxes: bytes = checked(blob(16 * DETECTIONS_MAX, multiple=16), b"")
    scores: bytes = checked(blob(4 * DETECTIONS_MAX, multiple=4), b"")
    classes: bytes = checked(blob(4 * DETECTIONS_MAX, multiple=4), b"")
    labels: tuple[str, ...] = checked(texts(LABELS_MAX, 256), ())
    model: str = checked(text(256), "")
    version: str = checked(text(256), "")
    inference_ms: float = checked(number(nan=True), math.nan)
    late: bool = checked(flag, False)
    error: str = checked(text(1024), "")
    id: str = checked(frame_id, "")

    @property
    def key(self) -> FrameKey:
        """Names the frame."""
        return FrameKey(self.stream, self.stamp_ns, self.id)

    @classmethod
    def from_result(cls, result: Result) -> ResultMessage:
        """The message that carries `result`, without what only the device knows, such as age."""
        found = result.detections
        return cls(
            stream=result.key.stream,
            stamp_ns=result.key.stamp_ns,
            origin=result.origin.value,
            boxes=found.boxes.astype("<f4").tobytes(),
            scores=found.scores.astype("<f4").tobytes(),
            classes=found.classes.astype("<i4").tobytes(),
            labels=found.labels,
            model=result.model,
            version=result.model_version,
            inference_ms=result.inference_ms,
            late=result.late,
            error=result.error[:1024],
            id=result.key.id,
        )

    def to_result(self) -> Result:
        """The result that this message carries; ProtocolError when the arrays do not fit."""
        boxes = np.frombuffer(self.boxes, "<f4").astype(np.float32).reshape(-1, 4)
        scores = np.frombuffer(self.scores, "<f4").astype(np.float32)
        classes = np.frombuffer(self.classes, "<i4").astype(np.int32)
        if not bool(((scores >= 0.0) & (scores <= 1.0)).all()):
            raise ProtocolError("ResultMessage.scores: expected numbers 0 to 1")
        try:
            detections = Detections(boxes, scores, classes, self.labels)
        except ValueError as error:
            raise ProtocolError(f"ResultMessage: {error}") from None
        return Result(
            key=self.key,
            origin=Route(self.origin),
            detections=detections,
            model=self.model,
            model_version=self.version,
            late=self.late,
            inference_ms=self.inference_ms,
            error=self.error,
        )


@dataclass(frozen=True)
class Nack(Message):
    """Gateway: this frame is refused, for the reason in `code`; the session goes on."""

    TYPE_ID: ClassVar[int] = 6
    stream: str = checked(name)
    stamp_ns: int = checked(stamp)
    code: str = checked(choice(*NACK_CODES))
    text: str = checked(text(1024), "")
    id: str = checked(frame_id, "")

    @property
    def key(self) -> FrameKey:
        """Names the frame."""
        return FrameKey(self.stream, self.stamp_ns, self.id)


@dataclass(frozen=True)
class KeyFrameRequest(Message):
    """Gateway: the next frame of this stream shall be a key frame."""

    TYPE_ID: ClassVar[int] = 7
    stream: str = checked(name)


@dataclass(frozen=True)
class Heartbeat(Message):
    """Either side, at a fixed interval: `sent_ns` is the sender's monotonic clock."""

    TYPE_ID: ClassVar[int] = 8
    seq: int = checked(integer())
    sent_ns: int = checked(integer())


@dataclass(frozen=True)
class HeartbeatAck(Message):
    """The answer to a heartbeat: its own fields, sent back at once."""

    TYPE_ID: ClassVar[int] = 9
    seq: int = checked(integer())
    sent_ns: int = checked(integer())


@dataclass(frozen=True)
class Settings(Message):
    """Gateway: parameters that the device shall change (`compression.quality`: 70, …)."""

    TYPE_ID: ClassVar[int] = 10
    values: Mapping[str, Any] = checked(plain())


@dataclass(frozen=True)
class Goodbye(Message):
    """Either side: the session ends here, for the reason in `code`."""

    TYPE_ID: ClassVar[int] = 11
    code: str = checked(choice(*GOODBYE_CODES), "closing")
    text: str = checked(text(1024), "")


@dataclass(frozen=True)
class Probe(Message):
    """Device, an extension that an older gateway skips: measures how fast the link carries bytes.

    `padding` means nothing. The gateway answers at once, with padding of `answer_bytes`.
    """

    TYPE_ID: ClassVar[int] = 64
    seq: int = checked(integer())
    answer_bytes: int = checked(integer(0, PROBE_BYTES_MAX), 0)
    padding: bytes = checked(blob(PROBE_BYTES_MAX), b"")


@dataclass(frozen=True)
class ProbeAck(Message):
    """Gateway, the answer to a probe: how much padding came, and the padding asked for.

    The padding is missing where a session has asked for more than it may.
    """

    TYPE_ID: ClassVar[int] = 65
    seq: int = checked(integer())
    received_bytes: int = checked(integer(0, PROBE_BYTES_MAX), 0)
    padding: bytes = checked(blob(PROBE_BYTES_MAX), b"")


@dataclass(frozen=True)
class Renewal(Message):
    """Device, an extension: a fresh token, with which the session goes on beyond the last one's."""

    TYPE_ID: ClassVar[int] = 66
    token: str = checked(text(4096))


@dataclass(frozen=True)
class PrivacyReport(Message):
    """Device, an extension: what its gate has let out, hidden and held back, since its start.

    `kept`: records of its spool that may not leave.
    """

    TYPE_ID: ClassVar[int] = 96
    mode: str = checked(text(32))
    sent: int = checked(integer(), 0)
    masked: int = checked(integer(), 0)
    withheld: int = checked(integer(), 0)
    kept: int = checked(integer(), 0)


MESSAGES: tuple[type[Message], ...] = (
    Hello,
    Welcome,
    FrameMessage,
    Ack,
    ResultMessage,
    Nack,
    KeyFrameRequest,
    Heartbeat,
    HeartbeatAck,
    Settings,
    Goodbye,
    Probe,
    ProbeAck,
    Renewal,
    PrivacyReport,
)
