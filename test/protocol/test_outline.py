"""Objects are counted before any is made."""

from __future__ import annotations

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mastra_ros.errors import ProtocolError
from mastra_ros.protocol import ResultMessage, Settings, decode, encode
from mastra_ros.protocol.outline import DEPTH_MAX, check_outline

ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.floats(width=32)
    | st.binary(max_size=300)
    | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=40,
)


@given(ANY)
def test_whatever_msgpack_writes_is_one_object_and_its_truncations_are_none(value: object) -> None:
    data = msgpack.packb(value)
    check_outline(data, objects_max=10**6, depth_max=100)
    with pytest.raises(ProtocolError, match="bytes after its end"):
        check_outline(data + b"\xc0", objects_max=10**6, depth_max=100)
    for length in range(min(len(data), 60)):
        with pytest.raises(ProtocolError):
            check_outline(data[:length], objects_max=10**6, depth_max=100)


@pytest.mark.parametrize(
    "bomb",
    [
        b"\xdc\x08\x00" + (b"\xdc\x07\xf0" + b"\x90" * 2032) * 2048,
        b"\xdc\x08\x00" + (b"\xdc\x07\xf0" + b"\x80" * 2032) * 2048,
        b"\x91" * 4_000_000 + b"\x90",
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xdc\xff\xff" + b"\xc0" * 65_535,
    ],
    ids=["lists", "maps", "deep", "a list of 4 billion", "a map of 4 billion", "one long list"],
)
def test_more_objects_than_a_message_has_are_refused(bomb: bytes) -> None:
    with pytest.raises(ProtocolError, match=r"expected at most \d+ (objects|levels)"):
        decode(b"\x92\x03\x81\xa4meta" + bomb)


def test_levels_and_extension_types_are_refused() -> None:
    check_outline(b"\x91" * DEPTH_MAX + b"\xc0")
    with pytest.raises(ProtocolError, match="levels of nesting"):
        check_outline(b"\x91" * (DEPTH_MAX + 1) + b"\xc0")
    for first in (0xC1, 0xC7, 0xC8, 0xC9, 0xD4, 0xD8):
        with pytest.raises(ProtocolError, match="begins nothing of ours"):
            check_outline(bytes([first]) + bytes(20))


def test_the_largest_messages_of_ours_pass() -> None:
    labels = tuple(f"label {n}" for n in range(2048))
    result = ResultMessage("main", 1, "cloud", labels=labels)
    assert decode(encode(result)) is not None
    settings = Settings({f"stage.name{n}": [1, 2.5, "x", None] for n in range(64)})
    assert decode(encode(settings)) == settings
