"""When the backlog may be sent beside live frames: pure bookkeeping, the clock is an argument.

The backlog is a scavenger, as transfers with LEDBAT are (RFC 6817): it has what live frames leave,
and yields when they wait longer for it. Both the link and the gateway may be what is short.
"""

from __future__ import annotations

from .flight import SECOND

SLOW = 0.6
"""A live answer that took more than this share of the time it had is slow."""
YIELD_NS = SECOND // 2
"""How long the backlog rests after a slow live answer."""
OVERLOAD_NS = SECOND
"""How long it rests after the gateway said that it is overloaded."""
STARVED_NS = 2 * SECOND
"""One packet goes after so long without any, however slow live answers are."""


class Scavenger:
    """Says how many packets of the backlog may be under way. Times are monotonic, in ns."""

    def __init__(self, in_flight_max: int) -> None:
        self._in_flight_max = in_flight_max
        self._rest_until_ns = 0
        self._yields_until_ns = 0
        self._sent_ns = 0

    def live_answered(self, took_ns: int, allowed_ns: int, now_ns: int) -> None:
        """A live packet was answered after `took_ns` of the `allowed_ns` that it had."""
        if took_ns > SLOW * allowed_ns:
            self._yields_until_ns = now_ns + YIELD_NS

    def overloaded(self, now_ns: int) -> None:
        """The gateway takes no more for now."""
        self._rest_until_ns = now_ns + OVERLOAD_NS

    def sent(self, now_ns: int) -> None:
        """A packet of the backlog goes now."""
        self._sent_ns = now_ns

    def room(self, in_flight: int, now_ns: int) -> int:
        """How many packets may be sent now beside `in_flight` of the backlog."""
        if now_ns < self._rest_until_ns:
            return 0
        if now_ns >= self._yields_until_ns:
            return max(0, self._in_flight_max - in_flight)
        return int(in_flight == 0 and now_ns >= self._sent_ns + STARVED_NS)
