"""The offline optimum is that of trying all schedules, and no policy exceeds it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mastra_ros.config import SchedulingConfig
from mastra_ros.simulation.compare import CHOICES, config_for
from mastra_ros.simulation.load_trace import LoadTrace
from mastra_ros.simulation.optimum import TOLERANCE_MS, Optimum, offline_optimum, unbeaten
from mastra_ros.simulation.stage_times import StageTimes
from mastra_ros.simulation.trace import Opportunities, Table
from mastra_ros.simulation.world import Scenario, World

Make = Callable[..., Scenario]
STAGES = StageTimes(
    local_ms=60.0, encode_ms=5.0, cloud_ms=30.0, delta_bytes=6000.0, key_bytes=20_000.0
)
SLOW = replace(STAGES, local_ms=140.0, delta_bytes=9000.0, spread=0.4)


def drawn_link(seed: int, seconds: float, mbps: float) -> Opportunities:
    """A link that changes its rate every 300 ms, and at times stands."""
    rng = np.random.default_rng([seed, 3])
    pieces = []
    for start in np.arange(0.0, seconds * 1e3, 300.0):
        rate = mbps * rng.choice([0.0, 0.2, 1.0, 3.0])
        count = rng.poisson(rate * 25)  # of 12,000 bits in 300 ms
        pieces.append(np.sort(np.floor(start + rng.uniform(0, 300, count))))
    times = np.concatenate(pieces)
    return Opportunities(np.append(times[(times > 0) & (times < seconds * 1e3)], seconds * 1e3))


def drawn_table(seed: int, seconds: float, mbps: float) -> Table:
    """A link as a table, with losses and a round trip that changes."""
    rng = np.random.default_rng([seed, 4])
    start = np.arange(0.0, seconds * 1e3, 500.0)
    rates = mbps * 1e6 * rng.choice([0.05, 0.5, 1.0, 2.0], len(start))
    return Table(start, rates, rng.uniform(5, 90, len(start)), rng.uniform(0, 0.2, len(start)))


def tried(scenario: Scenario) -> tuple[int, int]:
    """Most hits and, with these, fewest by the cloud: all subsets, and uploads in all orders.

    Built from the simulation's own parts: `done_ms` of the link, message after message.
    """
    trace, draws, n = scenario.trace, scenario.draws(), scenario.frames
    due = [scenario.captured_ms(i) + scenario.deadline_ms + TOLERANCE_MS for i in range(n)]
    best = (0, 0)
    for routes in itertools.product("-dc", repeat=n):
        free = -1e9
        device, cloud = [i for i in range(n) if routes[i] == "d"], routes.count("c")
        fits = True
        for i in device:
            captured = scenario.captured_ms(i)
            free = max(free, captured) + draws.local_ms[i] * scenario.load.slowdown(captured)
            fits = fits and free <= due[i]
        if not fits or (len(device) + cloud, -cloud) <= best:
            continue
        for order in itertools.permutations(i for i in range(n) if routes[i] == "c"):
            free = -1e9
            in_time = True
            for i in order:
                starts = max(free, scenario.captured_ms(i) + float(draws.encode_ms[i]))
                left = trace.up.done_ms(float(draws.delta_bytes[i]), starts)
                free = left + 1e-6
                now = left + trace.way_ms(left)
                now += float(draws.cloud_ms[i]) * scenario.gateway_load.slowdown(now)
                now = trace.down.done_ms(scenario.stages.result_bytes, now)
                in_time = in_time and now + trace.way_ms(now) <= due[i]
            if in_time:
                best = (len(device) + cloud, -cloud)
                break
    return best


@pytest.mark.parametrize("seed", range(12))
def test_the_optimum_is_that_of_trying_all(scenario: Make, seed: int) -> None:
    # Opportunities at odd distances share no millisecond: then nothing at all is relaxed.
    rng = np.random.default_rng(seed)
    up = Opportunities(np.cumsum(rng.exponential(rng.choice([4.0, 9.0, 16.0]), 400)))
    world = scenario(up, stages=SLOW, rate_hz=10.0, duration_s=0.6, deadline_ms=200.0, seed=seed)
    found = offline_optimum(world)
    assert (found.hits, -found.cloud) == tried(world)


@pytest.mark.parametrize("seed", range(6))
def test_the_optimum_is_a_bound_on_links_whose_messages_share_milliseconds_or_get_lost(
    scenario: Make, seed: int
) -> None:
    for up in (drawn_link(seed, 3.0, 3.0), drawn_table(seed, 3.0, 3.0)):
        world = scenario(up, stages=SLOW, rate_hz=10.0, duration_s=0.5, seed=seed)
        assert offline_optimum(world).hits >= tried(world)[0]


def test_frames_share_the_link(scenario: Make) -> None:
    # 9 packets a frame, 8 opportunities a frame: alone each is in time; one in nine is too many.
    stages = StageTimes(1e4, 1.0, 1.0, 13_000.0, 13_000.0, spread=0.0, size_spread=0.0)
    up = Opportunities(np.arange(12.5, 60e3, 12.5))
    world = scenario(up, stages=stages, rate_hz=10.0, deadline_ms=245.0)
    assert offline_optimum(world).hit_rate == pytest.approx(0.88, abs=0.02)


def test_a_price_of_cloud_frames_gives_up_those_that_are_not_worth_it(scenario: Make) -> None:
    up = drawn_link(5, 20.0, 1.0)
    world = scenario(up, stages=replace(STAGES, local_ms=120.0), rate_hz=12.0)
    free, dear = offline_optimum(world), offline_optimum(world, 0.7)
    assert 0 < dear.cloud < free.cloud
    assert dear.hits < free.hits
    assert free.hits - 0.7 * free.cloud <= dear.hits - 0.7 * dear.cloud
    assert offline_optimum(world, 1.0).cloud == 0


def test_only_what_no_other_state_beats_is_kept() -> None:
    states = [
        (2.0, 5.0, 5.0, 0, 2),
        (2.0, 6.0, 5.0, 0, 2),  # later on the device
        (2.0, 4.0, 9.0, 0, 2),
        (1.0, 5.0, 6.0, 0, 1),  # worth less, and nowhere better
        (1.0, 1.0, 9.5, 0, 1),
        (2.0, 5.0, 5.0, 1, 1),  # the same again
    ]
    assert sorted(unbeaten(states)) == sorted([states[0], states[2], states[4]])


def test_a_stream_without_frames_has_an_optimum(scenario: Make) -> None:
    assert offline_optimum(scenario(duration_s=0.0)) == Optimum(0, 0, 0)
    assert Optimum(0, 0, 0).hit_rate == 1.0


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # it only makes scenarios
)
@given(
    seed=st.integers(0, 10_000),
    mbps=st.sampled_from([0.3, 1.0, 3.0, 8.0]),
    rate_hz=st.sampled_from([8.0, 12.5, 25.0]),
    deadline_ms=st.sampled_from([90.0, 150.0, 400.0]),
    local_ms=st.sampled_from([20.0, 90.0, 200.0]),
    spread=st.sampled_from([0.0, 0.1, 1.0]),
    table=st.booleans(),
    split=st.booleans(),
    policy=st.sampled_from(CHOICES),
)
def test_no_policy_exceeds_the_optimum_in_any_scenario(
    scenario: Make,
    seed: int,
    mbps: float,
    rate_hz: float,
    deadline_ms: float,
    local_ms: float,
    spread: float,
    table: bool,
    split: bool,
    policy: str,
) -> None:
    stages = replace(STAGES, local_ms=local_ms, spread=spread)
    if split:
        stages = replace(stages, head_ms=8.0, tail_ms=20.0, feature_bytes=4000.0)
    link = drawn_table if table else drawn_link
    world = scenario(
        link(seed, 12.0, mbps),
        stages=stages,
        rate_hz=rate_hz,
        deadline_ms=deadline_ms,
        duration_s=12.0,
        load=LoadTrace.bursts(12.0, seed),
        gateway_load=LoadTrace.bursts(12.0, seed + 1),
        seed=seed,
    )
    base = SchedulingConfig(deadline_ms=deadline_ms, local_in_flight=1, split=split)
    run = World(world, config_for(policy, base)).run()
    hits = sum(age <= deadline_ms for age in run.ages_ms)
    assert hits <= offline_optimum(world).hits
