"""How much of artefacts may be under way beside live packets: pure, the clock is an argument.

Pieces are a scavenger of the link down, as LEDBAT is (RFC 6817): a live answer waits no longer for
them. While no live packet is away, so much is under way as comes until an answer to the next one
could come at the earliest. While one is away nothing is asked for: its bytes have the link up, the
requests would arrive behind it, and their pieces before its answer. Where that is short, as with
small packets over a long way, pieces come all the time, with a short queue. Where one is always
away, as with large frames that overlap, few come at once. Times are monotonic, in ns.
"""

from __future__ import annotations

from collections import deque

from .receiving import MS, PIECE_BYTES, Link

QUEUE_ALONE_NS = 100 * MS
"""How much pieces may add to what one takes at best while there are no live packets."""
LIVE_NS = 5_000 * MS
"""So long after a live answer the next ones are expected."""
QUICKEST_NS = 10_000 * MS
"""What was quickest is forgotten after twice so long, for ways change. So often nothing is asked
for until an answer has come that no piece is in the way of, or its time would grow by and by (BBR
does so for the round trip, draft-ietf-ccwg-bbr)."""
REST_ANSWERS, REST_NS = 2, 1_000 * MS
"""Nothing is asked for until so many answers have come, or for so long."""
ANSWER_NS = 50 * MS
"""While no answer has come yet."""
SHARE = 0.1
"""Of a live answer's time, what pieces may add to it."""
BLOCKED_SHARE = 0.15
"""Of a live answer's time: where live packets hold up requests for less, pieces come always."""
OVERLAP_BYTES = 2 * PIECE_BYTES
OVERLAP = 2.0
"""A live packet has been away for so many times what an answer takes: then there always is one."""


class Beside:
    """What is known of live packets; it outlives a session, for the way is mostly as it was."""

    def __init__(self) -> None:
        self._quickest_ns: deque[int] = deque(maxlen=2)
        self._begun_ns = 0  # what the last of them is of
        self._rest_until_ns = 0
        self._rest_answers = 0
        self._until_ns = 0  # live packets are expected
        self._away_since_ns: int | None = None

    def begin(self, now_ns: int) -> None:
        """A session begins: live packets may come at once, and take as long as in the last one."""
        self._until_ns = now_ns + LIVE_NS
        self._away_since_ns = None
        self._rest_answers = 0

    def answered(self, took_ns: int, now_ns: int) -> None:
        """A live packet was answered after so long."""
        self._until_ns = now_ns + LIVE_NS
        self._rest_answers -= 1
        if not self._quickest_ns or now_ns - self._begun_ns > QUICKEST_NS:
            self._begun_ns = now_ns
            self._quickest_ns.append(took_ns)
            self._rest_answers, self._rest_until_ns = REST_ANSWERS, now_ns + REST_NS
        self._quickest_ns[-1] = min(self._quickest_ns[-1], took_ns)

    def look(self, away: bool, now_ns: int) -> None:
        """Whether a live packet is away now, unanswered."""
        if not away:
            self._away_since_ns = None
            return
        self._until_ns = now_ns + LIVE_NS
        if self._away_since_ns is None:
            self._away_since_ns = now_ns

    def window_bytes(self, link: Link, idle: bool, now_ns: int) -> int:
        """How much may be under way now; 0: ask for nothing. `idle`: nothing is under way."""
        if now_ns >= self._until_ns:
            return link.bytes_in(link.best_ns + QUEUE_ALONE_NS)
        if self._rest_answers > 0 and now_ns < self._rest_until_ns:
            return 0
        answer_ns = min(self._quickest_ns, default=ANSWER_NS)
        small_ns = int(SHARE * answer_ns)
        if answer_ns - link.best_ns <= BLOCKED_SHARE * answer_ns:
            return link.bytes_in(link.best_ns + small_ns)
        if self._away_since_ns is None:
            before_ns = answer_ns - small_ns - (link.best_ns if idle else 0)
            return link.bytes_in(max(before_ns, small_ns))
        overlap = now_ns - self._away_since_ns > OVERLAP * answer_ns
        return max(link.bytes_in(small_ns), OVERLAP_BYTES) if overlap else 0
