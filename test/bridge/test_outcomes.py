"""What became of the gateway's wishes is told, whatever it asks, in little room."""

from __future__ import annotations

from mastra_ros.bridge.outcomes import REFUSED_MAX, SettingOutcomes
from mastra_ros.bridge.settings import RemoteSettings
from mastra_ros.statuses import pack_status, unpack_status


def test_what_is_in_force_and_what_was_refused_is_told() -> None:
    outcomes = SettingOutcomes()
    assert outcomes.told() == {}
    outcomes.taken("scheduling.load_high", 0.7)
    outcomes.refused("scheduling.load_high", "too high")
    told = {"settings": outcomes.told()}
    assert told["settings"]["values"] == {"scheduling.load_high": 0.7}
    assert told["settings"]["refused"] == {"scheduling.load_high": "too high"}
    assert unpack_status(pack_status(told)) == told
    outcomes.taken("scheduling.load_high", 0.6)
    assert outcomes.told()["refused"] == {}


def test_a_gateway_that_asks_for_nonsense_fills_no_status() -> None:
    outcomes = SettingOutcomes()
    settings = RemoteSettings(outcomes.refused)
    for number in range(1000):
        settings.take({f"x.{number}\u0416{'y' * 500}": "z" * 5000}, number)
    told = outcomes.told()
    assert len(told["refused"]) == REFUSED_MAX
    assert list(told["refused"])[-1].startswith("x.999\\u0416")
    assert len(pack_status({"settings": told})) < 4096
    outcomes.taken("x.list", [1, 2])
    assert "x.list" not in outcomes.told()["values"]
