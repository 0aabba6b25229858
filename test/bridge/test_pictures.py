"""Pictures on their way up: only while they are wished for, two a second, behind live packets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from mastra_ros.bridge.clearing import NothingToHide, SpoolGate
from mastra_ros.bridge.pictures import (
    LEASE_NS_MAX,
    PictureLane,
    Showing,
    ShownPictures,
    pieces_of,
)
from mastra_ros.protocol import Message
from mastra_ros.protocol.pictures import PIECE_BYTES_MAX, PicturePiece, PictureWish

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


def test_nothing_is_shown_beside_frames_that_the_gateway_can_show_and_again_after_them() -> None:
    showing = Showing()
    showing.wish(9000, 0)
    showing.put(b"before", 0)
    showing.frame_goes(1)
    for now_ns in (2, SECOND // 2, SECOND):
        showing.put(b"beside", now_ns)
        assert showing.begin(now_ns) is None, now_ns
    assert showing.begin(1 + SECOND) == (1, b"beside")


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


class Lane:
    """A lane on a link that is quiet while it is told so."""

    def __init__(self) -> None:
        self.quiet = True
        self.sent: list[Message] = []
        self.looks: list[float] = []
        self.shown = ShownPictures(self.looks.append)
        self.shown.attach(lambda *_: True, SpoolGate(NothingToHide()))
        self.lane = PictureLane(
            self.shown,
            send=self.send,
            quiet=lambda: self.quiet,
            goodput_bps=lambda: 1e6,
        )
        self.task = asyncio.ensure_future(self.lane.run())

    def send(self, message: Message) -> None:
        self.sent.append(message)
        self.quiet = len(self.sent) != 3  # a live packet comes after the third piece

    def put(self, body: bytes) -> None:
        self.shown.showing.put(body, time.monotonic_ns())
        self.lane.wake()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for it."""
        deadline_s = time.monotonic() + 60.0
        while not condition():
            assert time.monotonic() < deadline_s
            assert not self.task.done()
            await asyncio.sleep(0.001)

    async def turns(self) -> None:
        """Let the lane have many turns, as often as it is woken."""
        for _ in range(50):
            self.lane.wake()
            await asyncio.sleep(0)


def test_in_the_midst_of_a_picture_live_packets_go_first_and_it_goes_on_behind_them() -> None:
    async def work() -> None:
        line = Lane()
        line.quiet = False
        line.shown.wish(PictureWish(8000))
        body = bytes(20_000)
        line.put(body)
        await line.turns()
        assert line.sent == [], "live packets wait"
        line.quiet = True
        await line.until(lambda: len(line.sent) == 3)
        await line.turns()
        assert len(line.sent) == 3
        line.quiet = True
        line.lane.wake()
        await line.until(lambda: len(line.sent) == 5)
        pieces = [piece for piece in line.sent if isinstance(piece, PicturePiece)]
        assert b"".join(piece.data for piece in pieces) == body
        assert line.looks == [8.0]
        line.task.cancel()

    asyncio.run(work())


def test_a_picture_that_nobody_wants_any_more_is_given_up_in_its_midst() -> None:
    async def work() -> None:
        line = Lane()
        line.shown.wish(PictureWish(8000))
        line.put(bytes(20_000))
        await line.until(lambda: len(line.sent) == 3)
        line.shown.wish(PictureWish(0))
        line.quiet = True
        await line.turns()
        assert len(line.sent) == 3
        line.task.cancel()

    asyncio.run(work())


def test_a_large_picture_is_given_up_in_its_midst_when_frames_go_to_the_cloud() -> None:
    async def work() -> None:
        line = Lane()
        line.shown.wish(PictureWish(8000))
        line.put(bytes(20_000))
        await line.until(lambda: len(line.sent) == 3)
        line.shown.showing.frame_goes(time.monotonic_ns())
        line.quiet = True
        await line.turns()
        assert len(line.sent) == 3, "what is left of it does not lie in the way of the frames"
        line.task.cancel()

    asyncio.run(work())
