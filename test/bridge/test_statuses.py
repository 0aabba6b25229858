"""Statuses of a device on their way up: the newest wins, and what was missed follows."""

from __future__ import annotations

from mastra_ros.bridge.statuses import KEPT_NS, StatusHistory
from mastra_ros.protocol.statuses import StatusReport

SECOND = 10**9


def all_of(history: StatusHistory, now_ns: int) -> list[int]:
    told = []
    while (report := history.past(now_ns)) is not None:
        told.append(report.number)
    return told


def test_the_newest_wins_and_no_more_than_one_goes_a_second() -> None:
    history, sent = StatusHistory(), list[StatusReport]()
    for tenth in range(50):
        now_ns = SECOND + tenth * SECOND // 10
        history.put(bytes([tenth]), now_ns)
        if report := history.newest(now_ns):
            sent.append(report)
    assert len(sent) == 5
    assert [report.body[0] for report in sent] == [0, 10, 20, 30, 40]


def test_after_an_outage_the_newest_goes_first_and_then_what_was_missed_in_order() -> None:
    history = StatusHistory()
    for second in range(10):
        history.put(bytes([second]), second * SECOND)
    newest = history.newest(9 * SECOND)
    assert newest is not None
    assert (newest.number, newest.ago_ms) == (10, 0)
    oldest = history.past(9 * SECOND)
    assert oldest is not None
    assert (oldest.number, oldest.ago_ms) == (1, 9000)
    assert all_of(history, 9 * SECOND) == list(range(2, 10))


def test_what_was_sent_just_before_the_link_was_lost_is_told_again() -> None:
    history = StatusHistory()
    for second in range(10):
        history.put(b"x", second * SECOND)
        assert history.newest(second * SECOND) is not None
    assert all_of(history, 9 * SECOND) == []
    history.lost(9 * SECOND)
    history.put(b"x", 10 * SECOND)
    assert all_of(history, 10 * SECOND) == [9, 10]


def test_a_long_outage_is_remembered_for_some_minutes_only() -> None:
    history = StatusHistory()
    for second in range(2000):
        history.put(b"x" * 4000, second * SECOND)
    told = all_of(history, 1999 * SECOND)
    assert 400 < len(told) <= KEPT_NS // SECOND
    assert told[-1] == 1999
