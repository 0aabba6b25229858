"""Pieces keep out of the way of live answers, and have most of what these leave."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from mastra_ros.bridge.artefacts.beside import (
    LIVE_NS,
    OVERLAP,
    QUEUE_ALONE_NS,
    QUICKEST_NS,
    REST_ANSWERS,
    REST_NS,
    SHARE,
    Beside,
)
from mastra_ros.bridge.artefacts.receiving import MS, Link, Transfer
from mastra_ros.protocol.artefacts import ArtefactOffer, ArtefactPiece, ArtefactRequest

REQUEST_BYTES, ANSWER_BYTES = 70, 300
INFERENCE_NS = 4 * MS


@dataclass
class Way:
    """One direction of a link: a queue without end before a rate, then a delay."""

    bps: float
    delay_ns: int
    free_ns: int = 0

    def carry(self, size: int, now_ns: int) -> int:
        """When so many bytes are there."""
        self.free_ns = max(now_ns, self.free_ns) + int(size * 8e9 / self.bps)
        return self.free_ns + self.delay_ns


@dataclass
class Device:
    """Sends frames at a steady pace, and fetches an artefact beside them, for so long."""

    bps: float = 5e6
    rtt_ns: int = 10 * MS
    frame_bytes: int = 16_500
    period_ns: int = 100 * MS
    fetches: bool = True
    ages_ns: list[int] = field(default_factory=list)
    received: int = 0

    def run(self, seconds: float) -> Device:
        up, down = (Way(self.bps, self.rtt_ns // 2) for _ in range(2))
        beside, link = Beside(), Link()
        transfer = Transfer(ArtefactOffer(1, "plan", "one", 2**29, "0" * 64), 0, link, 0)
        away: set[int] = set()
        counter = itertools.count()
        events: list[tuple[int, int, Callable[[int], None]]] = []

        def at(when_ns: int, action: Callable[..., None], *values: Any) -> None:
            heapq.heappush(events, (when_ns, next(counter), lambda now: action(now, *values)))

        def ask(now: int) -> None:
            beside.look(bool(away), now)
            window = beside.window_bytes(link, transfer.idle, now) if self.fetches else 0
            if window:
                for request in transfer.requests(now, window):
                    at(up.carry(REQUEST_BYTES, now), serve, request)

        def serve(now: int, request: ArtefactRequest) -> None:
            piece = ArtefactPiece(1, request.offset, bytes(request.length))
            at(down.carry(request.length + 40, now), hear, piece)

        def hear(now: int, piece: ArtefactPiece) -> None:
            assert transfer.heard(piece, now)
            ask(now)

        def frame(now: int) -> None:
            away.add(now)
            at(up.carry(self.frame_bytes, now), infer, now)
            at(now + self.period_ns, frame)

        def infer(now: int, sent: int) -> None:
            at(now + INFERENCE_NS, answer, sent)

        def answer(now: int, sent: int) -> None:
            at(down.carry(ANSWER_BYTES, now), answered, sent)

        def answered(now: int, sent: int) -> None:
            away.discard(sent)
            self.ages_ns.append(now - sent)
            beside.answered(now - sent, now)
            beside.look(bool(away), now)
            ask(now)

        def tick(now: int) -> None:
            ask(now)
            at(now + 50 * MS, tick)

        at(0, frame)
        at(1, tick)
        while events and events[0][0] < seconds * 1000 * MS:
            now, _, action = heapq.heappop(events)
            action(now)
        self.received = transfer.received
        return self

    @property
    def p99_ns(self) -> float:
        return float(np.percentile(self.ages_ns, 99))


@pytest.mark.parametrize(
    ("name", "of_link", "link"),
    [
        ("ten pictures a second", 0.7, {}),
        ("ten pictures a second from afar", 0.15, {"rtt_ns": 60 * MS}),
        ("video", 0.25, {"frame_bytes": 2_000, "period_ns": 33 * MS}),
        ("video from afar", 0.6, {"frame_bytes": 2_000, "period_ns": 33 * MS, "rtt_ns": 80 * MS}),
        ("repeats of ten bytes", 0.25, {"frame_bytes": 200, "period_ns": 40 * MS}),
        ("a wide link", 0.7, {"bps": 50e6}),
        ("a narrow link", 0.6, {"bps": 5e5, "frame_bytes": 1_600}),
        ("large frames that overlap", 0.04, {"period_ns": 33 * MS}),
        ("large frames from afar", 0.01, {"period_ns": 33 * MS, "rtt_ns": 80 * MS}),
    ],
)
def test_live_answers_are_no_later_beside_pieces_that_have_a_good_share_of_the_link(
    name: str, of_link: float, link: dict[str, Any]
) -> None:
    alone = Device(fetches=False, **link).run(10.0)
    beside = Device(**link).run(10.0)
    assert beside.p99_ns <= 1.2 * alone.p99_ns, name
    assert beside.received * 8 / 10.0 >= of_link * beside.bps, name


BEST_NS, RATE = 10 * MS, 1000 / MS
"""Of a link that is known: 1 MB/s."""


def known() -> Link:
    link = Link()
    link.came(BEST_NS, 0, int(RATE * BEST_NS), 0)
    return link


def rested(answer_ns: int, now_ns: int = 0) -> Beside:
    """Live answers take so long, of which the last came now."""
    beside = Beside()
    for _ in range(REST_ANSWERS + 1):
        beside.answered(answer_ns, now_ns)
    return beside


def test_without_live_packets_the_link_is_theirs() -> None:
    alone = int(RATE * (BEST_NS + QUEUE_ALONE_NS))
    assert Beside().window_bytes(known(), True, 0) == alone
    beside = rested(40 * MS)
    assert 0 < beside.window_bytes(known(), True, LIVE_NS - 1) < alone
    assert beside.window_bytes(known(), True, LIVE_NS) == alone


def test_a_session_begins_as_if_live_packets_were_to_come_as_in_the_last_one() -> None:
    beside = rested(40 * MS)
    before = beside.window_bytes(known(), True, 1)
    beside.look(True, 2)
    later_ns = 3600 * 1000 * MS
    beside.begin(later_ns)
    assert beside.window_bytes(known(), True, later_ns) == before
    fresh = Beside()
    fresh.begin(0)
    assert fresh.window_bytes(known(), True, 0) < fresh.window_bytes(known(), True, LIVE_NS)


def test_what_is_asked_for_is_there_before_the_next_live_answer_can_come() -> None:
    beside = rested(40 * MS)
    margin_ns = int(SHARE * 40) * MS
    assert beside.window_bytes(known(), False, 1) == RATE * (40 * MS - margin_ns)
    assert beside.window_bytes(known(), True, 1) == RATE * (40 * MS - margin_ns - BEST_NS), (
        "where nothing is under way the first piece takes its time to come"
    )


def test_nothing_is_asked_for_while_a_live_packet_is_away() -> None:
    beside = rested(40 * MS)
    beside.look(True, 50 * MS)
    assert beside.window_bytes(known(), True, 50 * MS) == 0
    beside.look(False, 90 * MS)
    assert beside.window_bytes(known(), True, 90 * MS) > 0


def test_where_a_live_packet_is_always_away_a_little_comes_all_the_same() -> None:
    beside = rested(40 * MS)
    beside.look(True, 0)
    beside.look(True, 80 * MS)
    since_ns = int(OVERLAP * 40) * MS
    assert beside.window_bytes(known(), True, since_ns) == 0
    assert beside.window_bytes(known(), True, since_ns + 1) == RATE * SHARE * 40 * MS


def test_pieces_come_where_live_packets_never_have_an_answer() -> None:
    beside = Beside()
    beside.look(True, 0)
    assert beside.window_bytes(known(), True, MS) == 0
    assert beside.window_bytes(known(), True, 1000 * MS) > 0


def test_the_time_of_an_answer_is_measured_anew_with_nothing_in_its_way() -> None:
    beside = rested(40 * MS)
    later_ns = QUICKEST_NS + 1
    beside.answered(60 * MS, later_ns)
    assert beside.window_bytes(known(), True, later_ns) == 0
    beside.answered(60 * MS, later_ns + 1)
    beside.answered(60 * MS, later_ns + 2)
    assert beside.window_bytes(known(), True, later_ns + 2) > 0


def test_a_rest_ends_where_no_answer_comes() -> None:
    beside = Beside()
    beside.answered(40 * MS, 0)
    assert beside.window_bytes(known(), True, REST_NS - 1) == 0
    assert beside.window_bytes(known(), True, REST_NS) > 0
