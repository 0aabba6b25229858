"""The arbiter: every frame it admits gets exactly one final result.

Pure: no threads, no I/O, the clock is an argument. The rules

- Away means the routes split and cloud. A frame sent away is due `deadline_ms` after its capture,
  but it has at least half of that and at most all of it from its dispatch, so that a frame
  that is old on arrival still has a chance and a wrong time of capture cannot delay the fallback.
- It falls back to the local model when it is due, when its answer is an error, or when the link
  is lost. When it is due and nothing came from the gateway since it was sent, all the others that
  are away fall back with it: a dead gateway costs the deadline once.
- At most `local_in_flight` frames are with the local model, and at most `cloud_in_flight` are
  away or fell back and wait for the local model. Those that fell back go first, newest first; one
  that has used half of its time goes before them. A frame that finds no room waits in
  one slot; a newer frame replaces it there (superseded: it was never admitted).
- A frame given to the local model, waiting included, fails after `local_timeout_ms`.
- A local result with a detection below `escalate_below` is published as provisional and sent
  away, `escalate_in_flight` at a time. The answer is final if it comes within
  `escalate_deadline_ms`, else the local result is. A frame that was away before is not sent again.
- The first answer for a frame that fell back is its final one, wherever it comes from. Later
  answers, and answers for unknown frames, are published apart, once for each origin.
- While the link is down, frames that the policy wants away are also encoded for the spool, one
  each `archive_interval_ms`; so are frames of low confidence, at the same rate, marked hard.
"""

from __future__ import annotations

from dataclasses import replace

from mastra_ros.config import SchedulingConfig
from mastra_ros.scheduling.actions import DeadlineMissed, Dispatch, Event, Publish, PublishLate
from mastra_ros.scheduling.clock import NS_PER_MS, SteadyClock, to_ns
from mastra_ros.scheduling.frames import Counters, FinishedFrames, Pending, Stage, Waiting
from mastra_ros.scheduling.limiter import Limiter
from mastra_ros.types import Decision, Detections, FrameKey, Result, Route


