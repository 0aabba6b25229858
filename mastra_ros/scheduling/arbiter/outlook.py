"""What the device can do for the frame that waits for it.

- A LOCAL frame whose decision names a `spill` goes there instead if its chance of an answer in time
  here is below `spill_worth`: the local model is slow or busy, the next frame comes before it is
  free, or had better have it. One that would go away and whose decision says `recall` stays, if the
  local model could answer it by its deadline.
- A frame leaves the local model to the next one where that gains more than it costs: the chance of
  the next, less what the model would answer in the time that it stands idle until then, less
  the chance that the next has anyway, is above the chance of this one. It waits in the slot for
  little longer than frames usually follow each other.
- Frames that fell back go first, newest first, but after LOCAL frames that can be in time; one
  that has used half of its time goes before them all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mastra_ros.scheduling.arbiter.frames import Pending, Waiting
from mastra_ros.scheduling.estimates.clock import NS_PER_MS, to_ns
from mastra_ros.scheduling.estimates.forecast import Prediction, late_share
from mastra_ros.scheduling.estimates.local_model import LocalModel
from mastra_ros.scheduling.estimates.tracker import WARM, Tracker
from mastra_ros.types import Route

PATIENCE = 1.5
"""A frame that is late anyway waits for the next one for so many of their usual intervals."""
LIKELY = 0.5
"""A chance to be in time that is worth trying."""
DEVIATIONS = 2.0
"""The model hardly takes longer than its mean and so many deviations."""
ROUNDS = 12
"""So many frames in a row tell the pace of a model that never has to wait."""
INTERVAL_MS = 2_000.0
"""Time constant of the time between frames."""


class Arrivals:
    """How frames follow each other."""

    def __init__(self) -> None:
        self._interval = Tracker(INTERVAL_MS)  # in ns
        self.latest: Waiting | None = None

    def came(self, frame: Waiting) -> None:
        """A frame has come."""
        if self.latest is not None:
            self._interval.update(frame.since_ns - self.latest.since_ns, frame.since_ns)
        self.latest = frame

    @property
    def interval_ns(self) -> float:
        """From one to the next; NaN before a few have come."""
        return self._interval.mean if self._interval.count >= WARM else math.nan


@dataclass(frozen=True)
class Outlook:
    """The local model and what is known of it; NaN while it is not. Times are steady, in ns.

    queued: frames that fell back and wait for the local model too. each: what the model takes for
    a frame.
    """

    local: LocalModel
    queued: Sequence[Pending]
    waiting: Waiting | None
    each: Prediction
    arrivals: Arrivals
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
            chance = self.chance(self.waiting, now)
            spills = not room(Route.LOCAL) if chance is None else chance < decision.spill_worth
            if spills:
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
        """Whether LOCAL frames, the one that waits or the next, go before those that fell back.

        They are late already, and those may be in time; but none of them waits for longer than
        half of its time.
        """
        frame = self.waiting or self.arrivals.latest
        if (
            frame is None
            or frame.decision.route is not Route.LOCAL
            or any(now - f.entered_ns > self.timeout_ns // 2 for f in self.queued)
        ):
            return False
        starts_ns = self._starts_ns(now)
        if starts_ns is None:
            return False
        if self.waiting is not None and self._chance(frame, starts_ns) >= LIKELY:
            return True
        if now >= (self.waits_until_ns(frame) or 0):
            return False
        return self._costs(frame, starts_ns) > 0

    def spared_until_ns(self, frame: Pending, now: int) -> int | None:
        """Until when the model, which is free, had better wait for a LOCAL frame than hedge this
        one; None: it may hedge it now."""
        latest = self.arrivals.latest
        if latest is None or latest.decision.route is not Route.LOCAL:
            return None
        until_ns = self.waits_until_ns(latest)
        if until_ns is None or now >= until_ns:
            return None
        spared = self._chance_of(frame.captured_ns, now) < self._costs(latest, now)
        return until_ns if spared else None

    def late(self, waiting: Waiting, now: int) -> bool | None:
        """Whether the device would hardly answer it in time; None while that is unknown."""
        starts_ns = self._starts_ns(now)
        return None if starts_ns is None else self._chance(waiting, starts_ns) < LIKELY

    def chance(self, waiting: Waiting, now: int) -> float | None:
        """That the device answers it in time; None while that is unknown.

        The next frame may come before the device is free, and may get it for good reason.
        """
        starts_ns = self._starts_ns(now)
        if starts_ns is None:
            return None
        if self._gives_way(waiting, starts_ns):
            return 0.0
        return self._kept(waiting, starts_ns) * self._chance(waiting, starts_ns)

    def _kept(self, frame: Waiting, starts_ns: int) -> float:
        """The chance that the model is free before the next frame comes, and takes the place."""
        if not len(self.local) or math.isnan(self.arrivals.interval_ns):
            return 1.0
        left_ns = frame.since_ns + self.arrivals.interval_ns - starts_ns
        return 1.0 - late_share(0.0, self.each.deviation_ms, left_ns / NS_PER_MS)

    def yields(self, waiting: Waiting, now: int) -> bool:
        """Whether a frame leaves the device, which is free, to the next.

        It waits for the next a little longer than frames usually follow each other, not more.
        """
        until_ns = self.waits_until_ns(waiting)
        return until_ns is not None and now < until_ns and self._gives_way(waiting, now)

    def waits_until_ns(self, frame: Waiting) -> int | None:
        """How long the one after `frame` is waited for; None while it is unknown when it comes."""
        interval_ns = self.arrivals.interval_ns
        if math.isnan(interval_ns):
            return None
        return frame.since_ns + round(PATIENCE * interval_ns)

    def _starts_ns(self, now: int) -> int | None:
        """When the model would start on the frame that waits; None while that is unknown."""
        ready_ns = self.local.ready_ns(now, self.each.mean_ms)
        return None if ready_ns is None else ready_ns - to_ns(self.each.mean_ms)

    def _chance(self, frame: Waiting, starts_ns: int) -> float:
        """That the model answers it in time if it starts then."""
        return self._chance_of(frame.captured_ns, starts_ns)

    def _chance_of(self, captured_ns: int, starts_ns: int) -> float:
        left_ns = captured_ns + self.deadline_ns - starts_ns
        late = late_share(self.each.mean_ms, self.each.deviation_ms, left_ns / NS_PER_MS)
        return 1.0 - late

    def _gives_way(self, frame: Waiting, starts_ns: int) -> bool:
        return self._chance(frame, starts_ns) < self._costs(frame, starts_ns)

    def _costs(self, latest: Waiting, starts_ns: int) -> float:
        """What an inference costs that starts then, in LOCAL frames in time that come after it.

        Without it the model starts on the next frame when that comes. With it, on the one that is
        there when it is free, or on the next after that if that one is too old. In the time
        between it would have answered frames at `_pace`.
        """
        interval_ns = self.arrivals.interval_ns
        if math.isnan(interval_ns + self.each.mean_ms):
            return 0.0
        # Where it should be there already, it comes at any moment.
        comes_ns = max(latest.since_ns + interval_ns, float(starts_ns))
        free_ns = float(starts_ns + to_ns(self.each.mean_ms))
        if free_ns <= comes_ns:
            return 0.0
        age_ns = (free_ns - comes_ns) % interval_ns
        if age_ns > self._spare_ns(latest):
            free_ns += interval_ns - age_ns
        return self._pace(latest) * (free_ns - comes_ns)

    def _spare_ns(self, latest: Waiting) -> float:
        """A frame may have waited for so long and still be answered in time, most likely."""
        each_ns = to_ns(self.each.upper_ms(DEVIATIONS))
        return max(0, latest.captured_ns + self.deadline_ns - latest.since_ns - each_ns)

    def _pace(self, latest: Waiting) -> float:
        """Frames in time per ns, of a model that does nothing else: it answers one after the other
        until one is too old, waits for the next, and begins anew."""
        interval_ns, each_ns = self.arrivals.interval_ns, to_ns(self.each.mean_ms)
        spare_ns, now_ns, age_ns, in_time = self._spare_ns(latest), 0.0, 0.0, 0.0
        for _ in range(ROUNDS):
            in_time += self._chance(latest, latest.since_ns + round(age_ns))
            now_ns += max(each_ns, 1)
            age_ns = now_ns % interval_ns
            if age_ns > spare_ns:
                now_ns += interval_ns - age_ns
                break
        return in_time / now_ns
