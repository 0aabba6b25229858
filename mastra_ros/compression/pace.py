"""Whether a stream's encoder keeps its time, by what its frames really take. Pure."""

from __future__ import annotations

from collections import deque
from statistics import median

FRAMES = 150
"""Frames encoded, of the latest, that are looked at together: more than one thing that passes."""
LENIENCE = 1.15
"""Times the budget; a codec is chosen by less, and a change costs a key frame."""


class Pace:
    """The latest times of one encoder; frames in which nothing has changed do not count."""

    def __init__(self) -> None:
        self._spent_ms: deque[float] = deque(maxlen=FRAMES)

    def took(self, spent_ms: float) -> None:
        """A frame was encoded in this time of a processor."""
        self._spent_ms.append(spent_ms)

    def begin_anew(self) -> None:
        """Another encoder is at work."""
        self._spent_ms.clear()

    def too_slow(self, budget_ms: float) -> bool:
        """Whether the middle one is over the budget by too much, once there are enough."""
        return len(self._spent_ms) == FRAMES and median(self._spent_ms) > LENIENCE * budget_ms
