"""Frames that were announced and have no final result yet, and which of them must be answered here.

A scheduler that was killed knows nothing of what was announced before, so the node that keeps the
frames watches over the promise that each gets a final result. A frame is *forsaken*, and answered
here by the local model, when

- nothing at all comes from a scheduler for `SILENCE_NS` (it tells the load ten times a second):
  all the open frames, and new ones at once, until it is heard again;
- the scheduler has ruled on a frame that was announced later, and not on this one: it never heard
  of it, since it rules on frames in order (a newer frame supersedes the one that waits);
- it has not ruled on the frame for `UNRULED_NS`, or not finished it `UNFINISHED_NS` after the
  deadline that it gave: it was started again in between.

Pure: the clock is an argument. A scheduler that hears of a frame answered here drops it.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from ..types import Frame, FrameKey, Result

SECOND = 1_000_000_000
SILENCE_NS = SECOND
UNRULED_NS = 3 * SECOND
UNFINISHED_NS = 10 * SECOND
TICK_NS = SECOND // 10
"""How often `tick` is called. A pause of our own between two calls counts as one step only."""
ANSWERED_KEPT = 2048


@dataclass
class _Open:
    frame: Frame
    announced_ns: int
    until_ns: int
    ruled: bool = False
    ours: bool = False  # forsaken, and being answered here
    result: Result | None = None  # of the local model, told to a scheduler that may be gone


@dataclass(frozen=True)
class Forsaken:
    """A frame to be answered here; `result` where the local model has seen it already."""

    frame: Frame
    announced_ns: int
    result: Result | None = None


class OpenFrames:
    """See the module. Not thread-safe."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._open: OrderedDict[FrameKey, _Open] = OrderedDict()
        self._answered: OrderedDict[FrameKey, None] = OrderedDict()  # here
        self._silent_ns = 0
        self._ticked_ns: int | None = None

    def __len__(self) -> int:
        return len(self._open)

    @property
    def alone(self) -> bool:
        """Whether no scheduler is heard."""
        return self._silent_ns >= SILENCE_NS

    @property
    def answered(self) -> int:
        """Frames answered here, of the latest."""
        return len(self._answered)

    def announced(self, frame: Frame, now_ns: int) -> list[Forsaken]:
        """A frame was announced; returns what is forsaken by that."""
        entry = self._open[frame.key] = _Open(frame, now_ns, now_ns + UNRULED_NS)
        forsaken = [self._forsake(entry)] if self.alone else []
        if len(self._open) > self._capacity:
            oldest = next((e for e in self._open.values() if not e.ours), None)
            if oldest is not None and oldest.ruled:
                del self._open[oldest.frame.key]  # whoever has ruled on it answers
            elif oldest is not None:
                forsaken.append(self._forsake(oldest))
        return forsaken

    def heard(self) -> None:
        """Something came from a scheduler."""
        self._silent_ns = 0

    def ruled(self, key: FrameKey, deadline_ms: float, now_ns: int) -> list[Forsaken]:
        """A scheduler has ruled on a frame; returns earlier ones that it never heard of."""
        self.heard()
        entry = self._open.get(key)
        if entry is None:
            return []
        entry.ruled = True
        entry.until_ns = now_ns + int(deadline_ms * 1e6) + UNFINISHED_NS
        forsaken = []
        for earlier in self._open.values():
            if earlier is entry:
                break
            if not earlier.ruled and not earlier.ours:
                forsaken.append(self._forsake(earlier))
        return forsaken

    def hand_back(self, key: FrameKey) -> bool:
        """A scheduler rules on a frame that is being answered here: it shall have the answer."""
        entry = self._open.get(key)
        if entry is None or not entry.ours:
            return False
        entry.ours = False
        return True

    def was_answered(self, key: FrameKey) -> bool:
        """Whether the final result of a frame was given here."""
        return key in self._answered

    def finished(self, key: FrameKey) -> None:
        """The final result of a frame was published, or none will be: it was superseded."""
        self._open.pop(key, None)

    def inferred(self, result: Result) -> int | None:
        """The local model has answered. When the frame was announced, if that is final; or None."""
        entry = self._open.get(result.key)
        if entry is None:
            return None
        if not entry.ours:
            entry.result = result
            return None
        self.close(result.key)
        return entry.announced_ns

    def close(self, key: FrameKey) -> None:
        """The final result of a frame is given here."""
        self._open.pop(key, None)
        self._answered[key] = None
        while len(self._answered) > ANSWERED_KEPT:
            self._answered.popitem(last=False)

    def tick(self, now_ns: int) -> list[Forsaken]:
        """Time goes by; returns what is forsaken by now."""
        since_ns = TICK_NS if self._ticked_ns is None else now_ns - self._ticked_ns
        self._ticked_ns = now_ns
        self._silent_ns += min(since_ns, TICK_NS)
        return [
            self._forsake(entry)
            for entry in list(self._open.values())
            if not entry.ours and (self.alone or entry.until_ns <= now_ns)
        ]

    def _forsake(self, entry: _Open) -> Forsaken:
        entry.ours = True
        return Forsaken(entry.frame, entry.announced_ns, entry.result)
