"""What the device can do for the frame that waits for it.

- A LOCAL frame whose decision names a `spill` goes there instead if the local model could not
  answer it by its deadline, or would not be free before the next frame. One that would go away and
  whose decision says `recall` stays, if the local model could answer it by its deadline.
- A LOCAL frame that would be late leaves the local model to the next one, if that would be in time
  then; it waits in the slot for little longer than frames usually follow each other.
- Frames that fell back go first, newest first, but after a LOCAL frame that can be in time; one
  that has used half of its time goes before them all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mastra_ros.scheduling.clock import to_ns
from mastra_ros.scheduling.frames import Pending, Waiting
from mastra_ros.scheduling.local_model import LocalModel
from mastra_ros.scheduling.tracker import WARM, Tracker
from mastra_ros.types import Route

PATIENCE = 1.5
"""A frame that is late anyway waits for the next one for so many of their usual intervals."""
INTERVAL_MS = 2_000.0
"""Time constant of the time between frames."""


class Arrivals:
    """How frames follow each other."""

    def __init__(self) -> None:
        self._interval = Tracker(INTERVAL_MS)  # in ns
        self._at_ns: int | None = None

    def came(self, now: int) -> None:
        """A frame has come."""
        if self._at_ns is not None:
            self._interval.update(now - self._at_ns, now)
        self._at_ns = now

    @property
    def interval_ns(self) -> float:
        """From one to the next; NaN before a few have come."""
        return self._interval.mean if self._interval.count >= WARM else math.nan


@dataclass(frozen=True)
class Outlook:
    """The local model and what is known of it; NaN while it is not. Times are steady, in ns.

    queued: frames that fell back and wait for the local model too. interval_ns: between frames.
    """

    local: LocalModel
    queued: Sequence[Pending]
    waiting: Waiting | None
    local_ms: float
    interval_ns: float
    deadline_ns: int
    timeout_ns: int

    def route(self, link_up: bool, room: Callable[[Route], bool], now: int) -> tuple[Route, str]:
        """Where the frame goes that waits, and why: as decided, unless it would be late there."""
        assert self.waiting is not None
        decision = self.waiting.decision
        if decision.route is not Route.LOCAL:
            if not link_up:
                return Route.LOCAL, "no link"
            if decision.recall and self.late(self.waiting, now) is False:
                return Route.LOCAL, "the way to the cloud is blocked"
        elif decision.spill is not None and link_up and room(decision.spill):
            late = self.late(self.waiting, now)
            busy = not room(Route.LOCAL) if late is None else late
            if busy or self.overtaken(self.waiting, now):
                return decision.spill, "the device is busy"
        return decision.route, decision.reason

    def next_queued(self, now: int) -> Pending | None:
        """The next of those that fell back, where the local model has room."""
        if not self.queued or self.fresh_first(now):
            return None
        # Newest first, as it is worth most; but a stream of fallbacks must starve nobody.
        oldest = min(self.queued, key=lambda f: f.entered_ns)
        urgent = oldest.due_ns - now < now - oldest.entered_ns
        return oldest if urgent else max(self.queued, key=lambda f: f.captured_ns)

    def fresh_first(self, now: int) -> bool:
        """Whether a frame that waits for the device alone goes before those that fell back.

        They are late already, and it would be in time; but none of them waits for longer than half
        of its time.
        """
        waiting = self.waiting
        if (
            waiting is None
            or waiting.decision.route is not Route.LOCAL
            or any(now - f.entered_ns > self.timeout_ns // 2 for f in self.queued)
        ):
            return False
        ready_ns = self.local.ready_ns(now, self.local_ms)
        return ready_ns is not None and ready_ns <= waiting.captured_ns + self.deadline_ns

    def late(self, waiting: Waiting, now: int, later_ns: int = 0) -> bool | None:
        """Whether the device could not answer it in time; None while that is unknown.

        later_ns: of a frame captured so much later.
        """
        before = 0 if self.fresh_first(now) else len(self.queued)
        ready_ns = self.local.ready_ns(now, self.local_ms, before)
        if ready_ns is None:
            return None
        return ready_ns > waiting.captured_ns + later_ns + self.deadline_ns

    def overtaken(self, waiting: Waiting, now: int) -> bool:
        """Whether the next frame comes, and takes this one's place, before the device is free."""
        ready_ns = self.local.ready_ns(now, self.local_ms, len(self.queued))
        if ready_ns is None or math.isnan(self.interval_ns):
            return False
        return ready_ns - to_ns(self.local_ms) > waiting.since_ns + self.interval_ns

    def yields(self, waiting: Waiting, now: int) -> bool:
        """Whether a frame that would be late leaves the device to the next, which would not.

        It waits for the next a little longer than frames usually follow each other, not more.
        """
        until_ns = self.yields_until_ns(waiting)
        if until_ns is None or now >= until_ns or not self.late(waiting, now):
            return False
        interval_ns = round(self.interval_ns)
        starts_ns = max(now, waiting.since_ns + interval_ns)
        return self.late(waiting, starts_ns, interval_ns) is False

    def yields_until_ns(self, waiting: Waiting) -> int | None:
        """None while it is unknown when the next frame comes."""
        if math.isnan(self.interval_ns):
            return None
        return waiting.since_ns + round(PATIENCE * self.interval_ns)
