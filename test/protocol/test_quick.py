"""The short way of decoding frames takes and refuses what the long way does, to the word."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mastra_ros.errors import ProtocolError
from mastra_ros.protocol import FrameMessage
from mastra_ros.protocol.envelope import decode, decode_slowly, encode
from mastra_ros.protocol.quick import quick_frame

SOUND: dict[str, Any] = {
    "stream": "main",
    "stamp_ns": 1_700_000_000_000_000_000,
    "kind": "key",
    "width_px": 64,
    "height_px": 48,
    "encoding": "mono8",
    "payload": b"\xff\xd8 picture",
    "reference_ns": 0,
    "meta": {"model": "board", "quality": 80, "gain": 0.5, "on": True, "none": None},
    "deadline_ms": 200.0,
    "hard": False,
    "late": True,
    "id": "a1",
    "clearance": "open",
}
ODD_NUMBERS = (0, 1, -1, 2**31, 2**63 - 1, 2**63, 2**64 - 1, -(2**63), 1e9, 1e10, -0.0, 0.5)
VALUES = st.one_of(
    st.sampled_from([*ODD_NUMBERS, float("nan"), float("inf"), True, False, None]),
    st.sampled_from(["", ".", "..", "main", "key", "delta", "a b", "\x00", "\u2028", "x" * 1025]),
    st.text(max_size=70),
    st.binary(max_size=8),
    st.lists(st.integers(-2, 2), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers() | st.none(), max_size=3),
    st.just({"a": {"b": {"c": {"d": {"e": 1}}}}}),
    st.just({str(n): n for n in range(65)}),
    st.just({"k" * 65: 1}),
    st.just({1: 2}),
    st.just({"when": msgpack.Timestamp(1, 2)}),
    st.just({"ext": msgpack.ExtType(5, b"x")}),
)


def told(way: Any, data: bytes) -> tuple[str, Any]:
    """What a decoder makes of the bytes."""
    try:
        message = way(data)
    except ProtocolError as error:
        return "refused", str(error)
    if message is None:
        return "skipped", None
    return type(message).__name__, [
        (name, type(value), repr(value)) for name, value in vars(message).items()
    ]


def packed(pairs: list[tuple[Any, Any]], type_id: Any = FrameMessage.TYPE_ID) -> bytes:
    """An envelope whose fields may stand there twice."""
    packer = msgpack.Packer(autoreset=False)
    packer.pack_array_header(2)
    packer.pack(type_id)
    packer.pack_map_header(len(pairs))
    for name, value in pairs:
        packer.pack(name)
        try:
            packer.pack(value)
        except OverflowError:
            packer.pack(0)
        except UnicodeEncodeError:
            packer.pack("?")
    made: bytes = packer.bytes()
    return made


def test_an_ordinary_frame_goes_the_short_way_and_is_the_same() -> None:
    data = packed(list(SOUND.items()))
    assert quick_frame(data) is not None
    assert told(decode, data) == told(decode_slowly, data)
    assert told(decode, data)[0] == "FrameMessage"
    again = decode(data)
    assert isinstance(again, FrameMessage)
    assert again == FrameMessage(**SOUND)
    assert encode(again) == encode(FrameMessage(**SOUND))


@pytest.mark.parametrize("name", list(SOUND))
def test_without_a_field_both_say_the_same(name: str) -> None:
    data = packed([(one, value) for one, value in SOUND.items() if one != name])
    assert told(decode, data) == told(decode_slowly, data)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(list(SOUND)), VALUES)
def test_whatever_a_field_holds_both_say_the_same(name: str, value: Any) -> None:
    data = packed(list({**SOUND, name: value}.items()))
    assert told(decode, data) == told(decode_slowly, data)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([*SOUND, "unknown", "", b"stream", 7]),
            VALUES | st.sampled_from(list(SOUND.values())),
        ),
        max_size=4,
    )
)
def test_fields_twice_unknown_or_with_other_names_are_the_same_both_ways(more: Any) -> None:
    for pairs in ([*SOUND.items(), *more], [*more, *SOUND.items()]):
        data = packed(pairs)
        assert told(decode, data) == told(decode_slowly, data)


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_broken_bytes_are_the_same_both_ways(data: st.DataObject) -> None:
    whole = packed(list(SOUND.items()))
    broken = bytearray(whole)
    for at in data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=3)):
        broken[at] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(whole) + 2))
    some = bytes(broken[:end]) + b"\xc0" * max(0, end - len(whole))
    assert told(decode, some) == told(decode_slowly, some)
    assert told(decode, bytes(broken)) == told(decode_slowly, bytes(broken))


def test_it_knows_all_fields_of_the_message() -> None:
    assert list(SOUND) == [one.name for one in dataclasses.fields(FrameMessage)]


def test_a_map_of_many_fields_is_refused_by_its_count_as_ever() -> None:
    data = packed([*SOUND.items(), *[("late", True)] * 300])
    assert told(decode, data) == told(decode_slowly, data)
    assert told(decode, data)[0] == "refused"
