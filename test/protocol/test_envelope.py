"""Envelopes: every message there and back, and any other bytes only ever a ProtocolError."""

from __future__ import annotations

import contextlib

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mastra_ros.errors import ProtocolError
from mastra_ros.protocol import (
    Ack,
    FrameMessage,
    Goodbye,
    Heartbeat,
    HeartbeatAck,
    Hello,
    KeyFrameRequest,
    Message,
    Nack,
    PrivacyReport,
    Probe,
    ProbeAck,
    Renewal,
    ResultMessage,
    Settings,
    Welcome,
    decode,
    encode,
)
from mastra_ros.protocol.messages import MESSAGES

EXAMPLES: list[Message] = [
    Hello(1, "camera-1", "main", "mastra_ros", 100),
    Welcome(1, "0a1b", {"compression.quality": 70}, "gateway"),
    FrameMessage("main", -5, "key", 640, 480, "bgr8", bytes(range(256)), meta={"a": [1, None]}),
    Ack("main", 5, True, 1200),
    ResultMessage("main", 5, "cloud", bytes(16), bytes(4), bytes(4), ("open", "kurz·短"), "m", "1"),
    Nack("main", 5, "reference_missing", "gone"),
    KeyFrameRequest("main"),
    Heartbeat(1, 2**62),
    HeartbeatAck(1, 2**62),
    Settings({"a": 1.5, "b": True, "c": "x"}),
    Goodbye("version", "too old"),
    Probe(3, 65_536, bytes(1000)),
    ProbeAck(3, 1000, bytes(65_536)),
    Renewal("a.b.c"),
    PrivacyReport("whole", 9, 4, 2, 1),
]


def same(one: Message, other: Message) -> bool:
    return repr(one) == repr(other)  # NaN is not equal to itself, its text is


def test_there_is_an_example_of_every_message() -> None:
    assert {type(example) for example in EXAMPLES} == set(MESSAGES)
    assert len({cls.TYPE_ID for cls in MESSAGES}) == len(MESSAGES)


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda m: type(m).__name__)
def test_a_message_survives_its_envelope(message: Message) -> None:
    back = decode(encode(message))
    assert back is not None
    assert same(back, message)


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda m: type(m).__name__)
def test_every_truncation_is_an_error(message: Message) -> None:
    data = encode(message)
    for length in range(len(data)):
        with pytest.raises(ProtocolError):
            decode(data[:length])


@given(st.binary(max_size=200))
def test_random_bytes_raise_nothing_but_protocol_errors(data: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        decode(data)


@given(st.sampled_from(EXAMPLES), st.integers(0, 10_000), st.integers(0, 255))
def test_a_flipped_byte_raises_nothing_but_protocol_errors(
    message: Message, position: int, value: int
) -> None:
    data = bytearray(encode(message))
    data[position % len(data)] = value
    with contextlib.suppress(ProtocolError):
        decode(bytes(data))


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.binary()
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=12,
)
FIELDS = sorted({name for cls in MESSAGES for name in cls.__dataclass_fields__})


@given(st.integers(-1, 130), st.dictionaries(st.sampled_from(FIELDS), PLAIN))
def test_well_formed_nonsense_raises_nothing_but_protocol_errors(
    type_id: int, fields: dict[str, object]
) -> None:
    with contextlib.suppress(ProtocolError):
        decode(msgpack.packb([type_id, fields]))


def test_unknown_fields_are_ignored() -> None:
    fields = {"stream": "main", "stamp_ns": 7, "colour": "red", "more": [1, {"x": 2}]}
    assert decode(msgpack.packb([Ack.TYPE_ID, fields])) == Ack("main", 7)


def test_a_missing_field_is_named() -> None:
    with pytest.raises(ProtocolError, match="stamp_ns missing"):
        decode(msgpack.packb([Ack.TYPE_ID, {"stream": "main"}]))


def test_an_unknown_extension_is_skipped_and_any_other_type_refused() -> None:
    assert decode(msgpack.packb([127, {"anything": 1}])) is None
    assert decode(msgpack.packb([127, {}])) is None
    for type_id in (0, 12, 63, 128, -1):
        with pytest.raises(ProtocolError, match="unknown"):
            decode(msgpack.packb([type_id, {}]))


@pytest.mark.parametrize(
    "data",
    [
        b"\xdd\xff\xff\xff\xff",  # an array of 4 billion
        b"\xdf\xff\xff\xff\xff",  # a map of 4 billion
        b"\xc6\xff\xff\xff\xff",  # 4 GB of bytes
        b"\xdb\xff\xff\xff\xff",  # 4 GB of text
        b"\xc9\xff\xff\xff\xff\x05",  # 4 GB of an extension
        b"\xd6\xff\x00\x00\x00\x00",  # a timestamp
        b"\xc7\x00\x05",  # an empty extension
        b"\x91" * 5000,  # 5000 arrays deep
        b"\xdc\x08\x00" * 2000,  # arrays of 2048 in each other
        b"\x92\x04\x81\xa6stream\xa1\xff",  # not UTF-8
        b"\x92\x04\x81\x01\x02",  # a map keyed by numbers
        b"\x92\xc3\x80",  # type true
        b"\x92\xcb" + bytes(8) + b"\x80",  # type 0.0
        b"\x92\x04\x90",  # fields in an array
        b"\x93\x04\x80\x80",
        b"\x80",
    ],
)
def test_hostile_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode(data)


def test_a_message_too_large_is_refused_at_both_ends() -> None:
    message = FrameMessage("main", 1, "key", 8, 8, "bgr8", bytes(5000))
    with pytest.raises(ProtocolError, match="at most 4096 bytes"):
        encode(message, bytes_max=4096)
    with pytest.raises(ProtocolError, match="at most 4096 bytes"):
        decode(encode(message), bytes_max=4096)


def test_text_that_is_not_unicode_is_refused() -> None:
    with pytest.raises(ProtocolError, match="Unicode"):
        encode(Settings({"a": "\ud800"}))
