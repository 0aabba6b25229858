"""The traffic node shows signals of a junction: by plans while they are good, else statically."""

from __future__ import annotations

import dataclasses
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from rclpy.parameter import Parameter

from mastra_ros import msg
from mastra_ros.nodes.lifecycle import LASTING, LATEST
from mastra_ros.nodes.traffic import TrafficNode
from mastra_ros.pipeline.traffic.junction.layout import Junction, Movement, Phase, Step
from mastra_ros.pipeline.traffic.junction.plan import KIND, SignalPlan

JUNCTION = Junction(
    "here",
    (Movement("n", "north", "a"), Movement("e", "east", "b")),
    (Phase("ns", ("n",)), Phase("ew", ("e",))),
    (Step("ns", 600.0), Step("ew", 10.0)),
    (("n", "e"),),
    (("n", "e"),),
    yellow_s=1.0,
    all_red_s=0.0,
    min_green_s=1.0,
)


class Signals:
    """The node with a junction, and what it says on `signal_plan`."""

    def __init__(self, ros: Any, folder: Path, wait_until: Callable[..., None]) -> None:
        path = folder / "junction.yaml"
        path.write_text(yaml.safe_dump(JUNCTION.to_body()))
        values = {"junction": str(path), "plates": "off"}
        overrides = [Parameter(name, value=value) for name, value in values.items()]
        self.node = ros.add(TrafficNode(parameter_overrides=overrides, **ros.options))
        around = ros.node("around")
        self.told: list[Any] = []
        self._wait = wait_until
        around.create_subscription(msg.SignalPlan, "signal_plan", self.told.append, LATEST)
        self._out = around.create_publisher(msg.Artefact, "artefact", LASTING)
        assert self.node.autostart(), self.node.problem
        wait_until(lambda: self._out.get_subscription_count() > 0, "the node")
        self.until(lambda one: not one.by_plan and one.phase == "ns", "the static plan")

    def give(self, data: bytes, name: str = "here") -> None:
        self._out.publish(msg.Artefact(kind=KIND, name=name, data=array("B", data)))

    def plan(self, **changes: Any) -> bytes:
        made = SignalPlan("here", "ew", 30.0, 1.0, "most wait there", 60000.0, time.time_ns())
        return dataclasses.replace(made, **changes).to_bytes()

    def until(self, shows: Callable[[Any], bool], what: str) -> None:
        self._wait(lambda: bool(self.told) and shows(self.told[-1]), what)


@pytest.fixture
def signals(ros: Any, tmp_path: Path, wait_until: Callable[..., None]) -> Signals:
    return Signals(ros, tmp_path, wait_until)


def test_a_plan_is_shown_and_when_it_is_stale_the_static_plan_at_once(signals: Signals) -> None:
    assert "no plan has come" in signals.told[-1].reason
    signals.give(signals.plan(valid_ms=6000.0))
    signals.until(lambda one: one.by_plan and one.phase == "ew" and one.green, "the plan")
    assert signals.told[-1].colours == "rG"
    signals.until(lambda one: not one.by_plan, "the static plan")
    assert "the plan rests on what was" in signals.told[-1].reason
    # Between the two nobody ever had green beside a conflicting one, and yellow came first.
    colours = [one.colours for one in signals.told]
    assert colours.index("yr") < colours.index("rG")
    assert not {"GG", "Gg", "gG", "gg"} & set(colours)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"phase": "all"}, "no phase 'all'"),
        ({"junction": "elsewhere"}, "it is for 'elsewhere'"),
        ({"stamp_ns": 1_000_000_000_000}, "rests on what was"),
        ({}, "expected JSON"),
    ],
)
def test_a_plan_that_is_no_good_leaves_the_static_plan_and_is_said(
    signals: Signals, changes: dict[str, Any], told: str
) -> None:
    signals.give(signals.plan(**changes) if changes else b"\xffno plan")
    signals.until(lambda one: told in one.reason, "the refusal")
    assert not signals.told[-1].by_plan
    assert {one.phase for one in signals.told} == {"ns"}


def test_all_red_lasts_while_somebody_stands_within_the_junction(
    signals: Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    stands = [True]
    monkeypatch.setattr(type(signals.node.device), "occupied", property(lambda _: stands[0]))
    signals.give(signals.plan())
    signals.until(lambda one: one.colours == "rr", "all red")
    assert not signals.told[-1].green
    stands[0] = False
    signals.until(lambda one: one.green and one.colours == "rG", "green")
