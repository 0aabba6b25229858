"""What heartbeats tell of a link: round trip after RFC 6298, loss over a sliding window."""

from __future__ import annotations

import math
from collections import deque

WINDOW = 32
"""Heartbeats and packets that the share of losses looks back on."""


class LinkEstimate:
    """Smoothed round trip, its deviation, and the share of what was not answered in time.

    RFC 6298, section 2, with alpha 1/8, beta 1/4, K 4; `floor_ns` is the least time-out.
    """

    def __init__(self, floor_ns: int = 100_000_000, ceiling_ns: int = 60_000_000_000) -> None:
        self._floor_ns = floor_ns
        self._ceiling_ns = max(floor_ns, ceiling_ns)
        self._outcomes: deque[bool] = deque(maxlen=WINDOW)  # True: answered in time
        self.srtt_ns = math.nan
        self.rttvar_ns = math.nan

    def measured(self, rtt_ns: int) -> None:
        """Take in one round trip."""
        if math.isnan(self.srtt_ns):
            self.srtt_ns, self.rttvar_ns = float(rtt_ns), rtt_ns / 2
            return
        self.rttvar_ns += (abs(self.srtt_ns - rtt_ns) - self.rttvar_ns) / 4
        self.srtt_ns += (rtt_ns - self.srtt_ns) / 8

    def count(self, in_time: bool) -> None:
        """Take in whether one heartbeat or packet was answered in time."""
        self._outcomes.append(in_time)

    @property
    def rto_ns(self) -> int:
        """How long an answer may take before it counts as lost."""
        if math.isnan(self.srtt_ns):
            return self._ceiling_ns
        rto = self.srtt_ns + max(4 * self.rttvar_ns, 1e6)
        return int(min(max(rto, self._floor_ns), self._ceiling_ns))

    @property
    def loss(self) -> float:
        """Share not answered in time, 0 to 1."""
        return self._outcomes.count(False) / len(self._outcomes) if self._outcomes else 0.0
