"""Whether to ask a server at all, after it has failed: a circuit breaker. Pure.

As in Nygard, Release It! (2007): after some failures in a row nothing is asked for a while, so
that callers are answered at once and the server is left in peace; then one request tries.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass
class Breaker:
    """Opens after `failures_max` failures in a row, for `rest_s`."""

    failures_max: int
    rest_s: float
    failures: int = 0
    until_s: float = -math.inf  # of the caller's clock

    def admits(self, now_s: float) -> bool:
        """Whether to ask."""
        return now_s >= self.until_s

    def succeeded(self) -> None:
        """It has answered."""
        self.failures, self.until_s = 0, -math.inf

    def failed(self, now_s: float) -> None:
        """It has not; what tries after a rest opens it again at once."""
        self.failures += 1
        if self.failures >= self.failures_max:
            self.until_s = now_s + self.rest_s
