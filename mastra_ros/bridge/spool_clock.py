"""The age of records by a wall clock that may be wrong, and may be set while we look.

Records outlive the process, so their age needs the wall clock. A clock that jumps was wrong before
or is wrong now; by itself it makes no record older. So the times of records move with every jump,
and nothing is given up for its age until the clock has gone steadily for a while.
"""

from __future__ import annotations

import time
from collections.abc import Callable

JUMP_S = 5.0
"""The wall clock is slewed by less than this between two looks, and set by more."""
STEADY_S = 600.0
"""A clock that was not set for so long is believed."""


class SpoolClock:
    """Seconds since 1970 by `wall`, checked against `monotonic`."""

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._steady_from_s = monotonic()
        self._offset_s = wall() - self._steady_from_s

    def now_s(self) -> float:
        """What the wall clock says."""
        return self._wall()

    def jump_s(self) -> float:
        """How far the wall clock was set since the last call; 0 where it was not."""
        now_s = self._monotonic()
        offset_s = self._wall() - now_s
        jump_s = offset_s - self._offset_s
        self._offset_s = offset_s
        if abs(jump_s) < JUMP_S:
            return 0.0
        self._steady_from_s = now_s
        return jump_s

    @property
    def steady(self) -> bool:
        """Whether ages may be believed."""
        return self._monotonic() - self._steady_from_s >= STEADY_S
