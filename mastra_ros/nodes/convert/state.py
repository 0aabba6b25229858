"""Packets, features and the state of link and load: ROS messages <-> values."""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from std_msgs.msg import Header

from mastra_ros.msg import Features as FeaturesMsg
from mastra_ros.msg import LinkState, LoadState
from mastra_ros.msg import Packet as PacketMsg

from ...errors import MessageError, ProtocolError
from ...protocol.checks import plain
from ...types import Features, LinkSample, LoadSample, Packet, PacketKind
from .image import bytes_to_ros, header_to_ros, key_from_ros, stamp_from_ros, stamp_to_ros
from .result import check_deadline, understood

META_CHARS_MAX = 65_536
SPAN_MAX = 1e12
"""Longest time and largest rate that a message may tell, in its own unit."""

LEVELS = {
    "ok": DiagnosticStatus.OK,
    "warn": DiagnosticStatus.WARN,
    "error": DiagnosticStatus.ERROR,
    "stale": DiagnosticStatus.STALE,
}
"""Names of the levels of diagnostics."""


@dataclass(frozen=True)
class LinkStatus:
    """All that a `link` message says: the sample, and what only bridge and encoder care for."""

    sample: LinkSample
    gateway: str = ""
    spooled_bytes: int = 0
    uploaded_bytes: int = 0
    spooled_total: int = 0
    delivered_late: int = 0
    dropped: int = 0
    session: int = 0
    acknowledged_ns: int = 0  # stamp of the newest picture that the gateway holds; 0: none
    acknowledged_id: str = ""  # id of its frame
    key_frame_needed: bool = False
    key_frames_asked: int = 0
    codecs: tuple[str, ...] = ()
    records: int = 0
    records_delivered: int = 0
    records_refused: int = 0
    record_error: str = ""
    set_frames: int = 0
    set_frames_delivered: int = 0
    set_frames_refused: int = 0
    set_error: str = ""


def features_to_ros(
    features: Features, encoding: str, frame_id: str = "camera", inference_ms: float = 0.0
) -> FeaturesMsg:
    """Features -> mastra_ros/Features; `encoding` is that of the frame."""
    data = array("b")
    data.frombytes(np.ascontiguousarray(features.tensor).tobytes())
    return FeaturesMsg(
        header=header_to_ros(features.key, frame_id),
        id=features.key.id,
        cut=features.cut,
        data=data,
        shape=[int(side) for side in features.tensor.shape],
        scale=features.scale,
        zero_point=features.zero_point,
        width=features.width_px,
        height=features.height_px,
        encoding=encoding,
        model=features.model,
        pair=features.pair,
        inference_ms=float(inference_ms),
    )


def features_from_ros(msg: FeaturesMsg, stream: str) -> Features:
    """mastra_ros/Features -> Features, whose tensor is a view. Raises MessageError."""
    flat = np.frombuffer(msg.data, np.int8)
    shape = tuple(int(side) for side in msg.shape)
    check_deadline(msg.deadline_ms, "features")
    if math.prod(shape) != flat.size:
        raise MessageError(f"features: expected values of shape {shape}, got {flat.size}")
    with understood("features"):
        return Features(
            key_from_ros(msg.header, stream, msg.id),
            msg.cut,
            flat.reshape(shape),
            msg.scale,
            msg.zero_point,
            msg.width,
            msg.height,
            msg.model,
            msg.pair,
        )


def packet_to_ros(
    packet: Packet, frame_id: str = "camera", encode_ms: float = 0.0, coding: str = ""
) -> PacketMsg:
    """Packet -> mastra_ros/Packet; `encode_ms` is the time that encoding took."""
    return PacketMsg(
        header=header_to_ros(packet.key, frame_id),
        id=packet.key.id,
        kind=packet.kind.value,
        payload=bytes_to_ros(packet.payload),
        width=packet.width_px,
        height=packet.height_px,
        encoding=packet.encoding,
        reference=stamp_to_ros(packet.reference_ns),
        hard=packet.hard,
        late=packet.late,
        meta=json.dumps(packet.meta) if packet.meta else "",
        clearance=packet.clearance,
        codec=packet.codec,
        coding=coding,
        encode_ms=float(encode_ms),
    )


