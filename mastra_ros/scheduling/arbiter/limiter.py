"""Lets something happen at most once an interval."""

from __future__ import annotations


class Limiter:
    """Allows the first time, then again once the interval has passed. Times are steady, in ns."""

    def __init__(self) -> None:
        self._last_ns: int | None = None

    def allows(self, now_ns: int, interval_ns: int) -> bool:
        """Whether it may happen now; if so, it is taken to happen."""
        if self._last_ns is not None and now_ns - self._last_ns < interval_ns:
            return False
        self._last_ns = now_ns
        return True