class Arbiter:
    """See the module. Every method that takes time returns what is to be done, in order."""

    def __init__(self, config: SchedulingConfig, clock: SteadyClock | None = None) -> None:
        self._config = config
        self._clock = SteadyClock() if clock is None else clock
        self._pending: dict[FrameKey, Pending] = {}
        self._busy: dict[FrameKey, int] = {}  # with the local model: when given up, steady ns
        self._waiting: Waiting | None = None
        self._finished = FinishedFrames()
        self._link_up = False
        self._heard_ns = 0
        self._archive = Limiter()
        self._archive_hard = Limiter()
        self.spooling = True
        """Whether there is a gateway at all, so that frames are worth keeping for it."""
        self.counters = Counters()

    def configure(self, config: SchedulingConfig) -> None:
        """Take over parameters; they count from the next frame on."""
        self._config = config

    def frame(
        self,
        key: FrameKey,
        captured_ns: int,
        decision: Decision,
        link_up: bool,
        now_ns: int,
        wanted: Route | None = None,
    ) -> list[Event]:
        """A frame has entered and can be inferred on either side.

        wanted: the route that the policy would have chosen had the link been good, where that
        is another one than the decision's.
        """
        now = self._clock.advance(now_ns)
        self._link_up = link_up
        waits = self._waiting is not None and self._waiting.key == key
        if waits or key in self._pending or key in self._finished:
            self.counters.duplicates += 1
            return []
        self.counters.frames += 1
        if self._waiting is not None:
            self.counters.superseded += 1
        captured = self._clock.inside(captured_ns)
        self._waiting = Waiting(key, captured, decision, wanted or decision.route, now)
        return self._drain(now)

    def local_result(self, result: Result, now_ns: int) -> list[Event]:
        """The local model has answered, with a result or an error."""
        now = self._clock.advance(now_ns)
        self._busy.pop(result.key, None)
        frame = self._pending.get(result.key)
        events: list[Event] = []
        if frame is None or frame.stage is Stage.ESCALATED:
            events += self._late(result, now)
        elif result.error:
            if frame.stage is Stage.LOCAL:
                events += self._finish(frame, result, now, frame.reason)
        else:
            events += self._local_answer(frame, result, now)
        return events + self._drain(now)

    def cloud_result(self, result: Result, now_ns: int) -> list[Event]:
        """The gateway has answered, or the bridge reports with `error` that it will not."""
        now = self._clock.advance(now_ns)
        frame = self._pending.get(result.key)
        events: list[Event] = []
        if not result.error:
            self._heard_ns = now
        if frame is None:
            events += self._late(result, now)
        elif result.error:
            if frame.stage is Stage.AWAY:
                self._fall_back(frame, f"cloud failed: {result.error}", now)
            elif frame.stage is Stage.ESCALATED:
                events += self._settle(frame, now, "not refined: cloud failed")
        else:
            events += self._cloud_answer(frame, result, now)
        return events + self._drain(now)

    def link_lost(self, now_ns: int, reason: str = "link lost") -> list[Event]:
        """The link is gone: nothing that is away will be answered in time."""
        now = self._clock.advance(now_ns)
        self._link_up = False
        events: list[Event] = []
        for frame in list(self._pending.values()):
            if frame.stage is Stage.AWAY:
                self._fall_back(frame, reason, now)
            elif frame.stage is Stage.ESCALATED:
                events += self._settle(frame, now, f"not refined: {reason}")
        return events + self._drain(now)

    def heard(self, at_ns: int) -> None:
        """Something came from the gateway at this moment, which is not after the latest `now`."""
        self._heard_ns = max(self._heard_ns, self._clock.inside(at_ns))

    def tick(self, now_ns: int) -> list[Event]:
        """Do what is due. To be called at `next_deadline_ns`; earlier or later does no harm."""
        now = self._clock.advance(now_ns)
        events = self._miss(now)
        for frame in [f for f in self._pending.values() if f.due_ns <= now]:
            if frame.stage is Stage.ESCALATED:
                events += self._settle(frame, now, "not refined in time")
            else:
                events += self._fail(frame, now)
        for key in [k for k, until in self._busy.items() if until <= now]:
            del self._busy[key]
        if self._waiting is not None and self._gives_up_ns(self._waiting) <= now:
            self._waiting = None
            self.counters.superseded += 1
        return events + self._drain(now)

    def next_deadline_ns(self) -> int | None:
        """When `tick` has something to do, on the caller's clock; None while it has not."""
        due = [frame.due_ns for frame in self._pending.values()]
        due += self._busy.values()
        if self._waiting is not None:
            due.append(self._gives_up_ns(self._waiting))
        return self._clock.outside(min(due)) if due else None

    def sent_ns(self, key: FrameKey) -> int | None:
        """When a frame was sent away whose answer would still be in time, steady time."""
        frame = self._pending.get(key)
        if frame is None or frame.stage not in (Stage.AWAY, Stage.ESCALATED):
            return None
        return frame.entered_ns if self._clock.now_ns < frame.due_ns else None

    @property
    def in_progress(self) -> int:
        """Frames admitted and not yet finished."""
        return len(self._pending)

    @property
    def local_queue(self) -> int:
        """Frames that are with the local model or wait for it."""
        return len(self._busy) + self._count(Stage.QUEUED) + (self._waiting is not None)

    # Admission and the local model

    def _drain(self, now: int) -> list[Event]:
        """Fill the local model with those that fell back, then admit the frame that waits."""
        events: list[Event] = []
        while len(self._busy) < self._config.local_in_flight:
            queued = [f for f in self._pending.values() if f.stage is Stage.QUEUED]
            if not queued:
                break
            # Newest first, as it is worth most; but a stream of fallbacks must starve nobody.
            oldest = min(queued, key=lambda f: f.entered_ns)
            urgent = oldest.due_ns - now < now - oldest.entered_ns
            frame = oldest if urgent else max(queued, key=lambda f: f.captured_ns)
            frame.stage = Stage.LOCAL
            self._busy[frame.key] = frame.due_ns
            events.append(Dispatch(frame.key, Route.LOCAL, frame.reason))
        waiting = self._waiting
        if waiting is not None:
            route, reason = waiting.decision.route, waiting.decision.reason
            if route is not Route.LOCAL and not self._link_up:
                route, reason = Route.LOCAL, "no link"
            if self._has_room(route):
                self._waiting = None
                events += self._admit(waiting, route, reason, now)
        return events

    def _has_room(self, route: Route) -> bool:
        if route is Route.LOCAL:
            room = self._config.local_in_flight - len(self._busy)
            return room > 0 and not self._count(Stage.QUEUED)
        owed = self._count(Stage.AWAY) + self._count(Stage.QUEUED)
        return owed < self._config.cloud_in_flight

    def _admit(self, waiting: Waiting, route: Route, reason: str, now: int) -> list[Event]:
        frame = Pending(waiting.key, waiting.captured_ns, reason, Stage.LOCAL, 0, now)
        self._pending[frame.key] = frame
        if route is Route.LOCAL:
            frame.due_ns = now + to_ns(self._config.local_timeout_ms)
            self._busy[frame.key] = frame.due_ns
            events: list[Event] = [Dispatch(frame.key, route, reason)]
            if waiting.wanted is not Route.LOCAL and not self._link_up:
                events += self._to_spool(frame, self._archive, now, "archived", hard=False)
            return events
        deadline = to_ns(self._config.deadline_ms)
        in_time = max(frame.captured_ns + deadline, now + deadline // 2)
        frame.stage, frame.sent = Stage.AWAY, True
        frame.due_ns = min(now + deadline, in_time)
        return [Dispatch(frame.key, route, reason, self._clock.outside(frame.due_ns))]

    def _to_spool(
        self, frame: Pending, limiter: Limiter, now: int, reason: str, *, hard: bool
    ) -> list[Event]:
        if not self.spooling or frame.archived:
            return []
        if not limiter.allows(now, to_ns(self._config.archive_interval_ms)):
            return []
        frame.archived = True
        self.counters.archived += 1
        return [Dispatch(frame.key, Route.CLOUD, reason, hard=hard, archive=True)]

    def _fall_back(self, frame: Pending, reason: str, now: int) -> None:
        self.counters.fallbacks += 1
        frame.stage, frame.reason, frame.entered_ns = Stage.QUEUED, reason, now
        frame.due_ns = now + to_ns(self._config.local_timeout_ms)

    # Answers

    def _local_answer(self, frame: Pending, result: Result, now: int) -> list[Event]:
        config = self._config
        unsure = config.escalate_below > 0 and result.confidence < config.escalate_below
        if not unsure or frame.sent:
            return self._finish(frame, result, now, frame.reason)
        if not self._link_up:
            spooled = self._to_spool(frame, self._archive_hard, now, "unsure", hard=True)
            return self._finish(frame, result, now, frame.reason) + spooled
        if self._count(Stage.ESCALATED) >= config.escalate_in_flight:
            return self._finish(frame, result, now, frame.reason)
        frame.stage, frame.entered_ns, frame.sent, frame.local = Stage.ESCALATED, now, True, result
        frame.due_ns = now + to_ns(config.escalate_deadline_ms)
        self.counters.provisional += 1
        self.counters.escalated += 1
        provisional = self._stamp(result, frame.captured_ns, now, frame.reason)
        reason = f"escalated: confidence {result.confidence:.2f}"
        deadline_ns = self._clock.outside(frame.due_ns)
        return [
            Publish(replace(provisional, final=False)),
            Dispatch(frame.key, Route.CLOUD, reason, deadline_ns, hard=True),
        ]

    def _cloud_answer(self, frame: Pending, result: Result, now: int) -> list[Event]:
        if frame.stage is Stage.ESCALATED:
            self.counters.refined += 1
            return self._finish(frame, result, now, "escalated", late=now > frame.due_ns)
        fell_back = frame.stage in (Stage.QUEUED, Stage.LOCAL)
        return self._finish(frame, result, now, frame.reason, late=fell_back or now > frame.due_ns)

    def _settle(self, frame: Pending, now: int, why: str) -> list[Event]:
        """The provisional result of an escalated frame becomes final."""
        assert frame.local is not None
        return self._finish(frame, frame.local, now, f"{frame.reason} ({why})")

    def _fail(self, frame: Pending, now: int) -> list[Event]:
        """The local model did not answer in time."""
        spent_ms = (now - frame.entered_ns) / NS_PER_MS
        error = f"no answer of the local model within {spent_ms:.0f} ms"
        failure = Result(frame.key, Route.LOCAL, Detections.empty(), error=error)
        return self._finish(frame, failure, now, frame.reason)

    def _finish(
        self, frame: Pending, result: Result, now: int, reason: str, *, late: bool = False
    ) -> list[Event]:
        del self._pending[frame.key]
        self._finished.add(frame.key, frame.captured_ns, None if result.error else result.origin)
        if frame.local is not None:
            self._finished.answer(frame.key, frame.local.origin)
        counters = self.counters
        counters.results += 1
        counters.by_origin[result.origin] = counters.by_origin.get(result.origin, 0) + 1
        counters.failed += bool(result.error)
        final = self._stamp(result, frame.captured_ns, now, reason)
        return [Publish(replace(final, final=True, late=late))]

    def _late(self, result: Result, now: int) -> list[Event]:
        """A second answer, or one for a frame that we do not know; errors are no news then."""
        if result.error:
            return []
        first, captured_ns = self._finished.answer(result.key, result.origin)
        if not first:
            return []
        self.counters.late += 1
        stamped = self._stamp(result, captured_ns, now, result.reason or "late")
        return [PublishLate(replace(stamped, final=False, late=True))]

    @staticmethod
    def _stamp(result: Result, captured_ns: int | None, now: int, reason: str) -> Result:
        age_ms = float("nan") if captured_ns is None else (now - captured_ns) / NS_PER_MS
        return replace(result, reason=reason, age_ms=age_ms)

    # Deadlines

    def _miss(self, now: int) -> list[Event]:
        """Let the frames fall back whose deadline has passed, and the others if all is silent."""
        away = [f for f in self._pending.values() if f.stage is Stage.AWAY]
        missed = [f for f in away if f.due_ns <= now]
        if not missed:
            return []
        self.counters.missed += len(missed)
        first = min(missed, key=lambda f: f.entered_ns)
        sent_ns = first.entered_ns
        silent = any(self._heard_ns <= f.entered_ns for f in missed)
        for frame in away:
            if frame.due_ns <= now:
                self._fall_back(frame, "deadline", now)
            elif silent:
                self._fall_back(frame, "gateway silent", now)
        return [DeadlineMissed(first.key, sent_ns, silent)]

    def _gives_up_ns(self, waiting: Waiting) -> int:
        """When a frame has waited for room so long that the rings may have lost it."""
        return waiting.since_ns + to_ns(self._config.local_timeout_ms)

    def _count(self, stage: Stage) -> int:
        return sum(frame.stage is stage for frame in self._pending.values())
