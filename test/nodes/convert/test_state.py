"""Packets, features, link, load and diagnostics survive the way through ROS messages."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

pytest.importorskip("mastra_ros.msg", reason="needs the built messages: source env.sh")

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.serialization import deserialize_message, serialize_message

from mastra_ros.errors import MessageError
from mastra_ros.msg import LinkState, LoadState
from mastra_ros.msg import Packet as PacketMsg
from mastra_ros.nodes import convert
from mastra_ros.types import Features, FrameKey, LinkSample, LoadSample, Packet, PacketKind

KEY = FrameKey("main", 1_700_000_000_123_456_789)
NOW_NS = 5_000_000_000


def sent(message: object) -> object:
    """The message as a subscriber gets it."""
    return deserialize_message(serialize_message(message), type(message))


def packet(kind: PacketKind = PacketKind.KEY, **changes: object) -> Packet:
    reference = KEY.stamp_ns - 66_666_667 if kind is PacketKind.DELTA else 0
    made = Packet(KEY, kind, bytes(range(256)) * 5, 640, 480, "bgr8", reference)
    return dataclasses.replace(made, **changes)


@pytest.mark.parametrize(
    "original",
    [
        packet(),
        packet(PacketKind.DELTA, hard=True),
        packet(PacketKind.KEY, late=True, payload=b""),
        packet(
            PacketKind.FEATURES,
            meta={"cut": "neck", "shape": [1, 40, 40, 64], "scale": 0.031, "zero_point": -3},
        ),
    ],
)
def test_a_packet_comes_back_exactly(original: Packet) -> None:
    message = sent(convert.packet_to_ros(original, "lens", encode_ms=3.5))
    assert message.header.frame_id == "lens"
    assert message.encode_ms == 3.5
    back = convert.packet_from_ros(message, "main")
    assert back == original
    assert isinstance(back.payload, bytes)


@pytest.mark.parametrize("shape", [(3, 4, 5), (7,), (2, 2, 2, 2)])
def test_features_come_back_exactly(shape: tuple[int, ...]) -> None:
    tensor = np.random.default_rng(3).integers(-128, 128, shape).astype(np.int8)
    original = Features(KEY, "neck", tensor, 0.1, -128, 640, 480, "boards", "0123456789abcdef")
    message = sent(convert.features_to_ros(original, "bgr8", "lens", inference_ms=3.5))
    assert (message.header.frame_id, message.encoding) == ("lens", "bgr8")
    assert message.inference_ms == 3.5
    back = convert.features_from_ros(message, "main")
    assert np.array_equal(back.tensor, tensor)
    assert back.tensor.dtype == np.int8
    for field in dataclasses.fields(Features):
        if field.name != "tensor":
            assert getattr(back, field.name) == getattr(original, field.name)


def test_features_laid_out_anyhow_are_sent_as_they_are_seen() -> None:
    tensor = np.arange(24, dtype=np.int8).reshape(2, 3, 4).transpose(2, 0, 1)
    original = Features(KEY, "neck", tensor, 0.1, 0, 64, 48)
    back = convert.features_from_ros(sent(convert.features_to_ros(original, "mono8")), "main")
    assert np.array_equal(back.tensor, tensor)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"shape": [2, 3]}, "expected values of shape"),
        ({"shape": []}, "expected values of shape"),
        ({"scale": 0.0}, "features: features: expected a scale above 0"),
        ({"scale": math.nan}, "expected a scale above 0"),
        ({"width": 0}, "out of range"),
    ],
)
def test_features_that_make_no_sense_are_refused(
    changes: dict[str, object], complaint: str
) -> None:
    message = convert.features_to_ros(
        Features(KEY, "neck", np.zeros((2, 3, 4), np.int8), 0.1, 0, 64, 48), "bgr8"
    )
    for name, value in changes.items():
        setattr(message, name, value)
    with pytest.raises(MessageError, match=complaint):
        convert.features_from_ros(message, "main")


def broken(**changes: object) -> PacketMsg:
    message = convert.packet_to_ros(packet())
    for name, value in changes.items():
        setattr(message, name, value)
    return message


@pytest.mark.parametrize(
    ("message", "says"),
    [
        (
            broken(kind="jpeg"),
            "packet: kind: expected one of key, delta, features, video, repeat, got 'jpeg'",
        ),
        (broken(kind="delta"), "packet: delta with reference 0 ns"),
        (broken(reference=convert.stamp_to_ros(5)), "packet: key with reference 5 ns"),
        (broken(width=0), "size 0x480 px is out of range"),
        (broken(meta="{"), "packet: meta: "),
        (broken(meta="[1]"), "packet: meta: expected a JSON object, got '\\[1\\]'"),
    ],
)
def test_a_packet_that_makes_no_sense_is_one_clear_error(message: PacketMsg, says: str) -> None:
    with pytest.raises(MessageError, match=says):
        convert.packet_from_ros(message, "main")


def test_the_state_of_the_link_comes_back() -> None:
    status = convert.LinkStatus(
        LinkSample(NOW_NS, True, 20.5, 3.25, 0.125, 1e6, NOW_NS - 80_000_000, 3, 17),
        gateway="wss://gateway:8443",
        spooled_bytes=2**40,
        uploaded_bytes=12345,
        spooled_total=20,
        delivered_late=3,
        dropped=1,
        session=2,
        acknowledged_ns=KEY.stamp_ns,
        key_frame_needed=True,
        records=5,
        records_delivered=6,
        records_refused=7,
        record_error="the spool of records is full",
    )
    message = sent(convert.link_to_ros(status, KEY.stamp_ns))
    assert convert.stamp_from_ros(message.header.stamp) == KEY.stamp_ns
    assert message.silence_ms == 80.0
    # By their words: NaN (here frame_bytes, which is not sent) equals nothing.
    assert repr(convert.link_from_ros(message, NOW_NS)) == repr(status)


def test_a_link_that_never_was_stays_unknown() -> None:
    message = sent(convert.link_to_ros(convert.LinkStatus(LinkSample(NOW_NS, False)), 1))
    assert math.isnan(message.silence_ms)
    sample = convert.link_from_ros(message, NOW_NS).sample
    assert sample.last_heard_ns == 0
    assert math.isnan(sample.rtt_ms)
    assert math.isnan(sample.goodput_bps)


def test_silence_counts_from_when_it_was_heard_about() -> None:
    sample = LinkSample(NOW_NS, True, last_heard_ns=NOW_NS - 1_000_000_000)
    message = convert.link_to_ros(convert.LinkStatus(sample), 1)
    later = convert.link_from_ros(message, 9 * NOW_NS).sample
    assert later.at_ns - later.last_heard_ns == 1_000_000_000


def test_load_comes_back() -> None:
    sample = LoadSample(NOW_NS, 0.5, 0.25, 61.5, 12.5, 2, 0.125, 0.75)
    message = sent(convert.load_to_ros(sample, 1, throttled=True))
    assert convert.load_from_ros(message, NOW_NS) == sample
    assert message.throttled
    unknown = convert.load_from_ros(convert.load_to_ros(LoadSample(NOW_NS, 0.5, 0.25), 1), NOW_NS)
    assert math.isnan(unknown.temperature_c)
    assert math.isnan(unknown.inference_ms)
    assert math.isnan(unknown.process_cpu)
    assert math.isnan(unknown.clock)


def test_shares_outside_0_to_1_are_refused() -> None:
    with pytest.raises(MessageError, match="link: expected loss between 0 and 1, got 2"):
        convert.link_from_ros(LinkState(loss=2.0), NOW_NS)
    with pytest.raises(MessageError, match="load: expected cpu between 0 and 1, got 80"):
        convert.load_from_ros(LoadState(cpu=80.0), NOW_NS)


def test_diagnostics_name_level_and_values() -> None:
    status = convert.diagnostic_to_ros(
        "camera", "warn", "image_raw: silent", {"frames": 3, "source": "file:x"}
    )
    array = sent(convert.diagnostics_to_ros([status], KEY.stamp_ns))
    assert array.status[0].level == DiagnosticStatus.WARN
    assert array.status[0].message == "image_raw: silent"
    assert {v.key: v.value for v in array.status[0].values} == {"frames": "3", "source": "file:x"}
    with pytest.raises(MessageError, match="expected a level of ok, warn, error, stale, got 'bad'"):
        convert.diagnostic_to_ros("camera", "bad", "")
