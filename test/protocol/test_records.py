"""Records check themselves; their messages pass only where both ends have announced them."""

from __future__ import annotations

import math
from typing import Any

import msgpack
import pytest

from mastra_ros.errors import ProtocolError, RecordError
from mastra_ros.protocol import Hello, Records, RecordsAck, Role, Session, Welcome, decode, encode
from mastra_ros.protocol.records import Committed, NotTaken, RecordItem
from mastra_ros.records import BODY_BYTES_MAX, DEPTH_MAX, Record, pack_body, unpack_body

EPOCH = "0123456789abcdef"
ITEM = RecordItem("verdict", 3, 2, 1_700_000_000_000_000_000, pack_body({"board": 7}))


def nested(levels: int) -> dict[str, Any]:
    body: dict[str, Any] = {}
    for _ in range(levels - 1):
        body = {"in": body}
    return body


def test_the_body_of_a_record_survives() -> None:
    body = {"a": [1, -(2**63), 2.5, None, True, "text", b"\x00\xff"], "in": {"b": {}}}
    assert unpack_body(Record("verdict", 5, body).packed()) == body


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"kind": ""}, "kind"),
        ({"kind": "a/b"}, "kind"),
        ({"kind": ".."}, "kind"),
        ({"kind": 7}, "kind"),
        ({"stamp_ns": 2**62}, "stamp"),
        ({"stamp_ns": 1.0}, "stamp"),
        ({"id": "with space"}, "id"),
        ({"id": None}, "id"),
        ({"body": {1: 2}}, "keys"),
        ({"body": {"a": {2: 3}}}, "keys"),
        ({"body": {"a": math.nan}}, "finite"),
        ({"body": {"a": 2**63}}, "64 bits"),
        ({"body": {"a": object()}}, "plain"),
        ({"body": {"a": "\ud800"}}, "plain"),
        ({"body": {"a": bytes(BODY_BYTES_MAX)}}, "bytes"),
        ({"body": {"a": [0] * 8192}}, "values"),
        ({"body": nested(DEPTH_MAX + 1)}, "levels"),
    ],
)
def test_a_record_that_makes_no_sense_is_refused_at_birth(
    changes: dict[str, Any], said: str
) -> None:
    values = {"kind": "verdict", "stamp_ns": 1, "body": {}, **changes}
    with pytest.raises(RecordError, match=said) as caught:
        Record(**values)
    assert len(str(caught.value)) < 300


def test_as_deep_as_is_allowed_is_taken() -> None:
    assert unpack_body(pack_body(nested(DEPTH_MAX))) == nested(DEPTH_MAX)


def test_a_record_survives_its_message() -> None:
    message = Records(9, "main", EPOCH, (ITEM.to_list(),))
    back = decode(encode(message))
    assert back == message
    assert RecordItem.from_list(back.records[0]) == ITEM


def test_an_answer_survives_its_message() -> None:
    committed, refused = [Committed("verdict", 3)], [NotTaken("event", 4, "gap", "x", 2)]
    back = decode(encode(RecordsAck.of(9, committed, refused)))
    assert isinstance(back, RecordsAck)
    assert list(back.all_committed()) == committed
    assert list(back.all_refused()) == refused


@pytest.mark.parametrize(
    "raw",
    [
        None,
        [],
        {"kind": "verdict"},
        ["verdict", 1, 0, 5],
        ["verdict", 0, 0, 5, b"\x80"],
        ["verdict", True, 0, 5, b"\x80"],
        ["verdict", 2**64 - 1, 0, 5, b"\x80"],
        ["verdict", 1, 1, 5, b"\x80"],
        ["verdict", 2, -1, 5, b"\x80"],
        ["verdict", 1, 0, 2**63, b"\x80"],
        ["verdict", 1, 0, 5, "text"],
        ["verdict", 1, 0, 5, b""],
        ["verdict", 1, 0, 5, b"\x90"],
        ["verdict", 1, 0, 5, b"\x80\x80"],
        ["verdict", 1, 0, 5, b"\xdf\xff\xff\xff\xff"],
        ["verdict", 1, 0, 5, msgpack.packb({"a": msgpack.ExtType(1, b"x")})],
        ["verdict", 1, 0, 5, msgpack.packb({1: 2})],
        ["verdict", 1, 0, 5, b"\x81\xa1a" * 5000],
        ["verdict", 1, 0, 5, bytes(BODY_BYTES_MAX + 1)],
        ["a" * 65, 1, 0, 5, b"\x80"],
        [["verdict"], 1, 0, 5, b"\x80"],
    ],
)
def test_what_is_no_record_is_said_so_and_nothing_else_is_raised(raw: Any) -> None:
    with pytest.raises(RecordError):
        RecordItem.from_list(raw)


def ends(device: tuple[str, ...], gateway: tuple[str, ...]) -> tuple[Session, Session]:
    """Both ends of a session that is open, each announcing what it knows."""
    here = Session(Role.DEVICE, device="cam", stream="main", now_ns=0, extensions=device)
    there = Session(Role.GATEWAY, device="cam", now_ns=0, extensions=gateway)
    there.receive(here.hello(0), 0)
    here.receive(there.welcome(0), 0)
    return here, there


MESSAGE = Records(1, "main", EPOCH, (ITEM.to_list(),))
ANSWER = RecordsAck.of(1, [Committed("verdict", 3)], [])


def test_records_pass_where_both_ends_announced_them() -> None:
    here, there = ends(("records",), ("records", "more"))
    assert there.receive(here.send(MESSAGE, 0), 0) == [MESSAGE]
    assert here.receive(there.send(ANSWER, 0), 0) == [ANSWER]


@pytest.mark.parametrize(("device", "gateway"), [((), ("records",)), (("records",), ()), ((), ())])
def test_records_are_never_sent_to_an_end_that_announced_none(
    device: tuple[str, ...], gateway: tuple[str, ...]
) -> None:
    here, there = ends(device, gateway)
    with pytest.raises(ProtocolError, match="knows no records"):
        here.send(MESSAGE, 0)
    with pytest.raises(ProtocolError, match="knows no records"):
        there.send(ANSWER, 0)
    # Heard all the same they are skipped, as an older version does.
    assert there.receive(encode(MESSAGE), 0) == []
    assert here.receive(encode(ANSWER), 0) == []


def test_an_end_of_an_older_version_says_nothing_and_announces_nothing() -> None:
    """What it sends has no such field, and it ignores ours."""
    hello = msgpack.packb([1, {"version": 1, "device": "cam", "stream": "main"}])
    welcome = msgpack.packb([2, {"version": 1, "session": "abc"}])
    assert decode(hello) == Hello(1, "cam", "main")
    assert decode(welcome) == Welcome(1, "abc")
    there = Session(Role.GATEWAY, device="cam", now_ns=0, extensions=("records",))
    there.receive(hello, 0)
    assert there.extensions == frozenset()
