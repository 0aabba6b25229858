"""What to ask for next: in order, no more than the link takes, and again after a loss."""

from __future__ import annotations

from mastra_ros.bridge.artefacts.receiving import (
    MS,
    PIECE_BYTES,
    QUEUE_NS,
    UNANSWERED_NS,
    WINDOW_BYTES_MAX,
    Transfer,
    Window,
)
from mastra_ros.protocol.artefacts import ArtefactOffer, ArtefactPiece, ArtefactRequest

DIGEST = "0" * 64


def offer(size: int) -> ArtefactOffer:
    return ArtefactOffer(7, "plan", "one", size, DIGEST)


def answer(request: ArtefactRequest) -> ArtefactPiece:
    return ArtefactPiece(request.id, request.offset, bytes(request.length))


def fetch(size: int, bps: float, rtt_ns: int, window: Window) -> tuple[int, int]:
    """Over a link of one queue: how long it took, and the longest queue, in ns."""
    transfer = Transfer(offer(size), 0, window, 0)
    now_ns = free_ns = longest_ns = 0
    under_way: list[tuple[int, ArtefactPiece]] = []
    while not transfer.complete:
        for request in transfer.requests(now_ns):
            at_ns = max(now_ns + rtt_ns, free_ns)
            longest_ns = max(longest_ns, at_ns - now_ns - rtt_ns)
            free_ns = at_ns + int(request.length * 8e9 / bps)
            under_way.append((free_ns, answer(request)))
        now_ns, piece = under_way.pop(0)
        assert transfer.heard(piece, now_ns)
    return now_ns, longest_ns


def test_it_goes_on_from_where_it_was_and_ends_whole() -> None:
    transfer = Transfer(offer(10_000), 9_000, Window(), 0)
    (request,) = transfer.requests(0)
    assert (request.offset, request.length) == (9_000, 1_000)
    assert not transfer.complete
    assert transfer.heard(answer(request), 5)
    assert transfer.complete
    assert transfer.requests(6) == []


def test_what_nobody_asked_for_is_not_kept() -> None:
    transfer = Transfer(offer(10_000), 0, Window(), 0)
    assert not transfer.heard(ArtefactPiece(7, 0, b"x"), 0), "nothing was asked for"
    (request,) = transfer.requests(0)
    for piece in (
        ArtefactPiece(8, 0, bytes(PIECE_BYTES)),
        ArtefactPiece(7, 1, bytes(PIECE_BYTES)),
        ArtefactPiece(7, 0, bytes(PIECE_BYTES - 1)),
        ArtefactPiece(7, 0, bytes(PIECE_BYTES + 1)),
    ):
        assert not transfer.heard(piece, 0)
    assert transfer.heard(answer(request), 0)


def test_a_piece_that_never_comes_is_asked_for_again() -> None:
    transfer = Transfer(offer(PIECE_BYTES), 0, Window(), 0)
    (first,) = transfer.requests(0)
    assert transfer.requests(UNANSWERED_NS) == []
    assert transfer.requests(UNANSWERED_NS + 1) == [first]


def test_a_piece_that_was_passed_over_is_asked_for_again_at_once() -> None:
    window = Window()
    window.bytes = 3 * PIECE_BYTES
    transfer = Transfer(offer(10 * PIECE_BYTES), 0, window, 0)
    first, second, third = transfer.requests(0)
    assert not transfer.heard(answer(second), 1)
    assert transfer.requests(2) == [first, second, third]


def test_pieces_make_a_narrow_link_s_queue_no_longer_than_a_live_answer_bears() -> None:
    took_ns, queue_ns = fetch(2_000_000, 5e6, 20 * MS, Window())
    assert queue_ns < QUEUE_NS + 15 * MS
    assert took_ns < 3 * 2_000_000 * 8e9 / 5e6, "and it uses a good part of the link"


def test_a_wide_link_is_used() -> None:
    window = Window()
    fetch(50_000_000, 1e9, 10 * MS, window)
    assert window.bytes > 200_000
    assert window.bytes <= WINDOW_BYTES_MAX
