"""When the next frame is due, and how long to wait before trying again."""

from __future__ import annotations

import math
import random

GAP_MAX_S = 60.0
"""A longer gap between two frames of a recording is a jump of its clock."""


class Pacer:
    """Places frames on a grid of equal steps.

    Each frame is due a whole number of steps after the first, so that small delays do not add up;
    steps missed by a late frame are left out, so that none come in a burst.
    """

    def __init__(self, rate_hz: float) -> None:
        self._step_ns = 1e9 / rate_hz if rate_hz > 0 else 0.0
        self._first_ns: int | None = None
        self._steps = 0

    def wait_s(self, now_ns: int) -> float:
        """How long to wait for the next step, 0 when it is due; then that step is taken."""
        if not self._step_ns:
            return 0.0
        if self._first_ns is None:
            self._first_ns = now_ns
        due_ns = self._first_ns + math.ceil(self._steps * self._step_ns)
        if now_ns < due_ns:
            return (due_ns - now_ns) / 1e9
        self._steps = max(self._steps, int((now_ns - self._first_ns) / self._step_ns)) + 1
        return 0.0


class Timeline:
    """Places frames at the times of their recording.

    Times that go back, or on by more than `GAP_MAX_S`, are a new beginning: the frame is due now,
    or after that gap. A frame that is late by more than its own step moves all that follow, so
    that none come in a burst.
    """

    def __init__(self) -> None:
        self._offset_ns = 0  # from the recording's time to ours
        self._last_due_ns: int | None = None  # of the frame given last

    def wait_s(self, now_ns: int, due_ns: int) -> float:
        """How long to wait for the frame due at `due_ns`, 0 when it is to be given."""
        last_ns = self._last_due_ns
        if last_ns is None or due_ns < last_ns:
            self._offset_ns = now_ns - due_ns
        elif due_ns - last_ns > GAP_MAX_S * 1e9:
            shown_ns = last_ns + self._offset_ns + int(GAP_MAX_S * 1e9)
            if shown_ns > now_ns:
                return (shown_ns - now_ns) / 1e9
            self._offset_ns = now_ns - due_ns
        wait_ns = due_ns + self._offset_ns - now_ns
        if wait_ns > 0:
            return wait_ns / 1e9
        if last_ns is not None and -wait_ns > due_ns - last_ns:
            self._offset_ns = now_ns - due_ns
        self._last_due_ns = due_ns
        return 0.0


class Backoff:
    """Pauses that double from `first_s` to `longest_s`, each with up to a quarter of jitter.

    The jitter keeps many devices from knocking at one camera server at the same moment.
    """

    def __init__(self, longest_s: float, first_s: float = 0.25, seed: int | None = None) -> None:
        self._longest_s = longest_s
        self._first_s = min(first_s, longest_s)
        self._next_s = self._first_s
        self._random = random.Random(seed)

    def next_s(self) -> float:
        """The next pause; never above `longest_s`."""
        pause_s = self._next_s * self._random.uniform(0.75, 1.0)
        self._next_s = min(2 * self._next_s, self._longest_s)
        return pause_s

    def reset(self) -> None:
        """Begin again with short pauses."""
        self._next_s = self._first_s
