"""What the gateway keeps of statuses: for some minutes, in order, within bounds."""

from __future__ import annotations

import pytest

from mastra_ros.gateway.statuses import Hearing, StatusBoard
from mastra_ros.gateway.statuses.board import ENTRIES_MAX, STREAMS_MAX, TOKENS_MAX
from mastra_ros.protocol.statuses import StatusReport
from mastra_ros.statuses import pack_status


def report(number: int, ago_ms: int = 0, fill: int = 0) -> StatusReport:
    return StatusReport(1, number, pack_status({"at_ns": number, "x": "y" * fill}), ago_ms)


def numbers(board: StatusBoard, now_s: float, since_s: float = 0.0) -> list[int]:
    return [one.number for one in board.since("cam", "main", since_s, now_s)]


def test_what_was_missed_in_an_outage_is_placed_where_it_was_and_counts_once() -> None:
    board = StatusBoard()
    board.take("cam", "main", report(1), 1000.0)
    board.take("cam", "main", report(9), 1060.0)
    for again in range(2):
        for number in range(2, 9):
            board.take("cam", "main", report(number, (9 - number) * 5000), 1061.0 + 10 * again)
    assert numbers(board, 1080.0) == list(range(1, 10))
    newest = board.newest("cam", "main")
    assert newest is not None
    assert newest.status["at_ns"] == 9
    assert numbers(board, 1080.0, since_s=1045.0) == [6, 7, 8, 9]


def test_what_is_older_than_ten_minutes_is_forgotten_but_for_the_newest() -> None:
    board = StatusBoard()
    for number in range(3):
        board.take("cam", "main", report(number), 1000.0 + number)
    assert numbers(board, 1602.5) == [2]
    assert numbers(board, 9999.0) == [2]


def test_bytes_and_numbers_are_bounded_a_stream_a_device_and_in_all() -> None:
    board = StatusBoard(bytes_max=40_000)
    for number in range(2 * ENTRIES_MAX):
        board.take("cam", "main", report(number), 1000.0 + number * 0.1)
    assert len(board.since("cam", "main", 0.0, 1100.0)) <= ENTRIES_MAX
    for device in range(5):
        for stream in range(2 * STREAMS_MAX):
            board.take(f"d{device}", f"s{stream}", report(1, fill=3000), 2000.0)
    assert not board.streams("cam"), "the one that was silent for the longest time is forgotten"
    assert board._bytes == sum(kept.bytes for kept in board._streams.values()) <= 40_000
    alone = StatusBoard()
    for stream in range(2 * STREAMS_MAX):
        alone.take("cam", f"s{stream}", report(1), 2000.0)
    assert len(alone.streams("cam")) == STREAMS_MAX


def test_a_flood_is_refused_and_the_next_second_is_heard_again() -> None:
    board = StatusBoard()
    told = [board.take("cam", "main", report(n), 1000.0) for n in range(200)]
    refused = [nack for nack in told if nack is not None]
    assert len(refused) == 200 - TOKENS_MAX
    assert {nack.code for nack in refused} == {"overloaded"}
    assert board.take("cam", "main", report(999), 1001.0) is None


@pytest.mark.parametrize(
    ("silent_s", "heard"), [(0.0, True), (0.29, True), (0.31, False), (1e6, False)]
)
def test_a_device_is_not_heard_after_three_heartbeats(silent_s: float, heard: bool) -> None:
    hearing = Hearing()
    hearing.saw("cam", "main", 1000.0, 0.1)
    told = hearing.of_device("cam", 1000.0 + silent_s)
    assert (told.heard, told.last_seen_s) == (heard, 1000.0)
    assert not hearing.of_device("other", 1000.0).heard
