"""One contract for every policy, and what each adds to it."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from mastra_ros.config import SchedulingConfig
from mastra_ros.scheduling.estimates.outcome import Observer, Outcome
from mastra_ros.scheduling.fake import FakePolicy
from mastra_ros.scheduling.policies.adaptive import AdaptivePolicy
from mastra_ros.scheduling.policies.dta_full import DtaFullPolicy
from mastra_ros.scheduling.policies.latency import LatencyPolicy
from mastra_ros.scheduling.policies.policy import POLICIES, Policy, make_policy
from mastra_ros.types import Decision, FrameKey, LinkSample, LoadSample, Route

LOCAL, SPLIT, CLOUD, NAN = Route.LOCAL, Route.SPLIT, Route.CLOUD, math.nan
MS = 1_000_000


def load(cpu: float, memory: float = 0.3, inference_ms: float = NAN) -> LoadSample:
    return LoadSample(0, cpu, memory, inference_ms=inference_ms)


def link(rtt_ms: float, loss: float = 0.0, up: bool = True) -> LinkSample:
    return LinkSample(0, up, rtt_ms, rtt_ms / 10, loss)


def outcome(route: Route, took_ms: float, at_ms: float = 0, deadline_ms: float = 150.0) -> Outcome:
    in_time = took_ms <= deadline_ms
    return Outcome(
        FrameKey("main", round(at_ms) + 1),
        route,
        round(at_ms * MS),
        took_ms=took_ms if in_time else NAN,
        limit_ms=deadline_ms,
        in_time=in_time,
        age_ms=took_ms,
        inference_ms=took_ms if route is LOCAL else NAN,
    )


MAKERS = [
    pytest.param(lambda config: FakePolicy(Route(config.route)), id="fake"),
    *(
        pytest.param(lambda config, n=name: make_policy(replace(config, policy=n)), id=name)
        for name in POLICIES
    ),
]


@pytest.mark.parametrize("make", MAKERS)
class TestContract:
    """What holds for every policy, the fake included."""

    def decide(self, policy: Policy, *args: object) -> Decision:
        decision = policy.decide(*args)  # type: ignore[arg-type]
        assert isinstance(decision, Decision)
        assert decision.route in Route
        assert decision.reason
        assert decision.spill is not LOCAL
        return decision

    def test_it_has_a_docstring_that_says_what_it_assumes(self, make: object) -> None:
        policy = make(SchedulingConfig())  # type: ignore[operator]
        if not isinstance(policy, FakePolicy) and "fixed" not in type(policy).__name__.lower():
            text = " ".join((type(policy).__doc__ or "").split())
            assert "assum" in text.lower()

    def test_it_survives_every_sample_and_stays_with_what_is_unknown(self, make: object) -> None:
        policy = make(SchedulingConfig())  # type: ignore[operator]
        values = (NAN, 0.0, 0.5, 1.0)
        for cpu in values:
            for memory in values:
                for rtt_ms in (NAN, 0.0, 20.0, 1e6):
                    for up in (True, False):
                        self.decide(policy, load(cpu, memory), link(rtt_ms, 0.0, up), 5)
        before = self.decide(policy, load(NAN, NAN), link(NAN, 1.0, False), 6).route
        assert self.decide(policy, load(NAN, NAN), link(NAN, 1.0, False), 7).route is before

    def test_the_same_history_gives_the_same_decisions(self, make: object) -> None:
        def told() -> list[Decision]:
            policy = make(SchedulingConfig())  # type: ignore[operator]
            decisions = []
            for step in range(60):
                sample = load(step % 10 / 10, inference_ms=40)
                decisions.append(policy.decide(sample, link(20 + step % 7), step * MS))
                if isinstance(policy, Observer):
                    policy.observe(outcome(decisions[-1].route, 30 + step % 5 * 40, step))
            return decisions

        assert told() == told()

    def test_parameters_may_change_while_it_runs(self, make: object) -> None:
        policy = make(SchedulingConfig())  # type: ignore[operator]
        before = self.decide(policy, load(0.6), link(20), 0).route
        policy.configure(SchedulingConfig(load_high=0.95, delay_ms=100.0, deadline_ms=300.0))
        assert self.decide(policy, load(0.6), link(20), 1).route is before

    def test_outcomes_of_every_kind_are_taken(self, make: object) -> None:
        policy = make(SchedulingConfig())  # type: ignore[operator]
        if not isinstance(policy, Observer):
            pytest.skip("does not learn")
        for route in Route:
            for took_ms in (0.0, 30.0, 1e9):
                for counts in (True, False):
                    policy.observe(replace(outcome(route, took_ms), counts=counts))
            policy.observe(Outcome(FrameKey("main", 1), route, 0))
        self.decide(policy, load(0.5), link(20), 10 * MS)


class TestDtaFull:
    @pytest.mark.parametrize(
        ("cpu", "memory", "rtt_ms", "loss", "start", "expected"),
        [
            (0.9, 0.3, 100, 0.0, "local", CLOUD),
            (0.5, 0.95, 100, 0.0, "local", CLOUD),
            (0.9, 0.3, 190, 0.0, "local", LOCAL),
            (0.9, 0.3, 100, 0.08, "local", LOCAL),
            (0.2, 0.3, 100, 0.2, "cloud", LOCAL),
            (0.2, 0.3, 230, 0.0, "cloud", LOCAL),
            (0.2, 0.3, 210, 0.0, "cloud", CLOUD),
            (0.2, 0.95, 230, 0.0, "cloud", CLOUD),
            (0.2, NAN, 230, 0.0, "cloud", LOCAL),
            (0.9, 0.3, NAN, 0.0, "local", LOCAL),
        ],
    )
    def test_memory_and_loss_count_and_the_band_stays(
        self, cpu: float, memory: float, rtt_ms: float, loss: float, start: str, expected: Route
    ) -> None:
        policy = DtaFullPolicy(SchedulingConfig(start_route=start))
        assert policy.decide(load(cpu, memory), link(rtt_ms, loss), 0).route is expected


class TestAdaptive:
    def test_regret_of_slow_local_results_opens_the_way_to_the_cloud(self) -> None:
        policy = AdaptivePolicy(SchedulingConfig())
        sample, up = load(0.6, inference_ms=200), link(30)
        assert policy.decide(sample, up, 0).route is LOCAL
        for step in range(1, 40):
            policy.observe(outcome(LOCAL, 220, step * 100))
        assert policy.bias > 0.3
        assert policy.decide(sample, up, 4000 * MS).route is CLOUD

    def test_regret_of_missed_cloud_frames_closes_it_again(self) -> None:
        policy = AdaptivePolicy(SchedulingConfig(start_route="cloud"))
        policy.observe(outcome(LOCAL, 30, 0))
        for step in range(1, 80):
            policy.decide(load(0.3, inference_ms=30), link(30), step * 100 * MS)
            policy.observe(outcome(CLOUD, 400, step * 100))
        assert policy.bias == -1
        assert policy.decide(load(0.9), link(30), 8000 * MS).route is LOCAL

    def test_without_regret_the_thresholds_come_back(self) -> None:
        policy = AdaptivePolicy(SchedulingConfig(cloud_cost=0.0))
        policy.bias = 0.8
        for step in range(1, 2000):
            policy.decide(load(0.3, inference_ms=20), link(30), step * 100 * MS)
            policy.observe(outcome(LOCAL, 20, step * 100))
        assert abs(policy.bias) < 0.1

    def test_at_rate_0_nothing_is_learnt(self) -> None:
        policy = AdaptivePolicy(SchedulingConfig(adapt_rate=0.0))
        policy.decide(load(0.5, inference_ms=200), link(30), 0)
        for step in range(50):
            policy.observe(outcome(LOCAL, 400, step * 100))
        assert policy.bias == 0


class TestLatency:
    def settled(self, local_ms: float, cloud_ms: float, **values: object) -> LatencyPolicy:
        policy = LatencyPolicy(SchedulingConfig(**values))  # type: ignore[arg-type]
        policy.decide(load(0.5), link(20), 0)
        for step in range(50):
            policy.observe(outcome(LOCAL, local_ms, step * 20))
            policy.observe(outcome(CLOUD, cloud_ms, step * 20))
        return policy

    def decide(self, policy: LatencyPolicy) -> Decision:
        return policy.decide(load(0.5), link(20), 1000 * MS)

    def test_the_quicker_route_is_taken(self) -> None:
        assert self.decide(self.settled(100, 40, cloud_cost_ms=0.0)).route is CLOUD
        assert self.decide(self.settled(30, 60, cloud_cost_ms=0.0)).route is LOCAL

    def test_a_cloud_frame_must_be_worth_its_cost(self) -> None:
        assert self.decide(self.settled(100, 40, cloud_cost_ms=100.0)).route is LOCAL

    def test_a_route_in_time_goes_before_a_cheap_one(self) -> None:
        assert self.decide(self.settled(170, 60, cloud_cost_ms=1000.0)).route is CLOUD
        assert self.decide(self.settled(100, 170, cloud_cost_ms=0.0)).route is LOCAL

    def test_what_is_late_here_may_spill_if_it_has_a_chance_there(self) -> None:
        assert self.decide(self.settled(100, 60, cloud_cost_ms=100.0)).spill is CLOUD
        assert self.decide(self.settled(30, 400)).spill is None

    def test_below_the_accuracy_floor_the_better_model_is_taken(self) -> None:
        policy = self.settled(30, 60, accuracy_floor=0.95)
        for step in range(300):
            policy.observe(outcome(LOCAL, 30, 1000 + step))
        assert policy.accuracy < 0.95
        assert policy.decide(load(0.5), link(20), 1300 * MS).route is CLOUD
        late = self.settled(30, 400, accuracy_floor=0.95)
        assert self.decide(late).route is LOCAL

    def test_split_takes_part_only_where_there_is_one(self) -> None:
        for split in (False, True):
            policy = self.settled(140, 145, split=split, cloud_cost_ms=0.0)
            for step in range(50):
                policy.observe(outcome(SPLIT, 40, 20 * step))
            assert (self.decide(policy).route is SPLIT) is split

    def test_a_gateway_that_was_late_is_given_another_chance(self) -> None:
        policy = self.settled(140, 60, cloud_cost_ms=0.0)
        for step in range(20):
            policy.observe(outcome(CLOUD, 400, 1000 + step * 50))
        wary = policy.decide(load(0.5), link(20), 2000 * MS)
        assert wary.route is LOCAL
        assert wary.spill_worth < 0.25  # only what the device hardly answers in time
        assert policy.decide(load(0.5), link(20), 30_000 * MS).route is CLOUD
