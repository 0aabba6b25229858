"""Which pieces of an artefact to ask for next: pure bookkeeping, the clock is an argument.

Pieces are a scavenger of the link down, as LEDBAT is (RFC 6817): as many bytes are under way as add
no more than `queue_ns` to how long a piece takes at best, so a live answer waits no longer behind
them. Times are monotonic, in ns.
"""

from __future__ import annotations

from collections import deque

from ...protocol.artefacts import ArtefactOffer, ArtefactPiece, ArtefactRequest

MS = 1_000_000
QUEUE_NS, QUEUE_ALONE_NS = 5 * MS, 100 * MS
"""While there are live packets, and while there are none."""
PIECE_BYTES = 2048
LARGE_PIECE_BYTES = 32_768
"""Where the window holds several of them."""
WINDOW_BYTES_MAX = 1_048_576
UNANSWERED_NS = 30_000 * MS
"""After so long without a piece it is asked for again."""
BASE_FORGOTTEN = 512
"""After so many pieces what was best is forgotten, for ways change."""


class Window:
    """How many bytes may be under way."""

    def __init__(self) -> None:
        self.bytes = PIECE_BYTES
        self.queue_ns = QUEUE_NS
        self._best_ns: deque[int] = deque(maxlen=2)
        self._count = 0
        self._halved_ns = 0

    @property
    def piece_bytes(self) -> int:
        """How large a piece is asked for."""
        return LARGE_PIECE_BYTES if self.bytes >= 4 * LARGE_PIECE_BYTES else PIECE_BYTES

    def took(self, took_ns: int, now_ns: int, size: int) -> None:
        """A piece came after so long."""
        if self._count % BASE_FORGOTTEN == 0:
            self._best_ns.append(took_ns)
        self._count += 1
        self._best_ns[-1] = min(self._best_ns[-1], took_ns)
        best_ns = min(self._best_ns)
        if took_ns - best_ns <= self.queue_ns:
            # As much again a round: slow at first, and never by more than what was asked for.
            self.bytes = min(self.bytes + size * PIECE_BYTES // self.bytes + 64, WINDOW_BYTES_MAX)
        elif now_ns - self._halved_ns > took_ns:
            self._halved_ns = now_ns
            self.bytes = max(self.bytes // 2, PIECE_BYTES)


class Transfer:
    """One artefact, of which `offset` bytes are here already."""

    def __init__(self, offer: ArtefactOffer, offset: int, window: Window, now_ns: int) -> None:
        self.offer = offer
        self.received = offset
        self._asked = offset
        self._window = window
        self._under_way: deque[tuple[int, int, int]] = deque()  # offset, length, when
        self._heard_ns = now_ns

    @property
    def complete(self) -> bool:
        """Whether all of it is here."""
        return self.received >= self.offer.size

    def requests(self, now_ns: int) -> list[ArtefactRequest]:
        """What to ask for now."""
        if self._under_way and now_ns - max(self._under_way[0][2], self._heard_ns) > UNANSWERED_NS:
            self._under_way.clear()
            self._asked = self.received
        asks = []
        while self._asked < self.offer.size:
            under_way = self._asked - self.received
            length = min(self._window.piece_bytes, self.offer.size - self._asked)
            if under_way and under_way + length > self._window.bytes:
                break
            asks.append(ArtefactRequest(self.offer.id, self._asked, length))
            self._under_way.append((self._asked, length, now_ns))
            self._asked += length
        return asks

    def heard(self, piece: ArtefactPiece, now_ns: int) -> bool:
        """Whether this is the piece that comes next, and to be kept."""
        if piece.id != self.offer.id or not self._under_way:
            return False
        offset, length, asked_ns = self._under_way[0]
        if piece.offset != offset or len(piece.data) != length:
            later = [asked for asked, _, _ in self._under_way if asked != offset]
            if piece.offset in later:  # the one before it will not come
                self._under_way.clear()
                self._asked = self.received
            return False
        self._under_way.popleft()
        self._heard_ns = now_ns
        self._window.took(now_ns - asked_ns, now_ns, length)
        self.received += length
        return True
