"""The published rule, and the policies behind their interface."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from mastra_ros.config import SchedulingConfig, build
from mastra_ros.errors import ConfigError
from mastra_ros.scheduling.fake import FakePolicy
from mastra_ros.scheduling.policies.dta import DtaPolicy, dta_rule
from mastra_ros.scheduling.policies.fixed import FixedPolicy
from mastra_ros.scheduling.policies.policy import POLICIES, Policy, make_policy
from mastra_ros.types import LinkSample, LoadSample, Route

LOCAL, CLOUD, NAN = Route.LOCAL, Route.CLOUD, math.nan
BOTH = "stay"


def load(cpu: float) -> LoadSample:
    return LoadSample(0, cpu, 0.5)


def link(rtt_ms: float, connected: bool = True) -> LinkSample:
    return LinkSample(0, connected, rtt_ms)


@pytest.mark.parametrize(
    ("cpu", "delay_ms", "expected"),
    [
        (0.81, 199.0, CLOUD),
        (1.0, 0.0, CLOUD),
        (0.81, 200.0, BOTH),
        (0.81, 201.0, BOTH),
        (0.8, 199.0, BOTH),
        (0.6, 10.0, BOTH),
        (0.6, 900.0, BOTH),
        (0.4, 201.0, BOTH),
        (0.39, 201.0, LOCAL),
        (0.0, 1e9, LOCAL),
        (0.39, 200.0, BOTH),
        (0.39, 10.0, BOTH),
        (NAN, 10.0, BOTH),
        (0.9, NAN, BOTH),
        (0.1, NAN, BOTH),
    ],
)
@pytest.mark.parametrize("current", [LOCAL, CLOUD])
def test_the_rule_is_the_published_truth_table(
    cpu: float, delay_ms: float, expected: Route | str, current: Route
) -> None:
    assert dta_rule(cpu, delay_ms, current) is (current if expected == BOTH else expected)


@pytest.mark.parametrize("start", ["local", "cloud"])
def test_before_the_first_decision_the_route_is_the_start_route(start: str) -> None:
    policy = DtaPolicy(build(SchedulingConfig, {"start_route": start}))
    assert policy.decide(load(0.6), link(50), 0).route.value == start


def test_the_policy_remembers_its_route_between_the_thresholds() -> None:
    policy = DtaPolicy(SchedulingConfig())
    seen = [
        policy.decide(load(cpu), link(rtt), 0).route
        for cpu, rtt in [(0.5, 20), (0.9, 20), (0.5, 20), (0.1, 20), (0.1, 300), (0.7, 20)]
    ]
    assert seen == [LOCAL, CLOUD, CLOUD, CLOUD, LOCAL, LOCAL]


def test_a_link_that_is_down_has_no_delay_and_the_policy_stays() -> None:
    policy = DtaPolicy(SchedulingConfig(start_route="cloud"))
    assert policy.decide(load(0.1), link(900, connected=False), 0).route is CLOUD


def test_thresholds_take_effect_at_the_next_decision_and_the_route_is_kept() -> None:
    policy = DtaPolicy(SchedulingConfig())
    assert policy.decide(load(0.7), link(50), 0).route is LOCAL
    policy.configure(SchedulingConfig(load_high=0.65))
    assert policy.decide(load(0.7), link(50), 0).route is CLOUD
    policy.configure(SchedulingConfig())
    assert policy.decide(load(0.7), link(50), 0).route is CLOUD


@pytest.mark.parametrize("make", [*POLICIES.values(), lambda config: FakePolicy()])
def test_every_policy_answers_whatever_is_known(make) -> None:  # type: ignore[no-untyped-def]
    policy: Policy = make(SchedulingConfig())
    for cpu in (0.0, 0.5, 1.0, NAN):
        for rtt_ms in (0.0, 100.0, 1e6, NAN):
            for connected in (True, False):
                decision = policy.decide(load(cpu), link(rtt_ms, connected), 5)
                assert decision.route in Route
                assert decision.reason
    policy.configure(SchedulingConfig(route="cloud"))


def test_a_policy_is_made_by_its_name() -> None:
    config = SchedulingConfig(policy="fixed", route="split")
    policy = make_policy(config)
    assert isinstance(policy, FixedPolicy)
    assert policy.decide(load(0.5), link(5), 0).route is Route.SPLIT
    with pytest.raises(ConfigError, match="of dta, dta_full, adaptive, latency, fixed"):
        make_policy(replace(config, policy="oracle"))
