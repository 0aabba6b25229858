"""The whole path over real DDS and TLS, while the link between bridge and gateway fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Start = Callable[..., Any]
LINE = ("--rate", "4", "--source", "synthetic:pcb?seed=3&boards_per_minute=60")
PATIENT = ("--set", "scheduling.deadline_ms=5000.0")  # a busy machine is no bad link


def test_on_a_good_link_every_frame_is_answered_where_it_was_sent(
    start: Start,
) -> None:
    report = start("--frames", "40", *LINE, *PATIENT).finish()
    assert report["frames"] == 40
    assert report["by_origin"].get("cloud", 0) > 0
    assert report["upload_bytes"] > 0


def test_without_a_gateway_the_device_does_everything_itself(start: Start) -> None:
    report = start("--frames", "30", "--gateway", "none", *LINE, *PATIENT).finish()
    assert report["by_origin"] == {"local": report["results"]}
    assert report["upload_bytes"] == 0
    assert report["spooled"] == 0


@pytest.mark.parametrize(
    "fault", ["down@3s..6s", "stall@3s..6s"], ids=["a link that is down", "a link that stalls"]
)
def test_an_outage_costs_no_result_and_its_frames_are_delivered_later(
    start: Start, fault: str
) -> None:
    report = start("--duration", "12", "--fault", fault, *LINE, *PATIENT).finish()
    assert report["by_origin"].get("local", 0) > 0
    assert report["by_origin"].get("cloud", 0) > 0
    assert any(s["from"] == "cloud" and s["to"] == "local" for s in report["switches"])
    assert any(s["from"] == "local" and s["to"] == "cloud" for s in report["switches"])
    assert report["spooled"] > 0
    assert report["delivered_late"] + report["dropped"] == report["spooled"]
    assert report["spooled_left"] == 0


def test_a_reset_connection_is_opened_again_and_costs_no_result(start: Start) -> None:
    report = start("--duration", "8", "--fault", "reset@4s", *LINE, *PATIENT).finish()
    assert report["by_origin"].get("cloud", 0) > 0
    assert any(s["from"] == "cloud" and s["to"] == "local" for s in report["switches"])


def test_a_slow_link_makes_the_frames_be_inferred_on_the_device_in_time(
    start: Start,
) -> None:
    report = start("--duration", "7", "--fault", "delay=1500ms@2s", *LINE, *PATIENT).finish()
    assert report["by_origin"].get("local", 0) > 0
