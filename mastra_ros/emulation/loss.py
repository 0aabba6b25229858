"""What lost packets do to a TCP stream: bytes come late, never not.

The relay joins two TCP connections on loopback, where nothing is lost, so a loss is played as the
delay that repairing it would cost. Each segment of 1460 bytes is lost with the probability given,
and so is each repetition of it:

- Three segments or more behind it in the same burst: their duplicate acknowledgements start a fast
  retransmit, and the segment comes one round trip later (RFC 5681, section 3.2).
- Else, or when the repetition is lost as well: the retransmission time-out passes, SRTT + 4 RTTVAR
  and at least 200 ms, doubled each time up to 120 s (RFC 6298, sections 2 and 5; it recommends a
  least time-out of 1 s, Linux uses 200 ms).

All that follows waits for the segment, since TCP delivers in order. Not played: the smaller
congestion window afterwards, selective acknowledgements of several losses in one window, and tail
loss probes (RFC 8985), which find a lost last segment sooner.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

SEGMENT_BYTES = 1460
DUPLICATES = 3
RTO_MIN_S = 0.2
RTO_MAX_S = 120.0
REPEATS_MAX = 15
"""TCP gives up after about so many repetitions (RFC 1122, R2; Linux's tcp_retries2)."""


@dataclass(frozen=True)
class Losses:
    """Losses on a link with this round trip and mean deviation of it, thrown with `rng`."""

    share: float  # of segments, 0 to 1
    rtt_s: float
    rttvar_s: float
    rng: random.Random

    def pieces(self, data: bytes, *, more: bool = False) -> Iterator[tuple[bytes, float]]:
        """The pieces of one burst, each with the delay in s that a lost segment at its start costs.

        more: other bytes follow close behind, so that losses at the end are noticed soon too.
        """
        if self.share <= 0 or not data:
            yield data, 0.0
            return
        segments = -(-len(data) // SEGMENT_BYTES)
        begin, late_s = 0, 0.0
        for index in range(segments):
            if self.rng.random() >= self.share:
                continue
            at = index * SEGMENT_BYTES
            if at > begin:
                yield data[begin:at], late_s
            begin = at
            late_s = self.repair_s(segments - 1 - index + (DUPLICATES if more else 0))
        yield data[begin:], late_s

    def repair_s(self, behind: int) -> float:
        """How much later a lost segment comes that has so many behind it."""
        timeout_s = min(max(self.rtt_s + 4 * self.rttvar_s, RTO_MIN_S), RTO_MAX_S)
        total_s = 0.0
        for repeat in range(REPEATS_MAX):
            if repeat == 0 and behind >= DUPLICATES:
                total_s += self.rtt_s
            else:
                total_s += timeout_s
                timeout_s = min(2 * timeout_s, RTO_MAX_S)
            if self.rng.random() >= self.share:
                break
        return total_s
