"""Records as messages: there and back, and whatever else somebody may publish."""

from __future__ import annotations

from typing import Any

import pytest
from std_msgs.msg import Header

from mastra_ros.errors import MessageError
from mastra_ros.msg import Record as RecordMsg
from mastra_ros.nodes import convert
from mastra_ros.records import Record, pack_body


def test_a_record_comes_back() -> None:
    record = Record("verdict", 1_700_000_000_123_456_789, {"board": 3, "raw": b"\x00"}, "run-3")
    assert convert.record_from_ros(convert.record_to_ros(record)) == record


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": ""},
        {"kind": "a b"},
        {"id": "a b"},
        {"id": "x" * 65},
        {"body": []},
        {"body": list(b"\x90")},
        {"body": list(pack_body({})) * 2},
        {"body": [0] * 70_000},
    ],
)
def test_a_record_that_makes_no_sense_is_refused(fields: dict[str, Any]) -> None:
    values = {"header": Header(), "kind": "verdict", "body": list(pack_body({})), **fields}
    with pytest.raises(MessageError, match="record: expected"):
        convert.record_from_ros(RecordMsg(**values))
