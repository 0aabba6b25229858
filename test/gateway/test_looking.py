"""Pictures that devices show: asked for while somebody looks, bounded, and never believed."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from mastra_ros.compression.view import encode_view
from mastra_ros.gateway.looking import (
    ASK_S,
    KEPT_S,
    LEASE_S,
    LookedAt,
    PictureDesk,
    Shown,
)
from mastra_ros.gateway.sets.desk import Budget
from mastra_ros.privacy import hiding_nothing
from mastra_ros.protocol import FrameMessage, Heartbeat, encode
from mastra_ros.protocol.pictures import PicturePiece, PictureWithheld
from mastra_ros.types import Frame, FrameKey


def body_of(stream: str = "main", side_px: int = 32, **changed: Any) -> bytes:
    image = np.full((side_px, side_px, 3), 90, np.uint8)
    cleared = hiding_nothing("drawn").clear(Frame(FrameKey(stream, 5), image, "bgr8"))
    message = FrameMessage.from_packet(encode_view(cleared))
    return encode(FrameMessage(**{**vars(message), **changed}))


class Bench:
    """A device that is looked at, and the desk of its session."""

    def __init__(self) -> None:
        self.held = 0
        self.refuse = False
        self.looked = LookedAt()
        self.desk = PictureDesk(self.looked, "cam", "main", Budget(self.take, self.give))
        self.numbers = itertools.count()
        self.now_s = 100.0

    def take(self, size: int) -> bool:
        self.held += 0 if self.refuse else size
        return not self.refuse

    def give(self, size: int) -> None:
        self.held -= size
        assert self.held >= 0

    def send(self, body: bytes, piece_bytes: int = 200) -> None:
        number = next(self.numbers)
        for start in range(0, len(body), piece_bytes):
            data = body[start : start + piece_bytes]
            self.desk.take(PicturePiece(number, start, len(body), data), self.now_s)

    @property
    def stamp_ns(self) -> int | None:
        shown = self.looked.newest("cam", self.now_s)
        return None if shown is None or shown.packet is None else shown.packet.key.stamp_ns


@pytest.fixture
def bench() -> Bench:
    made = Bench()
    assert made.looked.look("cam", made.now_s)
    return made


def test_a_device_is_asked_again_before_its_wish_ends_and_no_more_often() -> None:
    looked = LookedAt()
    asked = [tick / 10 for tick in range(100) if looked.look("cam", tick / 10)]
    gaps = np.diff(asked)
    assert min(gaps) >= ASK_S
    assert max(gaps) < LEASE_S
    assert not looked.wanted("cam", 10.0 + LEASE_S), "and not when nobody looks"


def test_the_pieces_make_a_picture_and_their_memory_is_given_back(bench: Bench) -> None:
    bench.send(body_of())
    assert bench.stamp_ns == 5
    assert bench.held == 0
    bench.now_s += KEPT_S + 1
    assert bench.stamp_ns is None, "it is old"


def test_nothing_is_kept_of_a_device_that_was_not_asked() -> None:
    bench = Bench()
    bench.send(body_of())
    bench.desk.withheld(PictureWithheld("x"), bench.now_s)
    assert bench.looked.newest("cam", bench.now_s) is None
    assert bench.held == 0
    assert bench.looked.look("cam", bench.now_s)
    bench.now_s += LEASE_S + 0.1
    bench.send(body_of())
    assert bench.stamp_ns is None, "after the wish"


def test_no_more_than_two_a_second_are_listened_to(bench: Bench) -> None:
    taken = 0
    for tick in range(100):
        bench.now_s = 100.0 + tick / 25
        bench.looked.look("cam", bench.now_s)
        bench.send(body_of(stamp_ns=5))
        shown = bench.looked.newest("cam", bench.now_s)
        taken += shown is not None and shown.at_s == bench.now_s
    assert 8 <= taken <= 11, "in four seconds, with a burst of three"


WRONG = {
    "no message": b"\xff" * 50,
    "another message": encode(Heartbeat(1, 1)),
    "another stream": body_of("other"),
    "a live frame": body_of(late=False),
    "a huge one": body_of(width_px=5000),
    "video": body_of(kind="video"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_no_picture_is_passed_over(bench: Bench, what: str) -> None:
    bench.send(WRONG[what])
    assert bench.stamp_ns is None
    assert bench.held == 0
    bench.send(body_of())
    assert bench.stamp_ns == 5, "and the next one is seen"


def test_pieces_that_do_not_fit_are_passed_over_and_hold_no_memory(bench: Bench) -> None:
    body = body_of()
    for piece in (
        PicturePiece(1, 100, len(body), body[100:200]),  # none was begun
        PicturePiece(2, 0, 10, b"x" * 11),
        PicturePiece(3, 0, len(body), body[:100]),
        PicturePiece(3, 50, len(body), body[50:100]),  # not where the last one ended
        PicturePiece(3, 100, len(body), body[100:]),  # of one that was given up
    ):
        bench.desk.take(piece, bench.now_s)
    assert bench.held == 0
    bench.desk.take(PicturePiece(4, 0, len(body), body[:100]), bench.now_s)
    assert bench.held == len(body)
    bench.desk.drop()
    assert bench.held == 0
    assert bench.stamp_ns is None


def test_without_memory_there_is_no_picture(bench: Bench) -> None:
    bench.refuse = True
    bench.send(body_of())
    assert bench.stamp_ns is None


def test_memory_is_bounded_over_all_devices_and_the_one_looked_at_last_stays() -> None:
    looked = LookedAt(bytes_max=3000)
    image = np.random.default_rng(1).integers(0, 256, (32, 32, 3), np.uint8)
    packet = encode_view(hiding_nothing("noise").clear(Frame(FrameKey("main", 5), image, "bgr8")))
    for number in range(200):
        looked.look(f"cam-{number}", 100.0)
        looked.put(f"cam-{number}", "main", Shown(100.0, packet))
        assert looked.bytes_kept <= 3000
    assert looked.newest("cam-199", 100.0) is not None
    assert looked.newest("cam-0", 100.0) is None
