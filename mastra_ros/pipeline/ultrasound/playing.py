"""Plays a recording in its own time: when each event is due, and how it is stamped.

All stamps of a recording are moved by the same amount, so that what lay between a picture and a
pose lies there still, to the nanosecond.
"""

from __future__ import annotations

from collections.abc import Callable

JUMP_NS = 60 * 10**9
"""Stamps that go back, or on by more than this, are played at once: a new beginning."""


class Player:
    """speed: times faster. recorded: stamps stay what they are."""

    def __init__(self, speed: float = 1.0, *, recorded: bool = False) -> None:
        self._speed = speed
        self._recorded = recorded
        self._first: tuple[int, int] | None = None  # stamp, monotonic
        self._last_ns = 0
        self._offset_ns: int | None = None

    def wait_s(self, stamp_ns: int, now_ns: int) -> float:
        """How long until an event is due; 0 or less: it is."""
        jumped = not -JUMP_NS < stamp_ns - self._last_ns < JUMP_NS
        if self._first is None or jumped:
            self._first = (stamp_ns, now_ns)
        self._last_ns = stamp_ns
        due_ns = self._first[1] + (stamp_ns - self._first[0]) / self._speed
        return (due_ns - now_ns) / 1e9

    def stamp_ns(self, stamp_ns: int, clock: Callable[[], int]) -> int:
        """The stamp under which an event is told; `clock` is asked for the first one alone."""
        if self._recorded:
            return stamp_ns
        if self._offset_ns is None:
            self._offset_ns = clock() - stamp_ns
        return stamp_ns + self._offset_ns

    def again(self) -> None:
        """The recording starts again; what comes is stamped after all that has come."""
        self._first = None
        self._offset_ns = None
