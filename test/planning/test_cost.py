"""Costs that can be checked by hand, and where the claim on them holds."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from mastra_ros.errors import ConfigError
from mastra_ros.planning import Models, Needs, Prices, load_prices, make_plan, sweep
from mastra_ros.share import share_file

MODELS = Models("tiny", local_accuracy=0.90, cloud_accuracy=0.95, local_ms=20.0, cloud_ms=50.0)
NEEDS = Needs(cameras=10, rate_hz=10.0, points_lost_max=1.0, uplink_mbit=1000.0)


@pytest.fixture
def prices() -> Prices:
    """As shipped, but for the sizes: what is tested here needs an uplink that costs something."""
    shipped = load_prices(share_file("config/prices.yaml"))
    return replace(shipped, stream_bytes_per_px=0.021, single_bytes_per_px=0.058)


def test_the_parts_of_the_cost_are_as_by_hand(prices: Prices) -> None:
    plan = make_plan(NEEDS, MODELS, prices)
    cloud = plan.all_cloud
    # 100 frames/s at 50 ms on cores of speed 1.5, four a server, at most 70 % busy: 84 each.
    assert cloud.servers == 2
    assert cloud.servers_cost == pytest.approx(2 * 0.20 * 730.5)
    assert cloud.devices_cost == pytest.approx(10 * 80 / 48)
    assert cloud.energy_cost == pytest.approx(10 * 0.005 * 730.5 * 0.25)
    gigabytes = 100 * 0.021 * 1920 * 1080 * 730.5 * 3600 / 1e9
    assert cloud.traffic_cost == pytest.approx(gigabytes * 0.10)
    assert plan.all_local.servers == 0
    assert plan.all_local.traffic_cost == 0
    assert math.isnan(plan.all_local.latency_ms)
    assert plan.all_local.device_load == pytest.approx(10 * 0.020 / 4)


def test_mastra_sends_just_what_the_accuracy_needs(prices: Prices) -> None:
    plan = make_plan(NEEDS, MODELS, prices)
    assert plan.mastra.sent_share == pytest.approx(0.8), "1 of 5 points may be lost"
    assert plan.points_lost <= 1.0
    loose = make_plan(replace(NEEDS, points_lost_max=5.0), MODELS, prices)
    assert loose.mastra.sent_share == 0.0
    assert loose.mastra.cost == pytest.approx(loose.all_local.cost)


def test_sending_the_unsure_frames_first_needs_fewer(prices: Prices) -> None:
    curve = ((0.0, 0.0), (0.2, 0.7), (0.4, 0.9), (1.0, 1.0))
    plan = make_plan(NEEDS, MODELS, replace(prices, escalation=curve))
    assert plan.mastra.sent_share == pytest.approx(0.3)
    assert plan.saving > make_plan(NEEDS, MODELS, prices).saving


def test_frames_beyond_the_device_are_sent(prices: Prices) -> None:
    slow = replace(MODELS, local_ms=1000.0, local_accuracy=0.95)
    plan = make_plan(NEEDS, slow, prices)
    assert plan.mastra.sent_share == pytest.approx(1 - 2.8 / 10)
    assert plan.mastra.device_load == pytest.approx(0.7)
    assert not plan.all_local.feasible
    assert "device would be busy to 250%" in plan.all_local.obstacles[0]


def test_a_narrow_uplink_makes_all_cloud_impossible(prices: Prices) -> None:
    plan = make_plan(replace(NEEDS, uplink_mbit=10.0, points_lost_max=10.0), MODELS, prices)
    assert not plan.all_cloud.feasible
    assert plan.mastra.feasible
    assert math.isnan(plan.saving)


def test_an_answer_after_the_deadline_is_an_obstacle(prices: Prices) -> None:
    plan = make_plan(replace(NEEDS, rtt_ms=400.0), MODELS, prices)
    assert any("of 150 ms" in obstacle for obstacle in plan.all_cloud.obstacles)


def test_an_outage_costs_all_cloud_more_accuracy_than_mastra(prices: Prices) -> None:
    often_out = replace(prices, link_availability=0.9)
    plan = make_plan(NEEDS, MODELS, often_out)
    assert plan.all_cloud.accuracy == pytest.approx(0.9 * 0.95)
    assert plan.mastra.accuracy == pytest.approx(0.9 * 0.94 + 0.1 * 0.90)


def test_a_sweep_tells_where_the_claim_holds_and_where_not(prices: Prices) -> None:
    near = replace(MODELS, local_accuracy=0.945)
    cells = list(sweep(replace(NEEDS, uplink_mbit=10_000.0), near, prices))
    assert len(cells) == 60
    assert any(cell.holds for cell in cells)
    for cell in cells:
        assert cell.holds == (cell.saving >= 0.30)
        assert cell.why_not == "" or math.isnan(cell.saving)
    small = [cell for cell in cells if (cell.cameras, cell.rate_hz) == (1, 1.0)]
    large = [cell for cell in cells if (cell.cameras, cell.rate_hz) == (256, 30.0)]
    assert all(cell.holds for cell in large), "no frame need be sent, and many servers fall away"
    assert len(small) == len(large) == 3


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"cameras": 0}, "cameras: expected 1"),
        ({"rate_hz": 0.0, "uplink_mbit": -1.0}, "rate_hz: .*uplink_mbit: "),
        ({"hours_per_day": 25.0}, "0.1 to 24, got 25"),
        ({"rtt_ms": math.nan}, "got nan"),
    ],
)
def test_needs_out_of_range_are_all_named(changes: dict[str, float], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        replace(NEEDS, **changes)


def test_models_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match="local_accuracy: expected 0 to 1, got 93"):
        replace(MODELS, local_accuracy=93.0)
