"""The scheduler: estimators, policy, hysteresis and arbiter of one stream, joined."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from mastra_ros.config import SchedulingConfig
from mastra_ros.scheduling.arbiter.actions import Action, DeadlineMissed, Dispatch, Event, Publish
from mastra_ros.scheduling.arbiter.arbiter import Arbiter
from mastra_ros.scheduling.arbiter.escalation import EscalationState
from mastra_ros.scheduling.arbiter.frames import Counters
from mastra_ros.scheduling.arbiter.hedging import Expectation
from mastra_ros.scheduling.arbiter.switches import Switch, SwitchLog
from mastra_ros.scheduling.estimates.clock import SteadyClock
from mastra_ros.scheduling.estimates.flow import Flow
from mastra_ros.scheduling.estimates.forecast import Forecast
from mastra_ros.scheduling.estimates.frame_bytes import FrameBytes
from mastra_ros.scheduling.estimates.link import LinkEstimate, LinkEstimator
from mastra_ros.scheduling.estimates.load_estimate import LoadEstimate, LoadEstimator
from mastra_ros.scheduling.estimates.outcome import Observer, Outcome
from mastra_ros.scheduling.policies.hysteresis import Hysteresis
from mastra_ros.scheduling.policies.policy import Follower, Policy, make_policy
from mastra_ros.types import (
    LEFT_OUT,
    Decision,
    FrameKey,
    GateState,
    LinkSample,
    LoadSample,
    Result,
    Route,
)

REMEMBERED = 256
"""So many outcomes are told to a policy that takes over."""
FAILURES_IN_ROW = 3
"""So many failed or late answers in a row force the route to local: one alone is no trend."""


class Scheduler:
    """Takes what happens, returns what a node has to do, in order.

    Pure: no threads, no I/O. `now_ns` is a monotonic clock's; steps backwards are survived.
    `policy` replaces the one that the configuration names.
    """

    def __init__(self, config: SchedulingConfig, policy: Policy | None = None) -> None:
        self._config = config
        self._clock = SteadyClock()
        self._arbiter = Arbiter(config, self._clock)
        self._policy = policy or make_policy(config)
        self._forecast = Forecast()
        self._flow = Flow()
        self._tell_flow()
        self._frame_bytes = FrameBytes()
        self._hysteresis = Hysteresis(self._policy, config)
        self._outcomes: deque[Outcome] = deque(maxlen=REMEMBERED)
        self._load = LoadEstimator(config.load_smoothing_ms, config.temperature_high_c)
        self._link = LinkEstimator(config.link_silence_ms, self._clock)
        self._link_up = False
        self._gateway = True  # whether there is one at all
        self._gate = GateState()
        self._switches = SwitchLog()
        self._failures = 0
        self._first_failure_ns = 0
        self._misses = 0
        self._first_miss_ns = 0
        self._inference_ms = math.nan

    def configure(self, config: SchedulingConfig) -> None:
        """Take over parameters; they count from the next frame on. A new policy or route need
        not wait for dwell."""
        policy = None
        if (config.policy, config.route) != (self._config.policy, self._config.route):
            wanted = self._hysteresis.wanted
            start = "local" if wanted is Route.LOCAL else "cloud"
            policy = self._policy = make_policy(replace(config, start_route=start))
            self._tell_flow()
            if isinstance(policy, Observer):
                for outcome in self._outcomes:
                    policy.observe(outcome)
        self._config = config
        self._hysteresis.configure(config, policy)
        self._arbiter.configure(config)
        self._load.configure(config.load_smoothing_ms, config.temperature_high_c)
        self._link.configure(config.link_silence_ms)

    def on_frame(self, key: FrameKey, captured_ns: int, now_ns: int) -> list[Action]:
        """A frame has entered: it can be inferred here and encoded. `captured_ns` is monotonic."""
        now, events = self._begin(now_ns)
        link = self._known_link(now_ns)
        self._expect(link.sample, now)
        before = self._hysteresis.route
        decision = self._allowed(self._hysteresis.decide(self._load.estimate, link, now))
        if before is not None and decision.route is not before:
            switch = Switch(now, before, decision.route, decision.reason, now, forced=False)
            self._switches.add(switch, self._clock.inside(captured_ns))
            # What was sent before the route was left says nothing of how the gateway is now.
            self._failures = self._misses = 0
        events += self._arbiter.frame(
            key, captured_ns, decision, link.usable, now_ns, self._hysteresis.wanted
        )
        return self._carry_out(events, now)

    def on_load(self, sample: LoadSample) -> LoadSample:
        """A sample of this device's load; returns the smoothed load."""
        return self._load.update(sample)

    def on_link(
        self,
        sample: LinkSample,
        now_ns: int,
        *,
        gateway: bool = True,
        uploaded_bytes: int = 0,
    ) -> list[Action]:
        """A sample of the bridge; `gateway` is false where none is configured.

        uploaded_bytes: given to the socket since start, by which frames are sized.
        """
        self._gateway = gateway
        self._tell_archive()
        self._link.update(sample, now_ns)
        self._frame_bytes.uploaded(uploaded_bytes, backlog=sample.spooled > 0)
        now, events = self._begin(now_ns)
        return self._carry_out(events, now)

    def on_encoder(self, next_bytes: float) -> None:
        """What the encoder expects the next frame to take; NaN where it cannot tell."""
        self._frame_bytes.expected(next_bytes)

    def on_gate(self, state: GateState, now_ns: int) -> list[Action]:
        """How the gate of privacy is: while it is shut, the link may not be used."""
        before, self._gate = self._gate, state
        self._tell_archive()
        now, events = self._begin(now_ns)
        if state.shut and not before.shut:
            self._force(_closed(state), now, now, hold=False)
        return self._carry_out(events, now)

    def on_local_result(self, result: Result, now_ns: int) -> list[Action]:
        """The model on the device has answered."""
        now, events = self._begin(now_ns)
        result = replace(result, key=self._arbiter.named(result.key))
        if not result.error:
            self._inference_ms = result.inference_ms
        return self._carry_out(events + self._arbiter.local_result(result, now_ns), now)

    def on_cloud_result(self, result: Result, now_ns: int) -> list[Action]:
        """The gateway has answered, or the bridge reports a failure in `error`."""
        self._clock.advance(now_ns)
        result = replace(result, key=self._arbiter.named(result.key))
        if not result.error:
            self._link.heard(now_ns)
        now, events = self._begin(now_ns)
        left_out = result.error == LEFT_OUT
        if left_out:
            self._frame_bytes.left_out()
        if result.error:
            self._flow.dropped(result.key, now)
        else:
            self._flow.answered(result.key, now)
        sent_ns = self._arbiter.sent_ns(result.key)
        events += self._arbiter.cloud_result(result, now_ns)
        if sent_ns is not None and not left_out:
            self._judge(result, sent_ns, now)
        return self._carry_out(events, now)

    def on_answered(self, key: FrameKey, now_ns: int) -> list[Action]:
        """Another node has published the final result of a frame."""
        now, events = self._begin(now_ns)
        return self._carry_out(events + self._arbiter.answered(key, now_ns), now)

    def tick(self, now_ns: int) -> list[Action]:
        """Do what is due; to be called at `next_deadline_ns`."""
        now, events = self._begin(now_ns)
        return self._carry_out(events + self._arbiter.tick(now_ns), now)

    def next_deadline_ns(self) -> int | None:
        """When `tick` has something to do, on the caller's clock; None while it has not."""
        silent_ns = self._link.silent_at_ns()
        due = [] if silent_ns is None else [self._clock.outside(silent_ns)]
        frames_ns = self._arbiter.next_deadline_ns()
        if frames_ns is not None:
            due.append(frames_ns)
        return min(due, default=None)

    def take_switches(self) -> list[Switch]:
        """The switches closed since last time: latency known, or followed by another."""
        return self._switches.take()

    @property
    def switches(self) -> list[Switch]:
        """All switches kept, oldest first; the latency of the newest may still be unknown (NaN)."""
        return self._switches.all

    @property
    def route(self) -> Route:
        """The route in force."""
        return self._hysteresis.route or Route.LOCAL

    @property
    def counters(self) -> Counters:
        """What has been counted since start."""
        return self._arbiter.counters

    @property
    def load(self) -> LoadSample:
        """The smoothed load; NaN before the first sample."""
        return self._load.estimate

    def load_at(self, now_ns: int) -> LoadEstimate:
        """What is known of the load."""
        return self._load.at(now_ns)

    @property
    def escalation(self) -> EscalationState:
        """How refinement goes."""
        return self._arbiter.escalation

    @property
    def inference_ms(self) -> float:
        """Spent in the model by the latest local inference; NaN before."""
        return self._inference_ms

    @property
    def local_queue(self) -> int:
        """Frames that are with the local model or wait for it."""
        return self._arbiter.local_queue

    @property
    def in_progress(self) -> int:
        """Frames admitted and not yet finished."""
        return self._arbiter.in_progress

    def link(self, now_ns: int) -> LinkEstimate:
        """What is known of the link."""
        return self._known_link(now_ns)

    def _known_link(self, now_ns: int) -> LinkEstimate:
        estimate = self._link.estimate(now_ns)
        sized = replace(estimate.sample, frame_bytes=self._frame_bytes.mean)
        if self._gate.shut:
            sized = replace(sized, connected=False)
        return replace(estimate, sample=sized)

    def _allowed(self, decision: Decision) -> Decision:
        """The decision as far as the gate lets frames and features out."""
        if decision.route is Route.SPLIT and not self._gate.features:
            return Decision(Route.LOCAL, "privacy: features may not leave")
        if self._gate.shut and self._hysteresis.wanted is not Route.LOCAL:
            return replace(decision, reason=_closed(self._gate))
        return decision

    def _tell_archive(self) -> None:
        """Frames are worth keeping for a gateway only where they may leave some day."""
        self._arbiter.archive.open = self._gateway and not self._gate.shut

    def _expect(self, link: LinkSample, now: int) -> None:
        """Tell the arbiter how long answers should take."""
        forecast, deviations = self._forecast, self._config.hedge_deviations
        forecast.link(link)
        self._flow.link(link)
        local = forecast.local(self._load.estimate, now)
        away = self._flow.expected_or(forecast, Route.CLOUD, link, now)
        self._arbiter.expect(
            Expectation(
                local.upper_ms(1.0),
                away.upper_ms(deviations),
                self._frame_bytes.mean,
                forecast.usual.limit_ms,
                local.deviation_ms,
            )
        )

    def _tell_flow(self) -> None:
        """Let a policy that wants to see what is on its way."""
        if isinstance(self._policy, Follower):
            self._policy.follow(self._flow)

    def _learn(self) -> None:
        """Tell forecast and policy what became of frames."""
        policy = self._policy
        for outcome in self._arbiter.take_outcomes():
            self._outcomes.append(outcome)
            self._forecast.observe(outcome)
            if isinstance(policy, Observer):
                policy.observe(outcome)

    def _begin(self, now_ns: int) -> tuple[int, list[Event]]:
        """Steady time, and what follows if the link was lost meanwhile."""
        now = self._clock.advance(now_ns)
        was_up, heard_ns = self._link_up, self._link.heard_ns
        self._link_up = self._link.estimate(now_ns).usable
        if heard_ns is not None:
            self._arbiter.heard(self._clock.outside(heard_ns))
        if not was_up or self._link_up:
            return now, []
        self._flow.lost(now)
        self._force("link lost", now, now, hold=False)
        return now, self._arbiter.link_lost(now_ns)

    def _judge(self, result: Result, sent_ns: int, now: int) -> None:
        """Leave a gateway whose answers fail in a row."""
        if not result.error:
            self._failures = self._misses = 0
            return
        earlier_ns = sent_ns if self._failures == 0 else self._first_failure_ns
        self._first_failure_ns = min(sent_ns, earlier_ns)
        self._failures += 1
        if self._failures >= FAILURES_IN_ROW:
            self._failures = 0
            self._force(f"cloud failed: {result.error}", now, self._first_failure_ns, hold=True)

    def _miss(self, event: DeadlineMissed, now: int) -> None:
        """Leave a gateway that is silent at once, one that is late when that is no exception."""
        if self._misses == 0:
            self._first_miss_ns = event.sent_ns
        self._misses += 1
        if event.silent or self._misses >= FAILURES_IN_ROW:
            cause_ns = event.sent_ns if event.silent else self._first_miss_ns
            self._misses = 0
            self._force("deadline missed", now, cause_ns, hold=True, late=not event.silent)

    def _force(
        self, reason: str, now: int, cause_ns: int, *, hold: bool, late: bool = False
    ) -> None:
        """Go local at once. Where the route is local already, stragglers change nothing more.

        The switch dates from `cause_ns`, or from when the gateway was last heard if earlier.
        """
        self._link.distrust()
        before = self._hysteresis.route
        if before is None or before is Route.LOCAL:
            return
        self._hysteresis.bar(reason, now, hold=hold, late=late)
        heard_ns = self._link.heard_ns
        cause_ns = cause_ns if heard_ns is None else min(cause_ns, heard_ns)
        switch = Switch(now, before, Route.LOCAL, reason, cause_ns, forced=True)
        self._switches.add(switch)

    def _carry_out(self, events: Sequence[Event], now: int) -> list[Action]:
        """Take note of what happened and keep what the node has to do."""
        self._learn()
        actions: list[Action] = []
        for event in events:
            if isinstance(event, DeadlineMissed):
                self._miss(event, now)
                continue
            if isinstance(event, Dispatch) and event.route is not Route.LOCAL:
                self._frame_bytes.sent()
                if not event.archive:
                    self._flow.sent(event.key, event.route, now)
            if isinstance(event, Publish):
                self._switches.published(event.result, now)
            actions.append(event)
        return actions


def _closed(state: GateState) -> str:
    return f"privacy: {state.shut}"[:200]