def packet_from_ros(msg: PacketMsg, stream: str) -> Packet:
    """mastra_ros/Packet -> Packet. Raises MessageError."""
    kinds = [kind.value for kind in PacketKind]
    if msg.kind not in kinds:
        raise MessageError(
            f"packet: kind: expected one of {', '.join(kinds)}, got {msg.kind!r:.80}"
        )
    check_deadline(msg.deadline_ms, "packet")
    meta = _meta_from_ros(msg.meta)
    with understood("packet"):
        return Packet(
            key_from_ros(msg.header, stream, msg.id),
            PacketKind(msg.kind),
            bytes(msg.payload),
            msg.width,
            msg.height,
            msg.encoding,
            stamp_from_ros(msg.reference),
            msg.hard,
            msg.late,
            meta,
            msg.clearance,
            msg.codec,
        )


def _meta_from_ros(text: str) -> dict[str, Any]:
    """The JSON object in a field, as small and as flat as on the wire."""
    if len(text) > META_CHARS_MAX:
        raise MessageError(
            f"packet: meta: expected at most {META_CHARS_MAX} characters, got {len(text)}"
        )
    with understood("packet: meta"):
        meta = json.loads(text) if text else {}
    if not isinstance(meta, dict):
        raise MessageError(f"packet: meta: expected a JSON object, got {text[:40]!r}")
    try:
        return dict(plain()(meta))
    except ProtocolError as error:
        raise MessageError(f"packet: meta: {error}") from error


def _span(value: float, field: str) -> float:
    """A time or rate of a message: 0 or more and finite, or NaN where it is not known."""
    if not (math.isnan(value) or 0.0 <= value <= SPAN_MAX):
        raise MessageError(f"{field}: expected 0 to {SPAN_MAX:g} or NaN, got {value}")
    return value


def link_to_ros(status: LinkStatus, stamp_ns: int) -> LinkState:
    """LinkStatus -> mastra_ros/LinkState; `stamp_ns` is the ROS time of the measurement."""
    sample = status.sample
    heard = sample.last_heard_ns
    return LinkState(
        header=Header(stamp=stamp_to_ros(stamp_ns)),
        connected=sample.connected,
        gateway=status.gateway,
        rtt_ms=float(sample.rtt_ms),
        rtt_var_ms=float(sample.rtt_var_ms),
        loss=float(sample.loss),
        goodput_bps=float(sample.goodput_bps),
        silence_ms=(sample.at_ns - heard) / 1e6 if heard else math.nan,
        in_flight=sample.in_flight,
        spooled=sample.spooled,
        spooled_bytes=status.spooled_bytes,
        uploaded_bytes=status.uploaded_bytes,
        spooled_total=status.spooled_total,
        delivered_late=status.delivered_late,
        dropped=status.dropped,
        session=status.session,
        acknowledged=stamp_to_ros(status.acknowledged_ns),
        acknowledged_id=status.acknowledged_id,
        key_frame_needed=status.key_frame_needed,
        key_frames_asked=status.key_frames_asked,
        codecs=list(status.codecs),
        records=status.records,
        records_delivered=status.records_delivered,
        records_refused=status.records_refused,
        record_error=status.record_error,
        set_frames=status.set_frames,
        set_frames_delivered=status.set_frames_delivered,
        set_frames_refused=status.set_frames_refused,
        set_error=status.set_error,
    )


