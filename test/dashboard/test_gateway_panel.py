"""The gateway above its devices: what it does not tell is absent, and the cost is reckoned."""

from __future__ import annotations

import pytest

pytest.importorskip("nicegui", reason="the extra dashboard is not installed")
from mastra_ros.dashboard.gateway_panel import Prices, gateway_facts

PRICES = Prices(server_hour=0.5, received_gb=0.1, currency="USD", as_of="2026-11-22")
STATE = {
    "up_s": 7200.0,
    "received_bytes": 5_000_000_000,
    "frames_per_s": 12.0,
    "sessions": 0,
    "cpu": 0.5,
    "memory_bytes": 2**30,
    "models": [
        {"name": "boards", "queued": 3, "batch_mean": 2.5, "run_ms": 7.0, "batches": {"1": 4}}
    ],
    "gpus": [{"name": "H100", "load": 0.0, "power_w": 71.5}, {}],
}


def test_what_is_told_is_shown_and_a_missing_sensor_is_absent() -> None:
    told = dict(gateway_facts(STATE, PRICES, "en"))
    assert told["Model boards"] == "batch 2.5, 3 waiting, 7.0 ms, 4×1"
    assert told["GPU H100"] == "0 %, 71.5 W"
    assert told["Sessions"] == "0"
    assert "GPU 1" not in told
    assert "Inferences" not in told


def test_the_cost_is_that_of_the_hours_and_of_what_came() -> None:
    assert PRICES.cost(STATE) == pytest.approx(2 * 0.5 + 5 * 0.1)
    assert dict(gateway_facts(STATE, PRICES, "en"))["Cost since its start"].startswith("1.50 USD")
    assert Prices().cost(STATE) is None
    assert PRICES.cost({}) is None


@pytest.mark.parametrize("state", [{}, {"models": 3, "gpus": [7, None]}, {"cpu": "much"}])
def test_a_gateway_that_tells_something_else_breaks_nothing(state: dict[str, object]) -> None:
    assert gateway_facts(state, PRICES, "en") == []
