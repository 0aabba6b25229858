"""Pauses between attempts: exponential, with full jitter, apart from the attempts themselves."""

from __future__ import annotations

import random


class Backoff:
    """The pause doubles from `least_s` up to `most_s`, and each is drawn below that at random.

    Devices that lost the same gateway at once so come back spread out in time.
    """

    def __init__(self, least_s: float, most_s: float, rng: random.Random | None = None) -> None:
        self._least_s = least_s
        self._most_s = max(least_s, most_s)
        self._rng = rng or random.Random()
        self._ceiling_s = least_s

    def reset(self) -> None:
        """An attempt succeeded."""
        self._ceiling_s = self._least_s

    def next_s(self) -> float:
        """The next pause, in seconds."""
        pause_s = self._rng.uniform(self._least_s / 2, self._ceiling_s)
        self._ceiling_s = min(2 * self._ceiling_s, self._most_s)
        return pause_s
