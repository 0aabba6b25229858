"""What to ask for next: in order, no more than may be under way, and again after a loss."""

from __future__ import annotations

import pytest

from mastra_ros.bridge.artefacts.receiving import (
    MS,
    PIECE_BYTES,
    PIECE_BYTES_MAX,
    UNANSWERED_NS,
    WINDOW_BYTES,
    WINDOW_BYTES_MAX,
    Link,
    Transfer,
    piece_bytes,
)
from mastra_ros.protocol.artefacts import ArtefactOffer, ArtefactPiece, ArtefactRequest

DIGEST = "0" * 64


def offer(size: int) -> ArtefactOffer:
    return ArtefactOffer(7, "plan", "one", size, DIGEST)


def answer(request: ArtefactRequest) -> ArtefactPiece:
    return ArtefactPiece(request.id, request.offset, bytes(request.length))


def fetch(size: int, bps: float, rtt_ns: int, queue_ns: int, together: int) -> tuple[Link, int]:
    """Over a link of one queue: what is known of it then, and how long it took, in ns.

    together: so many bytes are read at once at this end, as a record of TLS is.
    """
    link = Link()
    transfer = Transfer(offer(size), 0, link, 0)
    now_ns = free_ns = 0
    under_way: list[tuple[int, ArtefactPiece]] = []
    while not transfer.complete:
        window = link.bytes_in(link.best_ns + queue_ns)
        for request in transfer.requests(now_ns, window):
            free_ns = max(now_ns + rtt_ns, free_ns) + int(request.length * 8e9 / bps)
            under_way.append((free_ns, answer(request)))
        count = max(1, together // len(under_way[0][1].data))
        read, under_way = under_way[:count], under_way[count:]
        now_ns = read[-1][0]
        for _, piece in read:
            assert transfer.heard(piece, now_ns)
    return link, now_ns


def test_it_goes_on_from_where_it_was_and_ends_whole() -> None:
    transfer = Transfer(offer(10_000), 9_900, Link(), 0)
    (request,) = transfer.requests(0, PIECE_BYTES)
    assert (request.offset, request.length) == (9_900, 100)
    assert not transfer.complete
    assert transfer.heard(answer(request), 5)
    assert transfer.complete
    assert transfer.requests(6, PIECE_BYTES) == []


def test_what_nobody_asked_for_is_not_kept() -> None:
    transfer = Transfer(offer(10_000), 0, Link(), 0)
    assert not transfer.heard(ArtefactPiece(7, 0, b"x"), 0), "nothing was asked for"
    (request,) = transfer.requests(0, PIECE_BYTES)
    for piece in (
        ArtefactPiece(8, 0, bytes(PIECE_BYTES)),
        ArtefactPiece(7, 1, bytes(PIECE_BYTES)),
        ArtefactPiece(7, 0, bytes(PIECE_BYTES - 1)),
        ArtefactPiece(7, 0, bytes(PIECE_BYTES + 1)),
    ):
        assert not transfer.heard(piece, 0)
    assert transfer.heard(answer(request), 0)


def test_a_piece_that_never_comes_is_asked_for_again() -> None:
    transfer = Transfer(offer(PIECE_BYTES), 0, Link(), 0)
    (first,) = transfer.requests(0, PIECE_BYTES)
    assert transfer.requests(UNANSWERED_NS, PIECE_BYTES) == []
    assert transfer.requests(UNANSWERED_NS + 1, PIECE_BYTES) == [first]


def test_a_piece_that_was_passed_over_is_asked_for_again_at_once() -> None:
    transfer = Transfer(offer(10 * PIECE_BYTES), 0, Link(), 0)
    first, second, third = transfer.requests(0, 3 * PIECE_BYTES)
    assert not transfer.heard(answer(second), 1)
    assert transfer.requests(2, 3 * PIECE_BYTES) == [first, second, third]


@pytest.mark.parametrize("window_bytes", [1, 512, 5_000, 200_000, WINDOW_BYTES_MAX])
def test_no_more_is_under_way_than_may_be_and_a_piece(window_bytes: int) -> None:
    transfer = Transfer(offer(100_000_000), 0, Link(), 0)
    size = piece_bytes(window_bytes)
    assert PIECE_BYTES <= size <= PIECE_BYTES_MAX
    asked = sum(request.length for request in transfer.requests(0, window_bytes))
    assert window_bytes <= asked < window_bytes + size
    assert transfer.requests(1, window_bytes) == []


def test_while_nothing_is_known_of_a_link_little_is_asked_for() -> None:
    assert Link().bytes_in(10_000 * MS) == WINDOW_BYTES


@pytest.mark.parametrize("together", [1, 1024, 4096])
@pytest.mark.parametrize(("bps", "rtt_ms"), [(5e5, 1), (5e5, 60), (5e6, 20), (5e6, 150), (5e7, 60)])
def test_a_link_is_used_whole_and_known(bps: float, rtt_ms: int, together: int) -> None:
    link, took_ns = fetch(int(bps / 2), bps, rtt_ms * MS, 100 * MS, together)
    assert took_ns < 1.3 * 4000 * MS, "of 4 s at best"
    assert 0.7 * bps < link.bytes_in(100 * MS) * 80 < 1.5 * bps


def test_a_link_that_becomes_slower_is_known_soon() -> None:
    link, _ = fetch(2_000_000, 5e6, 20 * MS, 100 * MS, 1)
    before = link.bytes_in(1000 * MS)
    for number in range(64):
        link.came(200 * MS, number * 66 * MS, 4096, 0)
    assert link.bytes_in(1000 * MS) < 0.1 * before
