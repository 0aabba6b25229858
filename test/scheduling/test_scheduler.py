"""The scheduler as a whole, in simulated time."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable

import pytest

from mastra_ros.config import SchedulingConfig
from mastra_ros.scheduling.arbiter.actions import Action, Dispatch, Publish, PublishLate
from mastra_ros.scheduling.estimates.outcome import Outcome
from mastra_ros.scheduling.fake import FakePolicy
from mastra_ros.scheduling.scheduler import Scheduler
from mastra_ros.types import Detections, FrameKey, LinkSample, LoadSample, Result, Route

MS = 1_000_000
LOCAL, CLOUD = Route.LOCAL, Route.CLOUD


class Simulation:
    """A device, a link and a gateway around a scheduler.

    `reachable(ms)` says whether the gateway answers (heartbeats and frames); `session(ms)`
    whether the bridge has a session, which it reports at each heartbeat.
    """

    def __init__(self, config: SchedulingConfig, route: Route | None = CLOUD) -> None:
        self.scheduler = Scheduler(config, None if route is None else FakePolicy(route))
        self.now_ms = 1000.0
        self.reachable: Callable[[float], bool] = lambda ms: True
        self.session: Callable[[float], bool] = lambda ms: True
        self.frames_answered: Callable[[float], bool] = lambda ms: True
        self.local_ms, self.cloud_ms = 20.0, 40.0
        self.cpu = 0.5
        self.finals: dict[FrameKey, Result] = {}
        self.published_ms: dict[FrameKey, float] = {}
        self.captured_ms: dict[FrameKey, float] = {}
        self.late: list[Result] = []
        self.archived: list[FrameKey] = []
        self._local_free_ms = 0.0
        self._heard_ms = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def at(self, ms: float, do: Callable[[], None]) -> None:
        heapq.heappush(self._events, (ms, next(self._order), do))

    def run(self, until_ms: float, *, fps: float = 30.0, heartbeat_ms: float = 100.0) -> None:
        period = 1000.0 / fps
        start = self.now_ms
        for i in range(int((until_ms - start) / period)):
            self.at(start + i * period, self._frame)
        for i in range(int((until_ms - start) / heartbeat_ms)):
            self.at(start + i * heartbeat_ms, self._heartbeat)
        while True:
            due_ns = self.scheduler.next_deadline_ns()
            due = math.inf if due_ns is None else due_ns / MS
            first = self._events[0][0] if self._events else math.inf
            if min(due, first) > until_ms:
                break
            self.now_ms = max(self.now_ms, min(due, first))
            if due <= first:
                self._do(self.scheduler.tick(self._now_ns))
            else:
                heapq.heappop(self._events)[2]()
        self.now_ms = until_ms

    @property
    def _now_ns(self) -> int:
        return math.ceil(self.now_ms * MS)

    def _frame(self) -> None:
        key = FrameKey("main", self._now_ns)
        self.captured_ms[key] = self.now_ms
        self._do(self.scheduler.on_frame(key, self._now_ns, self._now_ns))

    def _heartbeat(self) -> None:
        if self.reachable(self.now_ms):
            self._heard_ms = self.now_ms
        rtt = self.cloud_ms / 4
        self.scheduler.on_load(LoadSample(self._now_ns, self.cpu, 0.5))
        connected = self.session(self.now_ms)
        sample = LinkSample(self._now_ns, connected, rtt, last_heard_ns=round(self._heard_ms * MS))
        self._do(self.scheduler.on_link(sample, self._now_ns))

    def _do(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, PublishLate):
                self.late.append(action.result)
            elif isinstance(action, Publish):
                if action.result.final:
                    assert action.result.key not in self.finals
                    self.finals[action.result.key] = action.result
                    self.published_ms[action.result.key] = self.now_ms
            elif isinstance(action, Dispatch) and action.archive:
                self.archived.append(action.key)
            else:
                assert isinstance(action, Dispatch)
                self._infer(action)

    def _infer(self, dispatch: Dispatch) -> None:
        result = Result(dispatch.key, dispatch.route, Detections.empty())
        if dispatch.route is LOCAL:
            self._local_free_ms = max(self._local_free_ms, self.now_ms) + self.local_ms
            local = self.scheduler.on_local_result
            self.at(self._local_free_ms, lambda: self._do(local(result, self._now_ns)))
        elif self.reachable(self.now_ms):
            answered = self.now_ms + self.cloud_ms
            cloud = self.scheduler.on_cloud_result

            def answer() -> None:
                if self.reachable(self.now_ms) and self.frames_answered(self.now_ms):
                    self._heard_ms = self.now_ms
                    self._do(cloud(result, self._now_ns))

            self.at(answered, answer)

    def check_nothing_missing(self) -> None:
        self.run(self.now_ms + 3000, fps=1e-9)
        counters = self.scheduler.counters
        assert counters.frames == len(self.captured_ms)
        assert counters.frames == counters.results + counters.superseded
        assert counters.failed == 0


def test_a_dead_cloud_costs_the_deadline_once() -> None:
    world = Simulation(SchedulingConfig(deadline_ms=150.0))
    world.reachable = lambda ms: ms < 5000
    world.run(10_000)
    world.check_nothing_missing()
    # The first to miss may have been sent a moment before the gateway was last heard.
    assert world.scheduler.counters.missed <= 2
    ages = {key: world.finals[key].age_ms for key in world.finals}
    # If so it is late, not silent, and the route changes with the next, a frame period later.
    after = [age for key, age in ages.items() if world.captured_ms[key] > 5150 + 1000 / 30]
    assert max(after) < 4 * world.local_ms
    assert max(ages.values()) < 150 + 7 * world.local_ms


def test_a_cut_is_noticed_after_one_deadline_and_one_local_inference() -> None:
    world = Simulation(SchedulingConfig(deadline_ms=150.0))
    world.reachable = world.session = lambda ms: ms < 5000
    world.run(8000)
    (to_cloud, to_local) = world.scheduler.switches
    assert (to_cloud.to_route, to_local.to_route) == (CLOUD, LOCAL)
    assert to_local.forced
    fresh = min(
        world.published_ms[key]
        for key, result in world.finals.items()
        if world.captured_ms[key] >= 5000 and result.origin is LOCAL
    )
    assert fresh - 5000 <= 150 + 2 * world.local_ms
    assert fresh - 5000 <= to_local.latency_ms <= 150 + 100 + 2 * world.local_ms
    world.check_nothing_missing()


def test_a_reported_loss_brings_the_frames_home_at_once() -> None:
    world = Simulation(SchedulingConfig())
    world.reachable = world.session = lambda ms: not 5000 <= ms < 15_000
    world.run(20_000)
    world.check_nothing_missing()
    reasons = [(s.to_route, s.reason) for s in world.scheduler.switches]
    assert reasons == [
        (CLOUD, "link recovered"),
        (LOCAL, "link lost"),
        (CLOUD, "link recovered"),
    ]
    lost, back = world.scheduler.switches[1:]
    assert lost.at_ns == 5000 * MS
    assert lost.cause_ns < lost.at_ns
    assert lost.latency_ms < 150
    assert 15_200 * MS <= back.at_ns <= 15_400 * MS
    assert back.latency_ms == pytest.approx(world.cloud_ms, abs=1)
    assert len(world.archived) == pytest.approx(20, abs=1)
    report = lost.to_dict(start_ns=1000 * MS)
    assert report["t_s"] == 4.0
    assert (report["from"], report["to"], report["reason"]) == ("cloud", "local", "link lost")


def test_a_gateway_that_answers_heartbeats_but_no_frames_costs_ever_fewer_deadlines() -> None:
    config = SchedulingConfig(dwell_ms=1000.0, hold_max_ms=16_000.0)
    world = Simulation(config)
    world.frames_answered = lambda ms: ms < 5000
    world.run(65_000)
    world.check_nothing_missing()
    tries = [s for s in world.scheduler.switches if s.reason == "deadline missed"]
    assert 4 <= len(tries) <= 8
    gaps = [b.at_ns - a.at_ns for a, b in itertools.pairwise(tries)]
    assert gaps == sorted(gaps)


def test_an_overloaded_gateway_that_is_now_and_then_in_time_does_not_make_the_route_flap() -> None:
    config = SchedulingConfig(dwell_ms=1000.0, hold_max_ms=10_000.0)
    world = Simulation(config)
    world.frames_answered = lambda ms: ms < 5000 or ms % 1500 < 1200
    world.run(65_000)
    world.check_nothing_missing()
    tries = [s for s in world.scheduler.switches if s.reason == "deadline missed"]
    assert 4 <= len(tries) <= 12  # about 40 if each answer in time were believed
    assert tries[-1].at_ns - tries[-2].at_ns > 8000 * MS
    world.frames_answered = lambda ms: True
    start_ms = world.now_ms
    world.run(start_ms + 15_000)
    assert world.scheduler.route is CLOUD


def test_a_gateway_that_is_late_once_keeps_the_route_and_late_three_times_does_not() -> None:
    world = Simulation(SchedulingConfig(deadline_ms=150.0))
    world.frames_answered = lambda ms: not 5000 <= ms < 5040
    world.run(8000)
    assert world.scheduler.counters.missed >= 1
    assert [s.to_route for s in world.scheduler.switches] == [CLOUD]
    world.frames_answered = lambda ms: ms < 9000
    world.run(12_000)
    assert world.scheduler.switches[1].reason == "deadline missed"
    cause_ms = world.scheduler.switches[1].cause_ns / MS
    assert 8800 < cause_ms < 9050
    world.check_nothing_missing()


def test_frames_late_before_the_route_was_left_do_not_count_when_it_is_back() -> None:
    world = Simulation(SchedulingConfig(deadline_ms=150.0))

    def answered(ms: float) -> bool:
        """Not from 5 s on, nor the first two when the route is back."""
        changes = world.scheduler.switches
        if len(changes) < 3:
            return ms < 5000
        return ms > changes[2].at_ns / MS + 250

    world.frames_answered = answered
    world.cloud_ms = 100.0
    world.run(12_000, fps=10.0)
    assert [s.to_route for s in world.scheduler.switches] == [CLOUD, LOCAL, CLOUD]
    world.check_nothing_missing()


def test_a_gateway_that_stops_answering_is_hedged_against_within_the_deadline() -> None:
    world = Simulation(SchedulingConfig(deadline_ms=150.0))
    world.run(3000)
    for n in range(5):  # let the forecast know what the device takes
        key = FrameKey("main", n + 1)
        known = Result(key, LOCAL, Detections.empty(), inference_ms=world.local_ms)
        world.scheduler.on_local_result(known, round(world.now_ms * MS))
        world.scheduler._forecast.observe(
            Outcome(key, LOCAL, round(world.now_ms * MS), inference_ms=world.local_ms)
        )
    world.reachable = lambda ms: ms < 5000
    world.run(8000)
    world.check_nothing_missing()
    assert world.scheduler.counters.hedged >= 1
    ages = [r.age_ms for k, r in world.finals.items() if world.captured_ms[k] > 3100]
    assert sum(age > 150 for age in ages) <= 5
    assert world.scheduler.switches[-1].reason in ("deadline missed", "link lost")


def test_a_new_policy_learns_what_the_one_before_saw() -> None:
    world = Simulation(SchedulingConfig(policy="fixed", route="cloud"), route=None)
    world.run(6000)
    world.scheduler.configure(SchedulingConfig(policy="latency", cloud_cost_ms=0.0))
    world.run(6100)
    assert world.scheduler.route is CLOUD
    assert world.scheduler.counters.by_origin[CLOUD] > 100


def test_frames_are_sized_by_what_the_bridge_uploads() -> None:
    scheduler = Scheduler(SchedulingConfig(cloud_in_flight=100), FakePolicy(CLOUD))
    assert math.isnan(scheduler.link(0).sample.frame_bytes)
    for n in range(1, 80):
        now = n * 100 * MS
        sample = LinkSample(now, True, 20.0, last_heard_ns=now)
        scheduler.on_link(sample, now, uploaded_bytes=20_000 * scheduler.counters.frames)
        key = FrameKey("main", n)
        scheduler.on_frame(key, now, now)
        scheduler.on_cloud_result(Result(key, CLOUD, Detections.empty()), now + MS)
    assert scheduler.link(now).sample.frame_bytes == pytest.approx(20_000, rel=0.2)


def test_what_the_encoder_expects_of_the_next_frame_comes_first() -> None:
    scheduler = Scheduler(SchedulingConfig(cloud_in_flight=100), FakePolicy(CLOUD))
    scheduler.on_encoder(19_000.0)
    assert scheduler.link(0).sample.frame_bytes == 19_000.0
    for nothing in (math.nan, math.inf, -1.0, 0.0):
        scheduler.on_encoder(nothing)
        assert math.isnan(scheduler.link(0).sample.frame_bytes)


def test_failing_answers_in_a_row_force_local_and_one_alone_does_not() -> None:
    world = Simulation(SchedulingConfig())
    world.run(2000)
    inner = world.scheduler
    assert inner.route is CLOUD
    now = 2_000 * MS
    for n in range(1, 4):
        now += 33 * MS
        key = FrameKey("main", now)
        inner.on_frame(key, now, now)
        assert inner.route is CLOUD
        actions = inner.on_cloud_result(
            Result(key, CLOUD, Detections.empty(), error="no model"), now + MS
        )
        assert actions == [Dispatch(key, LOCAL, "cloud failed: no model")]
        inner.on_local_result(Result(key, LOCAL, Detections.empty()), now + 2 * MS)
        assert inner.route is (LOCAL if n == 3 else CLOUD)
    assert inner.switches[-1].reason == "cloud failed: no model"


def test_a_flapping_link_switches_no_more_than_dwell_allows_and_starves_no_side() -> None:
    config = SchedulingConfig(dwell_ms=1000.0, recovery_heartbeats=3)
    world = Simulation(config)
    world.reachable = world.session = lambda ms: ms % 1000 < 600
    minutes = 5
    world.run(1000 + minutes * 60_000)
    world.check_nothing_missing()
    switches = world.scheduler.switches
    returns = [s for s in switches if s.to_route is CLOUD]
    assert all(b.at_ns - a.at_ns >= 1000 * MS for a, b in itertools.pairwise(returns))
    assert len(switches) <= 2 * minutes * 60
    counters = world.scheduler.counters
    assert counters.by_origin[CLOUD] > 0.05 * counters.results
    assert counters.by_origin[LOCAL] > 0.2 * counters.results
    assert max(r.age_ms for r in world.finals.values()) < 400


def test_a_bridge_that_dies_is_noticed_by_its_silence() -> None:
    world = Simulation(SchedulingConfig(link_silence_ms=500.0))
    world.run(3000)
    assert world.scheduler.route is CLOUD
    world.scheduler.tick(3600 * MS)
    assert world.scheduler.route is LOCAL
    assert world.scheduler.switches[-1].reason == "link lost"


def test_dta_sends_frames_away_when_loaded_and_back_when_idle_on_a_bad_link() -> None:
    world = Simulation(SchedulingConfig(), route=None)
    world.run(3000)
    assert world.scheduler.route is LOCAL
    world.cpu = 0.95
    world.run(5000)
    assert world.scheduler.route is CLOUD
    assert "load 0.8" in world.scheduler.switches[-1].reason
    world.cpu, world.cloud_ms = 0.1, 1200.0
    world.run(9000)
    assert world.scheduler.route is LOCAL


def test_parameters_changed_while_running_take_effect_at_the_next_frame() -> None:
    world = Simulation(SchedulingConfig(), route=None)
    world.cpu = 0.7
    world.run(3000)
    assert world.scheduler.route is LOCAL
    world.scheduler.configure(SchedulingConfig(load_high=0.6))
    world.scheduler.on_frame(FrameKey("main", 1), 3001 * MS, 3001 * MS)
    assert world.scheduler.route is CLOUD
    world.scheduler.configure(SchedulingConfig(policy="fixed", route="local"))
    world.scheduler.on_frame(FrameKey("main", 2), 3002 * MS, 3002 * MS)
    assert world.scheduler.route is LOCAL


def test_without_a_gateway_all_is_local_and_nothing_goes_to_the_spool() -> None:
    scheduler = Scheduler(SchedulingConfig(), FakePolicy(CLOUD))
    scheduler.on_link(LinkSample(0, False), 0, gateway=False)
    for n in range(1, 50):
        key = FrameKey("main", n)
        (dispatch,) = scheduler.on_frame(key, n * MS, n * MS)
        assert isinstance(dispatch, Dispatch)
        assert dispatch.route is LOCAL
        assert not dispatch.archive
        scheduler.on_local_result(Result(key, LOCAL, Detections.empty()), n * MS)
    assert scheduler.switches == []


def test_answers_of_frames_before_a_restart_are_late() -> None:
    scheduler = Scheduler(SchedulingConfig())
    old = Result(FrameKey("main", 5), CLOUD, Detections.empty())
    (late,) = scheduler.on_cloud_result(old, 10 * MS)
    assert isinstance(late, PublishLate)


def test_a_switch_followed_by_another_has_no_latency() -> None:
    world = Simulation(SchedulingConfig(dwell_ms=0.0), route=CLOUD)
    world.run(3000)
    policy = world.scheduler._hysteresis._policy
    assert isinstance(policy, FakePolicy)
    world.scheduler.take_switches()
    for n, route in enumerate((LOCAL, CLOUD)):
        policy.route = route
        now = (3001 + n) * MS
        world.scheduler.on_frame(FrameKey("main", now), now, now)
    (first,) = world.scheduler.take_switches()
    assert math.isnan(first.latency_ms)
    assert first.to_dict(0)["latency_ms"] is None
    assert len(world.scheduler.switches) == 3
