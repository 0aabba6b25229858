"""The arbiter: every frame it admits gets exactly one final result. The package has the rules."""

from __future__ import annotations

from mastra_ros.config import SchedulingConfig
from mastra_ros.scheduling.arbiter import hedging
from mastra_ros.scheduling.arbiter.actions import DeadlineMissed, Dispatch, Event, Superseded
from mastra_ros.scheduling.arbiter.answers import Answers
from mastra_ros.scheduling.arbiter.archive import Archive
from mastra_ros.scheduling.arbiter.escalation import Escalation, EscalationState
from mastra_ros.scheduling.arbiter.frames import Counters, Pending, Stage, Waiting
from mastra_ros.scheduling.arbiter.ledger import Ledger
from mastra_ros.scheduling.arbiter.outlook import Arrivals, Outlook
from mastra_ros.scheduling.estimates.clock import NS_PER_MS, SteadyClock, to_ns
from mastra_ros.scheduling.estimates.local_model import LocalModel, no_answer
from mastra_ros.scheduling.estimates.outcome import Outcome
from mastra_ros.types import Decision, FrameKey, Result, Route


class Arbiter:
    """See the package. Every method that takes time returns what is to be done, in order."""

    def __init__(self, config: SchedulingConfig, clock: SteadyClock | None = None) -> None:
        self._config = config
        self._clock = SteadyClock() if clock is None else clock
        self._pending: dict[FrameKey, Pending] = {}
        self._local = LocalModel()
        self._waiting: Waiting | None = None
        self._arrivals = Arrivals()
        self._link_up = False
        self._heard_ns = self._answered_ns = 0
        self._escalation = Escalation(config)
        self._expected = hedging.Expectation()
        self._ledger = Ledger()
        self.counters = Counters()
        self.archive = Archive(self.counters)
        self._answers = Answers(self.counters)

    def configure(self, config: SchedulingConfig) -> None:
        """Take over parameters; they count from the next frame on."""
        self._config = config
        self._escalation.configure(config)

    def expect(self, expected: hedging.Expectation) -> None:
        """What is expected of the frames to come."""
        self._expected = expected

    def take_outcomes(self) -> list[Outcome]:
        """What became of frames since the last call."""
        return self._ledger.take()

    @property
    def escalation(self) -> EscalationState:
        """How refinement goes."""
        return self._escalation.state

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
        if waits or key in self._pending or key in self._answers:
            self.counters.duplicates += 1
            return []
        self.counters.frames += 1
        events = self._supersede(now)
        captured = self._clock.inside(captured_ns)
        self._waiting = Waiting(key, captured, decision, wanted or decision.route, now)
        self._arrivals.came(self._waiting)
        return events + self._drain(now)

    def local_result(self, result: Result, now_ns: int) -> list[Event]:
        """The local model has answered, with a result or an error."""
        now = self._clock.advance(now_ns)
        self._local.take(result.key)
        frame = self._pending.get(result.key)
        events: list[Event] = []
        if frame is None or frame.stage is Stage.ESCALATED:
            events += self._answers.late(result, now)
        elif result.error:
            if frame.stage is Stage.LOCAL:
                events += self._finish(frame, result, now, frame.reason)
            elif frame.hedged:
                frame.failed = result
        else:
            events += self._local_answer(frame, result, now)
        return events + self._drain(now)

    def cloud_result(self, result: Result, now_ns: int) -> list[Event]:
        """The gateway has answered, or the bridge reports with `error` that it will not."""
        now = self._clock.advance(now_ns)
        frame = self._pending.get(result.key)
        events: list[Event] = []
        if not result.error:
            self._heard_ns = self._answered_ns = now
        self._ledger.settle(result.key, now, error=bool(result.error))
        if frame is None:
            events += self._answers.late(result, now)
        elif result.error:
            if frame.stage is Stage.AWAY:
                events += self._fall_back(frame, f"cloud failed: {result.error}", now)
            elif frame.stage is Stage.ESCALATED:
                events += self._settle(frame, now, "not refined: cloud failed")
        else:
            events += self._cloud_answer(frame, result, now)
        return events + self._drain(now)

    def answered(self, key: FrameKey, now_ns: int) -> list[Event]:
        """Another node has published the final result of a frame: nothing is left to do for it."""
        now = self._clock.advance(now_ns)
        frame, waiting = self._pending.pop(key, None), self._waiting
        if waiting is not None and waiting.key == key:
            self._waiting = None
        elif frame is None:
            waiting = None
        self.counters.elsewhere += bool(frame or waiting)
        self._local.take(key)
        known = frame or waiting
        self._answers.elsewhere(key, now if known is None else known.captured_ns)
        return self._drain(now)

    def named(self, key: FrameKey) -> FrameKey:
        """The whole key of a frame in progress, where an answer names it by its stamp alone."""
        if key.id or key in self._pending:
            return key
        return next((whole for whole in self._pending if whole.unnamed == key), key)

    def link_lost(self, now_ns: int, reason: str = "link lost") -> list[Event]:
        """The link is gone: nothing that is away will be answered in time."""
        now = self._clock.advance(now_ns)
        self._link_up = False
        self._ledger.owed.clear()
        events: list[Event] = []
        for frame in list(self._pending.values()):
            if frame.stage is Stage.AWAY:
                events += self._fall_back(frame, reason, now)
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
        self._local.give_up(now)
        if self._waiting is not None and self._gives_up_ns(self._waiting) <= now:
            events += self._supersede(now)
        for frame in hedging.due_hedges(self._pending.values(), self._doubt_ns(), now):
            events += self._hedge(frame, now)
        return events + self._drain(now)

    def next_deadline_ns(self) -> int | None:
        """When `tick` has something to do, on the caller's clock; None while it has not."""
        due = [frame.due_ns for frame in self._pending.values()]
        due += [*self._local.due(), *hedging.next_hedges(self._pending.values(), self._doubt_ns())]
        due += [frame.limit_ns for frame in self._ledger.owed.values()]
        if self._waiting is not None:
            due += [self._gives_up_ns(self._waiting)]
        if self._arrivals.latest is not None and (self._waiting or self._count(Stage.QUEUED)):
            waits_ns = self._outlook.waits_until_ns(self._arrivals.latest) or 0
            due += [waits_ns] if waits_ns > self._clock.now_ns else []
        return self._clock.outside(min(due)) if due else None

    def sent_ns(self, key: FrameKey) -> int | None:
        """When a frame was sent away whose answer would still be in time, steady time."""
        if key in self._ledger.owed:
            return self._ledger.owed[key].dispatched_ns
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
        return len(self._local) + self._count(Stage.QUEUED) + (self._waiting is not None)

    def _drain(self, now: int) -> list[Event]:
        """Fill the local model, and admit the frame that waits."""
        events = self._fill(now)
        waiting, outlook = self._waiting, self._outlook
        if waiting is None:
            return events
        route, reason = outlook.route(self._link_up, self._has_room, now)
        if self._has_room(route) and not (route is Route.LOCAL and outlook.yields(waiting, now)):
            self._waiting = None
            events += self._admit(waiting, route, reason, now)
        return events + self._fill(now)

    def _fill(self, now: int) -> list[Event]:
        """Fill the local model with those that fell back."""
        events: list[Event] = []
        while len(self._local) < self._config.local_in_flight:
            frame = self._outlook.next_queued(now)
            if frame is None:
                break
            frame.stage = Stage.LOCAL
            self._local.give(frame.key, now, frame.due_ns)
            events.append(Dispatch(frame.key, Route.LOCAL, frame.reason))
        return events

    @property
    def _outlook(self) -> Outlook:
        return Outlook(
            self._local,
            [frame for frame in self._pending.values() if frame.stage is Stage.QUEUED],
            self._waiting,
            self._expected.local,
            self._arrivals,
            to_ns(self._config.deadline_ms),
            to_ns(self._config.local_timeout_ms),
        )

    def _has_room(self, route: Route) -> bool:
        if route is Route.LOCAL:
            room = self._config.local_in_flight - len(self._local)
            first = self._outlook.fresh_first(self._clock.now_ns)
            return room > 0 and (first or not self._count(Stage.QUEUED))
        owed = self._count(Stage.AWAY) + self._count(Stage.QUEUED)
        return owed < self._config.cloud_in_flight

    def _admit(self, waiting: Waiting, route: Route, reason: str, now: int) -> list[Event]:
        frame = Pending(waiting.key, waiting.captured_ns, reason, Stage.LOCAL, 0, now, route, now)
        self._pending[frame.key] = frame
        if route is Route.LOCAL:
            frame.due_ns = now + to_ns(self._config.local_timeout_ms)
            self._local.give(frame.key, now, frame.due_ns)
            events: list[Event] = [Dispatch(frame.key, route, reason)]
            if waiting.wanted is not Route.LOCAL and not self._link_up:
                events += self.archive.take(frame, now, self._config, hard=False)
            return events
        frame.stage, frame.sent = Stage.AWAY, True
        frame.due_ns = frame.limit_ns = waiting.due_ns(now, to_ns(self._config.deadline_ms))
        if self._config.hedge:
            frame.hedge_ns = hedging.hedge_at_ns(self._expected, now, frame.due_ns)
        self.counters.spilled += waiting.decision.route is Route.LOCAL
        return [Dispatch(frame.key, route, reason, self._clock.outside(frame.due_ns))]

    def _hedge(self, frame: Pending, now: int) -> list[Event]:
        """The cloud is expected to be late, or is: start here, and see who is first."""
        frame.hedge_ns = None
        if frame.stage is not Stage.AWAY or not self._has_room(Route.LOCAL):
            return []
        if self._outlook.spared_until_ns(frame, now) is not None:
            return []
        self.counters.hedged += 1
        frame.hedged = True
        self._local.give(frame.key, now, now + to_ns(self._config.local_timeout_ms))
        return [Dispatch(frame.key, Route.LOCAL, "hedged: the cloud may be late")]

    def _fall_back(
        self, frame: Pending, reason: str, now: int, *, excused: bool = True
    ) -> list[Event]:
        """From away to the local model; `excused`: this says nothing of the cloud's speed."""
        self.counters.fallbacks += 1
        frame.reason, frame.entered_ns, frame.excused = reason, now, excused
        frame.hedge_ns = None
        frame.due_ns = now + to_ns(self._config.local_timeout_ms)
        if not frame.hedged:
            frame.stage = Stage.QUEUED
            return []
        frame.stage = Stage.LOCAL
        if frame.failed is not None:
            return self._finish(frame, frame.failed, now, reason)
        until_ns = self._local.until_ns(frame.key)
        if until_ns is None:  # it was given up before the cloud was
            return self._fail(frame, now)
        frame.due_ns = until_ns
        return []

    def _local_answer(self, frame: Pending, result: Result, now: int) -> list[Event]:
        config, expected, escalation = self._config, self._expected, self._escalation
        frame.sure = escalation.confidence(result)
        if frame.sent:
            reason = "hedged" if frame.stage is Stage.AWAY else frame.reason
            return self._finish(frame, result, now, reason)
        unsure = escalation.unsure(frame.sure)
        if unsure and not self._link_up:
            spooled = self.archive.take(frame, now, config, hard=True)
            return self._finish(frame, result, now, frame.reason) + spooled
        room = self._count(Stage.ESCALATED) < config.escalate_in_flight
        refine = unsure and room and escalation.allowed(expected.away_ms, expected.frame_bytes, now)
        escalation.counted(refine)
        if not refine:
            return self._finish(frame, result, now, frame.reason)
        self._ledger.finished(frame, result, now, to_ns(config.deadline_ms))
        frame.stage, frame.entered_ns, frame.sent, frame.local = Stage.ESCALATED, now, True, result
        frame.due_ns = now + to_ns(config.escalate_deadline_ms)
        reason = f"escalated: confidence {frame.sure:.2f}"
        deadline_ns = self._clock.outside(frame.due_ns)
        return [
            self._answers.provisional(frame, result, now),
            Dispatch(frame.key, Route.CLOUD, reason, deadline_ns, hard=True),
        ]

    def _cloud_answer(self, frame: Pending, result: Result, now: int) -> list[Event]:
        if frame.stage is Stage.ESCALATED:
            self.counters.refined += 1
            assert frame.local is not None
            agreed = self._escalation.refined(frame.sure, frame.local, result)
            self._ledger.refined(frame, now, agreed, result.inference_ms)
            return self._finish(frame, result, now, "escalated", late=now > frame.due_ns)
        fell_back = frame.stage in (Stage.QUEUED, Stage.LOCAL)
        return self._finish(frame, result, now, frame.reason, late=fell_back or now > frame.due_ns)

    def _settle(self, frame: Pending, now: int, why: str) -> list[Event]:
        """The provisional result of an escalated frame becomes final."""
        assert frame.local is not None
        return self._finish(frame, frame.local, now, f"{frame.reason} ({why})")

    def _fail(self, frame: Pending, now: int) -> list[Event]:
        """The local model did not answer in time, or at a hedge before (0 ms of its time then)."""
        spent_ms = (now - frame.entered_ns) / NS_PER_MS or self._config.local_timeout_ms
        return self._finish(frame, no_answer(frame.key, spent_ms), now, frame.reason)

    def _finish(
        self, frame: Pending, result: Result, now: int, reason: str, *, late: bool = False
    ) -> list[Event]:
        del self._pending[frame.key]
        if frame.local is None:
            self._ledger.finished(frame, result, now, to_ns(self._config.deadline_ms))
        return [self._answers.final(frame, result, now, reason, late)]

    # Deadlines

    def _miss(self, now: int) -> list[Event]:
        """Let the frames fall back whose deadline has passed, and the others if all is silent."""
        away = [f for f in self._pending.values() if f.stage is Stage.AWAY]
        done = self._ledger.overdue(now)
        missed = [*done, *(f for f in away if f.due_ns <= now)]
        if not missed:
            return []
        self.counters.missed += len(missed)
        first = min(missed, key=lambda f: f.dispatched_ns)
        silent = any(self._heard_ns <= f.dispatched_ns for f in missed)
        events: list[Event] = [DeadlineMissed(first.key, first.dispatched_ns, silent)]
        for frame in done:
            frame.excused = silent
            self._ledger.missed(frame, now)
        if silent:
            self._ledger.owed.clear()
        for frame in away:
            if frame.due_ns <= now:
                events += self._fall_back(frame, "deadline", now, excused=silent)
            elif silent:
                events += self._fall_back(frame, "gateway silent", now)
        return events

    def _doubt_ns(self) -> int | None:
        if not self._config.hedge or len(self._local) or self._count(Stage.QUEUED):
            return None  # one at a time, so that the next will be the newest by then
        now, quiet = self._clock.now_ns, hedging.quiet_ms(self._expected, self._config.deadline_ms)
        pending = self._pending.values()
        return hedging.doubted_ns(pending, self._answered_ns, quiet, self._outlook, now)

    def _gives_up_ns(self, waiting: Waiting) -> int:
        """When a frame has waited for room so long that the rings may have lost it."""
        return waiting.since_ns + to_ns(self._config.local_timeout_ms)

    def _supersede(self, now: int) -> list[Event]:
        """The frame that waits, if there is one, will get no result."""
        waiting, self._waiting = self._waiting, None
        if waiting is None:
            return []
        self.counters.superseded += 1
        self._ledger.superseded(waiting, now)
        return [Superseded(waiting.key)]

    def _count(self, stage: Stage) -> int:
        return sum(frame.stage is stage for frame in self._pending.values())
