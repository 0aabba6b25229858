"""Pictures on their way up: only while they are wished for, two a second, behind live packets."""

from __future__ import annotations

from mastra_ros.bridge.pictures import LEASE_NS_MAX, Showing, pieces_of
from mastra_ros.protocol.pictures import PIECE_BYTES_MAX

SECOND = 10**9
MS = 10**6


def test_nothing_goes_without_a_wish_and_what_was_put_before_it_is_forgotten() -> None:
    showing = Showing()
    showing.put(b"early", 0)
    assert showing.begin(0) is None
    showing.wish(4000, 0)
    assert showing.begin(0) is None
    showing.put(b"wanted", 1)
    assert showing.begin(1) == (1, b"wanted")


def test_however_fast_they_are_made_two_a_second_go_and_the_newest_wins() -> None:
    showing, sent = Showing(), list[bytes]()
    showing.wish(4000, 0)
    for tick in range(50):
        now_ns = tick * SECOND // 10
        showing.put(bytes([tick]), now_ns)
        if begun := showing.begin(now_ns):
            sent.append(begun[1])
    assert [body[0] for body in sent] == [0, 5, 10, 15, 20, 25, 30, 35], "and none after the wish"


def test_a_wish_that_is_taken_back_ends_at_once_and_no_wish_lasts_for_ever() -> None:
    showing = Showing()
    showing.wish(60_000, 0)
    assert not showing.wanted(LEASE_NS_MAX)
    showing.wish(4000, 0)
    showing.put(b"x", 0)
    showing.wish(0, 1)
    assert showing.begin(1) is None


def test_why_there_is_none_is_told_once_a_second_and_takes_the_place_of_what_waits() -> None:
    showing = Showing()
    showing.withhold("unasked", 0)
    assert showing.reason(0) is None
    showing.wish(4000, 0)
    showing.put(b"x", 0)
    told = []
    for tick in range(20):
        now_ns = tick * SECOND // 10
        showing.withhold("privacy", now_ns)
        assert showing.begin(now_ns) is None
        told.append(showing.reason(now_ns))
    assert [tick for tick, reason in enumerate(told) if reason] == [0, 10]


def test_a_picture_goes_in_pieces_of_what_the_link_carries_in_4_ms() -> None:
    body = bytes(range(256)) * 400
    for goodput_bps in (float("nan"), 1e6, 10e6, 1e9):
        pieces = list(pieces_of(7, body, lambda bps=goodput_bps: bps))  # type: ignore[misc]
        assert b"".join(piece.data for piece in pieces) == body
        assert {(piece.number, piece.size) for piece in pieces} == {(7, len(body))}
        assert [piece.offset for piece in pieces] == [
            sum(len(before.data) for before in pieces[:n]) for n in range(len(pieces))
        ]
        largest = max(len(piece.data) for piece in pieces)
        allowed = 16_384 if goodput_bps != goodput_bps else max(4096, goodput_bps / 8 * 0.004)
        assert largest <= min(allowed, PIECE_BYTES_MAX)
