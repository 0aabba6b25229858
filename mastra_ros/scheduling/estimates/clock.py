"""A clock that never goes back, whatever the caller's does."""

from __future__ import annotations

NS_PER_MS = 1_000_000


class SteadyClock:
    """Steady time made from a caller's clock: a step backwards counts as no time at all.

    Steps forward cannot be told from waiting, so they count in full; what passed between the
    last call before a step backwards and the first one after it is lost. All times are in ns.
    """

    def __init__(self) -> None:
        self._steady_ns: int | None = None
        self._caller_ns = 0

    def advance(self, caller_ns: int) -> int:
        """Steady time at the caller's `caller_ns`; the same argument twice changes nothing."""
        if self._steady_ns is None:
            self._steady_ns = caller_ns
        else:
            self._steady_ns += max(0, caller_ns - self._caller_ns)
        self._caller_ns = caller_ns
        return self._steady_ns

    @property
    def now_ns(self) -> int:
        """Steady time of the latest `advance`, 0 before the first."""
        return 0 if self._steady_ns is None else self._steady_ns

    def inside(self, caller_ns: int) -> int:
        """A moment of the caller's clock in steady time, never after now."""
        return min(caller_ns - self._caller_ns + self.now_ns, self.now_ns)

    def outside(self, steady_ns: int) -> int:
        """A moment of steady time on the caller's clock."""
        return steady_ns - self.now_ns + self._caller_ns


def to_ns(duration_ms: float) -> int:
    """Milliseconds as whole ns."""
    return round(duration_ms * NS_PER_MS)
