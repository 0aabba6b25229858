"""Which pieces of an artefact to ask for next: pure bookkeeping, the clock is an argument.

How many bytes may be under way is said by beside.py, from what is measured here: what the link down
carries, as BBR measures it (draft-ietf-ccwg-bbr), and how long a piece takes at best. Times are
monotonic, in ns.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from ...protocol.artefacts import ArtefactOffer, ArtefactPiece, ArtefactRequest

MS = 1_000_000
PIECE_BYTES, PIECE_BYTES_MAX = 512, 32_768
WINDOW_PIECES = 8
"""A piece is so small that the window holds several."""
WINDOW_BYTES_MAX = 1_048_576
WINDOW_BYTES = 4 * PIECE_BYTES
"""While nothing is known of the link."""
UNANSWERED_NS = 30_000 * MS
"""After so long without a piece it is asked for again."""
BASE_FORGOTTEN = 512
"""After so many pieces what was best is forgotten, for ways change."""
RESOLUTION_NS = 5 * MS
"""Differences of times mean nothing below it."""
RATES, RATE_RANK = 64, 0.75
"""Of so many pieces, the rate at this rank: those that came while the link was full are among them,
and one that came with others, which a busy processor had left lying, is not taken for a rate."""


class Link:
    """What is known of the link down."""

    def __init__(self) -> None:
        self._best_ns: deque[int] = deque(maxlen=2)
        self._count = 0
        self._rates: deque[float] = deque(maxlen=RATES)
        self._burst_ns = 0  # the first piece of a burst came

    @property
    def best_ns(self) -> int:
        """How long a piece takes at best; 0 while none has come."""
        return min(self._best_ns, default=0)

    def bytes_in(self, time_ns: int) -> int:
        """How much comes in so long, within bounds."""
        if not self._rates:
            return WINDOW_BYTES
        rate = sorted(self._rates)[int(RATE_RANK * (len(self._rates) - 1))]
        return int(min(max(rate * time_ns, PIECE_BYTES), WINDOW_BYTES_MAX))

    def came(self, took_ns: int, now_ns: int, delivered: int, ahead: int) -> None:
        """A piece came after so long, in which so many bytes came, with its own.

        ahead: those that were asked for before it at the same moment, when nothing was under way.
        """
        if self._count % BASE_FORGOTTEN == 0:
            self._best_ns.append(took_ns)
        self._count += 1
        self._best_ns[-1] = min(self._best_ns[-1], took_ns)
        if not ahead:
            self._burst_ns = now_ns
        # No more can come than the link carries; in a burst, all after the first come at its pace.
        in_burst = ahead / max(now_ns - self._burst_ns, RESOLUTION_NS)
        self._rates.append(max(delivered / max(took_ns, 1), in_burst))


def piece_bytes(window_bytes: int) -> int:
    """How large a piece is asked for where so much may be under way."""
    whole = window_bytes // WINDOW_PIECES // PIECE_BYTES * PIECE_BYTES
    return min(max(whole, PIECE_BYTES), PIECE_BYTES_MAX)


@dataclass(frozen=True)
class Asked:
    """A piece that is under way."""

    offset: int
    length: int
    at_ns: int
    received: int  # of the artefact, at that moment
    ahead: int  # see Link.came


class Transfer:
    """One artefact, of which `offset` bytes are here already."""

    def __init__(self, offer: ArtefactOffer, offset: int, link: Link, now_ns: int) -> None:
        self.offer = offer
        self.received = offset
        self._asked = offset
        self._link = link
        self._under_way: deque[Asked] = deque()
        self._heard_ns = now_ns

    @property
    def complete(self) -> bool:
        """Whether all of it is here."""
        return self.received >= self.offer.size

    @property
    def idle(self) -> bool:
        """Whether nothing is under way."""
        return not self._under_way

    def requests(self, now_ns: int, window_bytes: int) -> list[ArtefactRequest]:
        """What to ask for now, where so many bytes may be under way, or one piece."""
        if (
            self._under_way
            and now_ns - max(self._under_way[0].at_ns, self._heard_ns) > UNANSWERED_NS
        ):
            self._ask_again()
        burst = self.idle
        asks = []
        while self._asked < self.offer.size:
            under_way = self._asked - self.received
            if under_way and under_way >= window_bytes:
                break
            length = min(piece_bytes(window_bytes), self.offer.size - self._asked)
            asks.append(ArtefactRequest(self.offer.id, self._asked, length))
            ahead = under_way if burst else 0
            self._under_way.append(Asked(self._asked, length, now_ns, self.received, ahead))
            self._asked += length
        return asks

    def heard(self, piece: ArtefactPiece, now_ns: int) -> bool:
        """Whether this is the piece that comes next, and to be kept."""
        if piece.id != self.offer.id or not self._under_way:
            return False
        asked = self._under_way[0]
        if piece.offset != asked.offset or len(piece.data) != asked.length:
            if any(piece.offset == later.offset for later in self._under_way if later != asked):
                self._ask_again()  # the one before it will not come
            return False
        self._under_way.popleft()
        self._heard_ns = now_ns
        self.received += asked.length
        delivered = self.received - asked.received
        self._link.came(now_ns - asked.at_ns, now_ns, delivered, asked.ahead)
        return True

    def _ask_again(self) -> None:
        self._under_way.clear()
        self._asked = self.received
