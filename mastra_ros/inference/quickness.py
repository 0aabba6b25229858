"""Whether a model's runs are so short that to hand them to another thread would take longer."""

from __future__ import annotations

import math

RUN_MS_MAX = 0.5
"""The shortest run may take so long; a hand-off there and back is about half of it."""
TURN_MS_MAX = 1.0
"""So long may the event loop be kept at once."""
FADING = 1.02
"""What was seen counts less with each run: a model, or its engine, may become slower."""


class Quickness:
    """What runs took lately, at the least: more is other threads' doing, and not the model's."""

    def __init__(self) -> None:
        self._run_ms = self._item_ms = math.inf

    def ran(self, size: int, work_ms: float) -> None:
        """One run of so many items has taken so much of a processor."""
        self._run_ms = min(self._run_ms * FADING, work_ms)
        self._item_ms = min(self._item_ms * FADING, work_ms / size)

    @property
    def size(self) -> int:
        """How many items may be run where they are; 0 where that takes too long or is not known."""
        if self._run_ms > RUN_MS_MAX:
            return 0
        return max(1, int(TURN_MS_MAX / max(self._item_ms, 1e-3)))
