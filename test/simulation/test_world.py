"""The simulated stream behaves as the parts that it stands for, and is the same each time."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mastra_ros.config import SchedulingConfig
from mastra_ros.planning.prices import load_prices
from mastra_ros.share import share_file
from mastra_ros.simulation.compare import CHOICES, compare, config_for, to_csv, to_text
from mastra_ros.simulation.load_trace import LoadTrace
from mastra_ros.simulation.optimum import offline_optimum
from mastra_ros.simulation.trace import Opportunities, Table, open_trace
from mastra_ros.simulation.world import Run, Scenario, World
from mastra_ros.types import Route

Make = Callable[..., Scenario]
BASE = SchedulingConfig()
CLOUD, LOCAL = config_for("always-cloud", BASE), config_for("always-local", BASE)


def outage(*gaps_s: tuple[float, float], end_s: float = 60.0) -> Opportunities:
    """10 Mbit/s, but nothing in the gaps."""
    times = np.arange(1.2, end_s * 1e3, 1.2)
    for start, stop in gaps_s:
        times = times[(times < start * 1e3) | (times >= stop * 1e3)]
    return Opportunities(times)


def check(run: Run) -> None:
    counters = run.counters
    assert counters.frames == len(run.ages_ms) == counters.results + counters.superseded
    assert counters.failed == 0
    assert all(a.to_route is b.from_route for a, b in itertools.pairwise(run.switches))


def test_on_a_good_link_the_cloud_answers_as_soon_as_its_parts_allow(scenario: Make) -> None:
    run = World(scenario(), CLOUD).run()
    check(run)
    late = run.ages_ms[20:]  # after the key frame and the first heartbeats
    # 5 ms encoding, 4 to 12 packets of 1.2 ms, 20 ms round trip, 30 ms model, and spread.
    assert np.median(late) == pytest.approx(61, abs=5)
    assert run.origins[20:].count(Route.CLOUD) == len(late)
    assert run.uploaded_bytes == pytest.approx(200 * 6000, rel=0.2)


def test_the_device_answers_one_after_the_other_and_slower_under_load(scenario: Make) -> None:
    calm = World(scenario(), LOCAL).run()
    assert np.median(calm.ages_ms) == pytest.approx(60, abs=4)
    patient = replace(LOCAL, deadline_ms=1000.0)
    busy = World(scenario(load=LoadTrace(cpu=(0.5,))), patient).run()
    check(busy)
    assert busy.counters.superseded > 20
    assert busy.local_busy_ms == pytest.approx(20_000, rel=0.15)


def test_a_slow_device_leaves_out_frames_rather_than_be_late_with_most(scenario: Make) -> None:
    # 66 ms a frame every 60 ms: without that, most frames wait until they are late.
    slow = replace(scenario().stages, local_ms=66.0)
    world = scenario(stages=slow, rate_hz=1000 / 60, deadline_ms=110.0)
    config = replace(LOCAL, deadline_ms=110.0, local_in_flight=1)
    run = World(world, config).run()
    check(run)
    hits = sum(age <= 110 for age in run.ages_ms)
    assert hits > 0.8 * world.frames
    assert hits > 0.95 * offline_optimum(world, cloud_price=1.0).hits  # of the device alone
    assert run.counters.superseded < 0.2 * world.frames


def test_an_outage_brings_all_frames_home_and_the_route_returns(scenario: Make) -> None:
    run = World(scenario(outage((8, 14))), CLOUD).run()
    check(run)
    during = [run.origins[i] for i in range(80, 125)]
    assert during.count(Route.LOCAL) == len(during)
    assert run.origins[-20:].count(Route.CLOUD) == 20
    assert max(a for a in run.ages_ms if math.isfinite(a)) < 400


@pytest.mark.parametrize("name", CHOICES)
def test_the_same_seed_gives_the_same_run_for_every_policy(scenario: Make, name: str) -> None:
    config = config_for(name, BASE)
    world = scenario(outage((6, 8)), load=LoadTrace.bursts(20, 1), duration_s=12.0)
    first, again = World(world, config).run(), World(world, config).run()
    check(first)
    assert first == again
    other = World(replace(world, seed=2), config).run()
    assert other.ages_ms != first.ages_ms


def test_a_link_that_flaps_each_second_for_5_minutes_switches_by_dwell_and_starves_nobody(
    scenario: Make,
) -> None:
    gaps = tuple((s + 0.6, s + 1.0) for s in range(1, 330))
    world = scenario(outage(*gaps, end_s=330.0), duration_s=300.0)
    for name in ("always-cloud", "latency", "adaptive"):
        run = World(world, replace(config_for(name, BASE), cloud_cost_ms=0.0)).run()
        check(run)
        returns = [s.at_ns for s in run.switches if s.to_route is Route.CLOUD]
        assert all(b - a >= BASE.dwell_ms * 1e6 for a, b in itertools.pairwise(returns))
        assert len(run.switches) <= 2 * 300
        assert run.origins.count(Route.LOCAL) > 0.1 * world.frames
        assert run.counters.superseded < 0.05 * world.frames
    # The cloud is tried again and again, at least once each hold and dwell.
    run = World(world, CLOUD).run()
    returns = [s.at_ns for s in run.switches if s.to_route is Route.CLOUD]
    longest_ms = max(b - a for a, b in itertools.pairwise(returns)) / 1e6
    assert longest_ms <= BASE.hold_max_ms + 3 * BASE.dwell_ms
    assert run.origins.count(Route.CLOUD) > 0.02 * world.frames


def test_split_frames_take_head_features_and_tail(scenario: Make) -> None:
    base = scenario()
    split = replace(base.stages, head_ms=10.0, tail_ms=10.0, feature_bytes=15_000.0)
    run = World(replace(base, stages=split), replace(CLOUD, route="split")).run()
    check(run)
    assert run.origins[20:].count(Route.SPLIT) > 170
    assert np.median(run.ages_ms[20:]) == pytest.approx(10 + 12 + 20 + 10, abs=6)


@pytest.mark.parametrize("mbps", [0.5, 1.5, 10.0])
def test_no_policy_exceeds_the_offline_optimum(scenario: Make, mbps: float) -> None:
    gap = 12.0 / mbps
    world = scenario(
        Opportunities(np.arange(gap, 60e3, gap)), load=LoadTrace.bursts(20, 2), rate_hz=15.0
    )
    optimum, rows = compare(world, BASE, CHOICES, load_prices(share_file("config/prices.yaml")))
    assert optimum == offline_optimum(world)
    assert [row.policy for row in rows] == list(CHOICES)
    for row in rows:
        assert row.regret >= -1e-9
        assert 0 <= row.accuracy_in_time <= row.accuracy + 1e-9
        assert row.energy_j > 0
        assert row.money > 0
    text = to_text(world, optimum, rows, "USD")
    assert all(name in text for name in CHOICES)
    assert len(to_csv(world, rows).splitlines()) == len(CHOICES) + 1


def test_accuracy_counts_frames_not_answered_as_missed(scenario: Make) -> None:
    prices = load_prices(share_file("config/prices.yaml"))
    _, (cloud,) = compare(scenario(), BASE, ["always-cloud"], prices)
    assert cloud.accuracy == pytest.approx(0.96, abs=0.003)
    slow = scenario(deadline_ms=30.0)
    _, (none,) = compare(slow, BASE, ["always-local"], prices)
    assert none.hit_rate == 0
    assert none.accuracy == pytest.approx(0.92)
    assert none.accuracy_in_time == 0


def test_money_is_traffic_energy_and_the_gateway(scenario: Make) -> None:
    prices = load_prices(share_file("config/prices.yaml"))
    _, (local, cloud) = compare(scenario(), BASE, ["always-local", "always-cloud"], prices)
    assert cloud.money > 10 * local.money
    dear = replace(prices, uplink_per_gb=prices.uplink_per_gb + 1.0)
    _, (dearer,) = compare(scenario(), BASE, ["always-cloud"], dear)
    added = dearer.money - cloud.money
    assert added == pytest.approx(cloud.uploaded_mb / 1e3 * 1e6 / cloud.frames, rel=1e-3)


def test_a_table_of_a_link_can_be_simulated_too(scenario: Make) -> None:
    columns = ([0.0, 8000.0], [5e6, 2e5], [20.0, 200.0], [0.0, 0.05])
    link = Table(*(np.array(column) for column in columns))
    run = World(scenario(link), CLOUD).run()
    check(run)
    assert run.origins[20:60].count(Route.CLOUD) == 40
    assert run.origins[-50:].count(Route.CLOUD) < 10


def test_on_a_real_trace_nothing_is_left_out(scenario: Make, traces: Path) -> None:
    real = open_trace(traces / "TMobile-UMTS-driving", 40.0)
    world = replace(scenario(duration_s=30.0), trace=real)
    check(World(world, config_for("latency", BASE)).run())
