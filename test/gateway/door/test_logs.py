"""One line a kind and minute, and nothing in it that the other side could forge."""

from __future__ import annotations

import logging

import pytest

from mastra_ros.gateway.door.logs import KINDS_MAX, Sparing


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_a_kind_is_said_once_a_minute_and_then_how_often(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    logs = Sparing(logging.getLogger("sparing"), clock)
    for n in range(5):
        logs.warning("token", "refused %d", n)
        logs.warning("address", "100%% refused")
    clock.now_s = 61.0
    logs.warning("token", "refused %d", 9)
    clock.now_s = 200.0
    logs.flush()
    assert [record.getMessage() for record in caplog.records] == [
        "refused 0",
        "100% refused",
        "refused 9 (4 more in the minute before)",
        "address: 4 more in a minute",
    ]


def test_kinds_without_end_are_one_kind(caplog: pytest.LogCaptureFixture) -> None:
    logs = Sparing(logging.getLogger("sparing"), Clock())
    for n in range(3 * KINDS_MAX):
        logs.warning(f"kind {n}", "said")
    assert len(caplog.records) == KINDS_MAX + 1


def test_what_the_other_side_says_stays_in_its_line(caplog: pytest.LogCaptureFixture) -> None:
    logs = Sparing(logging.getLogger("sparing"), Clock())
    logs.warning("x", "%s", "a\nb\x1b[2K\u2028c")
    assert caplog.records[0].getMessage() == "a\\nb\\x1b[2K\\u2028c"
