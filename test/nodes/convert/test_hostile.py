"""Whatever is published, a conversion gives a checked value or one clear error."""

from __future__ import annotations

import json
import math
from array import array
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mastra_ros import msg
from mastra_ros.errors import FrameError, MessageError
from mastra_ros.nodes import convert

FLOATS = st.sampled_from([math.nan, math.inf, -math.inf, -1.0, 0.0, 0.5, 3e38, 1e-30])
TEXTS = st.sampled_from(["", "local", "cloud", "key", "delta", "features", "x" * 3000, "\u202e"])
META = st.sampled_from(
    [
        *("", "null", '{"a": 1}', '{"a": 1e999}', "[" * 100_000, "{" + " " * 70_000),
        '{"a":' * 5000 + "1" + "}" * 5000,
        json.dumps({"a": [[[[[1]]]]]}),
        json.dumps({str(n): n for n in range(100)}),
    ]
)
BYTES = st.binary(max_size=64)


def time_message() -> st.SearchStrategy[Any]:
    from builtin_interfaces.msg import Time

    secs = st.sampled_from([-(2**31), -1, 0, 1, 2**31 - 1])
    nanosecs = st.sampled_from([0, 1, 999_999_999, 1_000_000_000, 2**32 - 1])
    return st.builds(lambda s, n: Time(sec=s, nanosec=n), secs, nanosecs)


def field(kind: str) -> st.SearchStrategy[Any]:
    """Values that a field of this type may carry over DDS."""
    from std_msgs.msg import Header

    if kind == "std_msgs/Header":
        return st.builds(lambda t, f: Header(stamp=t, frame_id=f), time_message(), TEXTS)
    if kind == "builtin_interfaces/Time":
        return time_message()
    if kind == "sequence<mastra_ros/Detection>":
        return st.lists(message(msg.Detection), max_size=2)
    if kind == "sequence<string>":
        return st.lists(TEXTS, max_size=3)
    if kind == "sequence<uint8>":
        return BYTES.map(lambda data: array("B", data))
    if kind == "sequence<int8>":
        return BYTES.map(lambda data: array("b", [byte - 128 for byte in data]))
    if kind == "sequence<uint32>":
        sides = st.lists(st.sampled_from([0, 1, 8, 2**32 - 1]), max_size=4)
        return sides.map(lambda values: array("I", values))
    if kind in ("float", "double"):
        return FLOATS
    if kind == "boolean":
        return st.booleans()
    if kind == "string":
        return TEXTS
    bits = int(kind.removeprefix("u").removeprefix("int"))
    low, high = (
        (0, 2**bits - 1) if kind.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    )
    return st.sampled_from([low, high, 0, 1, 5])


def message(kind: type) -> st.SearchStrategy[Any]:
    """Any message of a type."""
    fields = kind.get_fields_and_field_types()
    drawn = {name: META if name == "meta" else field(type_) for name, type_ in fields.items()}
    return st.builds(lambda **values: kind(**values), **drawn)


CONVERSIONS = {
    msg.LinkState: lambda m: convert.link_from_ros(m, 10**12),
    msg.LoadState: lambda m: convert.load_from_ros(m, 10**12),
    msg.Packet: lambda m: convert.packet_from_ros(m, "main"),
    msg.Features: lambda m: convert.features_from_ros(m, "main"),
    msg.Decision: lambda m: convert.decision_from_ros(m, "main"),
    msg.InferenceResult: lambda m: convert.result_from_ros(m, "main"),
}


@pytest.mark.parametrize("kind", CONVERSIONS, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_a_conversion_gives_a_value_or_one_clear_error(kind: type, data: st.DataObject) -> None:
    drawn = data.draw(message(kind))
    text = ""
    try:
        CONVERSIONS[kind](drawn)
    except (MessageError, FrameError) as error:
        text = str(error)
    assert len(text) <= 400


@pytest.mark.parametrize("name", ["silence_ms", "rtt_ms", "rtt_var_ms", "goodput_bps"])
@pytest.mark.parametrize("value", [math.inf, -math.inf, -1.0])
def test_a_link_of_impossible_times_is_refused(name: str, value: float) -> None:
    with pytest.raises(MessageError, match=f"link: {name}: expected 0 to"):
        convert.link_from_ros(msg.LinkState(loss=0.0, **{name: value}), 10**12)


@pytest.mark.parametrize("meta", ["[" * 100_000 + "]" * 100_000, '{"a":' * 3000 + "1" + "}" * 3000])
def test_a_packet_of_deep_meta_is_refused(meta: str) -> None:
    packet = msg.Packet(kind="key", width=8, height=8, meta=meta)
    with pytest.raises(MessageError, match="packet: meta"):
        convert.packet_from_ros(packet, "main")
