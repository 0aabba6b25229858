"""The interface of every source, and the stamps of its frames."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from ..types import Frame, FrameKey

if TYPE_CHECKING:
    from .drawn.line import FrameTruth

Clock = Callable[[], int]


class Source(Protocol):
    """Gives frames, one at a time.

    A source belongs to the thread that reads it, but `close` may be called from any: it wakes
    a live source's `read`.
    """

    @property
    def live(self) -> bool:
        """Whether the world goes on without us: newest frame wins, opened again when it fails."""

    @property
    def rate_hz(self) -> float | None:
        """Frames a second of the source's own; None where it has no pace or does not know it."""

    def read(self, timeout_s: float) -> Frame:
        """Wait at most `timeout_s` for a frame.

        Raises:
            FrameError: this frame is rubbish, the next may be fine.
            SourceStalled: nothing came in time.
            SourceEnded: a finite source has given its last frame.
            SourceError: the source is broken or closed.
        """

    def due_ns(self) -> int | None:
        """When the next frame is due by the times of the recording, ns from any beginning.

        None where it has no times, or is about to end. The same until the frame is read.
        """

    def truth(self, key: FrameKey) -> FrameTruth | None:
        """What the frame shows, where that is known: on the synthetic line, of recent frames."""

    def close(self) -> None:
        """Give up the source; a second time does nothing."""


CLOCK_BACK_NS = 100_000_000
"""A clock that goes back by more was set, or is that of a recording in a loop."""


class Stamper:
    """Gives each frame its stamp in ns: strictly increasing, also over the reopening of a source.

    `own` reads the clock at the moment of capture, and follows it where it jumps back (by more
    than 100 ms); `take_back_ns` tells. `recorded` takes the stamp in the recording and
    goes on where it left off when the recording starts again; where it has none, the clock's.
    """

    def __init__(self, mode: str = "own", clock_ns: Clock = time.time_ns) -> None:
        self._recorded = mode == "recorded"
        self._clock_ns = clock_ns
        self._last_ns: int | None = None
        self._step_ns = 1
        self._offset_ns = 0
        self._clock_last_ns: int | None = None
        self._back_ns = 0

    def stamp(self, recorded_ns: int | None = None) -> int:
        """The stamp of a frame captured now, in the recording at `recorded_ns`."""
        if self._recorded and recorded_ns is not None:
            stamp_ns = recorded_ns + self._offset_ns
        else:
            stamp_ns = self._clock()
        # 0 means "none" in a ROS stamp.
        stamp_ns = max(stamp_ns, 1 if self._last_ns is None else self._last_ns + 1)
        if self._last_ns is not None:
            self._step_ns = stamp_ns - self._last_ns
        self._last_ns = stamp_ns
        return stamp_ns

    def take_back_ns(self) -> int:
        """By how much the clock has jumped back since the last call; 0: it has not."""
        back_ns, self._back_ns = self._back_ns, 0
        return back_ns

    def _clock(self) -> int:
        now_ns = self._clock_ns()
        last_ns, self._clock_last_ns = self._clock_last_ns, now_ns
        if last_ns is not None and last_ns - now_ns > CLOCK_BACK_NS:
            self._back_ns = last_ns - now_ns
            self._last_ns = None
        return now_ns

    def start_again(self, first_ns: int = 0) -> None:
        """The recording starts anew at `first_ns`: that frame follows a step after the last."""
        if self._last_ns is not None:
            self._offset_ns = self._last_ns + self._step_ns - first_ns