def link_from_ros(msg: LinkState, now_ns: int) -> LinkStatus:
    """mastra_ros/LinkState heard at the monotonic time `now_ns` -> LinkStatus.

    Raises MessageError. The monotonic times count from when the message was heard.
    """
    silence_ms = _span(msg.silence_ms, "link: silence_ms")
    silence_ns = 0 if math.isnan(silence_ms) else int(silence_ms * 1e6)
    with understood("link"):
        sample = LinkSample(
            at_ns=now_ns,
            connected=msg.connected,
            rtt_ms=_span(msg.rtt_ms, "link: rtt_ms"),
            rtt_var_ms=_span(msg.rtt_var_ms, "link: rtt_var_ms"),
            loss=msg.loss,
            goodput_bps=_span(msg.goodput_bps, "link: goodput_bps"),
            last_heard_ns=0 if math.isnan(silence_ms) else now_ns - silence_ns,
            in_flight=msg.in_flight,
            spooled=msg.spooled,
        )
    return LinkStatus(
        sample,
        gateway=msg.gateway,
        spooled_bytes=msg.spooled_bytes,
        uploaded_bytes=msg.uploaded_bytes,
        spooled_total=msg.spooled_total,
        delivered_late=msg.delivered_late,
        dropped=msg.dropped,
        session=msg.session,
        acknowledged_ns=stamp_from_ros(msg.acknowledged),
        acknowledged_id=msg.acknowledged_id,
        key_frame_needed=msg.key_frame_needed,
        key_frames_asked=msg.key_frames_asked,
        codecs=tuple(msg.codecs),
        records=msg.records,
        records_delivered=msg.records_delivered,
        records_refused=msg.records_refused,
        record_error=msg.record_error,
        set_frames=msg.set_frames,
        set_frames_delivered=msg.set_frames_delivered,
        set_frames_refused=msg.set_frames_refused,
        set_error=msg.set_error,
    )


def load_to_ros(sample: LoadSample, stamp_ns: int, *, throttled: bool = False) -> LoadState:
    """LoadSample -> mastra_ros/LoadState; `stamp_ns` is the ROS time of the measurement."""
    return LoadState(
        header=Header(stamp=stamp_to_ros(stamp_ns)),
        cpu=float(sample.cpu),
        memory=float(sample.memory),
        temperature_c=float(sample.temperature_c),
        inference_ms=float(sample.inference_ms),
        queue_frames=sample.queue_frames,
        process_cpu=float(sample.process_cpu),
        clock=float(sample.clock),
        throttled=throttled,
    )


def load_from_ros(msg: LoadState, now_ns: int) -> LoadSample:
    """mastra_ros/LoadState heard at the monotonic time `now_ns` -> LoadSample.

    Raises MessageError.
    """
    if math.isinf(msg.temperature_c):
        raise MessageError(f"load: expected a temperature or NaN, got {msg.temperature_c}")
    with understood("load"):
        return LoadSample(
            at_ns=now_ns,
            cpu=msg.cpu,
            memory=msg.memory,
            temperature_c=msg.temperature_c,
            inference_ms=_span(msg.inference_ms, "load: inference_ms"),
            queue_frames=msg.queue_frames,
            process_cpu=msg.process_cpu,
            clock=msg.clock,
        )


def diagnostic_to_ros(
    name: str,
    level: str,
    message: str,
    values: Mapping[str, object] | None = None,
    *,
    hardware_id: str = "",
) -> DiagnosticStatus:
    """One status of /diagnostics; `level` is ok, warn, error or stale."""
    if level not in LEVELS:
        raise MessageError(f"diagnostics: expected a level of {', '.join(LEVELS)}, got {level!r}")
    pairs = [KeyValue(key=key, value=str(value)) for key, value in (values or {}).items()]
    return DiagnosticStatus(
        level=LEVELS[level], name=name, message=message, hardware_id=hardware_id, values=pairs
    )


def diagnostics_to_ros(statuses: list[DiagnosticStatus], stamp_ns: int) -> DiagnosticArray:
    """The message on /diagnostics."""
    return DiagnosticArray(header=Header(stamp=stamp_to_ros(stamp_ns)), status=statuses)
