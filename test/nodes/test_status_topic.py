"""What the bridge tells of the device: of the scheduler, its own nodes, packets and gate."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import msgpack
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from mastra_ros import msg
from mastra_ros.bridge import BridgeStatus
from mastra_ros.bridge.outcomes import SettingOutcomes
from mastra_ros.config import SchedulingConfig, UltrasoundConfig, build, changed_live
from mastra_ros.errors import MessageError
from mastra_ros.nodes import convert
from mastra_ros.nodes.scheduling import SchedulingNode
from mastra_ros.nodes.telling import DeviceTeller
from mastra_ros.scheduling.arbiter.switches import Switch
from mastra_ros.scheduling.summary import Summariser
from mastra_ros.statuses import STATUS_BYTES_MAX, pack_status, unpack_status
from mastra_ros.types import Detections, FrameKey, GateState, LinkSample, Result, Route

LINK = BridgeStatus(LinkSample(0, True, rtt_ms=4.5, loss=0.1), session=1, uploaded_bytes=99)


def result(origin: Route, age_ms: float, **more: Any) -> Result:
    return Result(
        FrameKey("main", 1),
        origin,
        Detections.empty(),
        "board",
        "1.2",
        age_ms=age_ms,
        inference_ms=3.0,
        **more,
    )


def summary() -> Any:
    summariser = Summariser()
    for age in range(100):
        summariser.published(result(Route.LOCAL if age % 4 else Route.CLOUD, float(age)))
    summariser.published(result(Route.LOCAL, 1.0, final=False))
    for at in range(12):
        switch = Switch(at * 10**9, Route.CLOUD, Route.LOCAL, f"reason {at}", 0, True, math.nan)
        summariser.switched([switch])
    return summariser


def schedule(load: msg.LoadState | None = None) -> msg.ScheduleState:
    load = load or msg.LoadState(cpu=0.5, memory=0.25, temperature_c=math.nan, clock=math.nan)
    return convert.schedule_to_ros(summary().take(), Route.LOCAL, 3, load, 100 * 10**9, 12 * 10**9)


def diagnostics(name: str, level: bytes = b"\x00", **values: str) -> DiagnosticArray:
    pairs = [KeyValue(key=key, value=value) for key, value in values.items()]
    status = DiagnosticStatus(level=level, name=name, message="running", values=pairs)
    return DiagnosticArray(status=[status])


def test_a_summary_tells_shares_ages_and_the_latest_switches_and_begins_anew() -> None:
    summariser = summary()
    told = summariser.take()
    assert told.results == {Route.LOCAL: 75, Route.CLOUD: 25}
    assert told.age_ms == (50.0, 98.0)
    assert [switch.reason for switch in told.switches] == [f"reason {n}" for n in range(4, 12)]
    assert told.switches_left_out == 4
    empty = summariser.take()
    assert (empty.results, empty.age_ms, empty.switches) == ({}, None, ())
    assert empty.models == {Route.LOCAL: "board 1.2", Route.CLOUD: "board 1.2"}


def test_a_status_tells_the_device_as_it_is_and_nothing_of_others() -> None:
    teller = DeviceTeller("/line")
    teller.on_schedule(schedule())
    teller.on_diagnostics(diagnostics("line/inference", bundle="boards", bundle_digest="ab" * 32))
    teller.on_diagnostics(diagnostics("line/camera", b"\x01"))
    teller.on_diagnostics(diagnostics("other/camera", b"\x02"))
    for _ in range(3):
        teller.on_packet(msg.Packet(coding="webp 80", payload=[0] * 100))
    teller.on_gate(GateState("whole", sent=5, masked=2))
    told = unpack_status(pack_status(teller.take(LINK, 7)))
    assert told["route"]["now"] == "local"
    assert told["route"]["shares"] == {"local": 0.75, "split": 0.0, "cloud": 0.25}
    assert told["route"]["age_ms"] == {"p50": 50.0, "p99": 98.0}
    assert told["route"]["switches"][-1] == {
        "at_ns": 99 * 10**9,
        "from": "cloud",
        "to": "local",
        "reason": "reason 11",
    }
    assert told["models"]["local"] == {
        "name": "board",
        "version": "1.2",
        "inference_ms": {"p50": 3.0, "p99": 3.0},
    }
    assert told["load"]["cpu"] == 0.5
    assert "temperature_c" not in told["load"], "no sensor"
    assert "goodput_bps" not in told["link"], "not known"
    assert told["codecs"] == {"webp 80": {"packets": 3, "bytes": 300}}
    assert told["bundle"] == {"name": "boards", "digest": "ab" * 32}
    assert told["privacy"]["masked"] == 2
    assert {name: node["level"] for name, node in told["diagnostics"].items()} == {
        "inference": "ok",
        "camera": "warn",
    }
    again = teller.take(LINK, 8)
    assert "route" not in again, "a scheduler that says nothing is not made up"
    assert again["codecs"] == {}


def test_what_the_application_counts_is_told_and_what_is_no_count_is_not() -> None:
    teller = DeviceTeller("")
    values = {"pass": "28", "reject": "1", "camera": "trusted", "privacy_sent": "7", "age": "1.5"}
    teller.on_diagnostics(diagnostics("pipeline", **values, odd="\u0663", long="9" * 30))
    teller.on_diagnostics(diagnostics("scheduling", load="3"))
    assert unpack_status(pack_status(teller.take(LINK, 7)))["pipeline"] == {"pass": 28, "reject": 1}
    assert "pipeline" not in DeviceTeller("").take(LINK, 7)


def test_live_parameters_that_are_not_as_declared_are_told_and_nothing_else_is() -> None:
    teller = DeviceTeller("")
    config = build(SchedulingConfig, {"policy": "fixed", "route": "cloud", "load_high": 0.8})
    values = convert.live_to_values(changed_live("scheduling", config))
    assert set(values) == {"live policy", "live route"} - _as_declared("policy", "fixed")
    odd = {"live route": "[", "live no_such": "1", "live load_high": "7", "live rate": "9" * 999}
    teller.on_diagnostics(diagnostics("scheduling", **values))
    teller.on_diagnostics(diagnostics("camera", **odd))
    told = unpack_status(pack_status(teller.take(LINK, 7, {"values": {}, "refused": {}})))
    assert told["settings"]["live"]["scheduling.route"] == "cloud"
    assert all(name.startswith("scheduling.") for name in told["settings"]["live"])
    teller.on_diagnostics(diagnostics("scheduling"))
    assert teller.take(LINK, 8)["settings"] == {"live": {}}, "all is as declared again"


def test_lists_among_the_live_parameters_are_told_too_apart_from_the_others() -> None:
    teller, shown = DeviceTeller(""), ["1,2 3,4", "5,6 7,8"]
    config = build(UltrasoundConfig, {"calipers": shown})
    values = convert.live_to_values(changed_live("ultrasound", config))
    assert values["live calipers"] == '["1,2 3,4", "5,6 7,8"]'
    teller.on_diagnostics(diagnostics("ultrasound", **values))
    outcomes = SettingOutcomes()
    outcomes.taken("ultrasound.calipers", tuple(shown))
    told = unpack_status(pack_status(teller.take(LINK, 7, outcomes.told())))["settings"]
    assert told["live_lists"] == told["lists"] == {"ultrasound.calipers": shown}
    assert "ultrasound.calipers" not in told["live"], "an older gateway takes scalars alone there"
    assert "ultrasound.calipers" not in told["values"]
    long = {"live calipers": json.dumps(["1,2 3,4"] * 64), "live mode": '["b"]'}
    teller.on_diagnostics(diagnostics("ultrasound", **long))
    assert teller.take(LINK, 8)["settings"]["live_lists"]["ultrasound.calipers"] == ["1,2 3,4"] * 64
    teller.on_diagnostics(diagnostics("ultrasound", **{"live calipers": json.dumps(["x" * 1024])}))
    assert teller.take(LINK, 9)["settings"] == {"live": {}}, "a status has no room for it"


def _as_declared(name: str, value: object) -> set[str]:
    return {f"live {name}"} if getattr(SchedulingConfig(), name) == value else set()


def test_a_status_stays_small_whatever_the_nodes_say() -> None:
    teller = DeviceTeller("")
    for number in range(40):
        array = diagnostics(f"node{number}", b"\x02")
        array.status[0].message = "\u4e2d" * 5000
        teller.on_diagnostics(array)
        teller.on_packet(msg.Packet(coding=f"codec {number} " + "x" * 500))
    busy = schedule()
    for switch in busy.switches:
        switch.reason = "\u4e2d" * 5000
    teller.on_schedule(busy)
    told = teller.take(LINK, 7)
    assert len(msgpack.packb(told)) <= STATUS_BYTES_MAX
    assert len(told["route"]["switches"]) == 8


def test_a_node_that_says_nothing_any_more_is_told_as_stale() -> None:
    teller = DeviceTeller("")
    teller.on_diagnostics(diagnostics("camera"))
    levels = [teller.take(LINK, n)["diagnostics"]["camera"]["level"] for n in range(10)]
    assert levels[0] == "ok"
    assert levels[-1] == "stale"


def test_routes_that_there_are_not_are_refused() -> None:
    with pytest.raises(MessageError, match="expected a route"):
        DeviceTeller("").on_schedule(msg.ScheduleState(route="moon"))


def test_the_scheduler_tells_what_it_did_each_second(
    ros: Any, wait_until: Callable[..., None]
) -> None:
    node = ros.add(SchedulingNode(**ros.options))
    assert node.autostart()
    heard: list[Any] = []
    ros.node("listener").create_subscription(msg.ScheduleState, "schedule", heard.append, 10)
    wait_until(lambda: heard, "a summary")
    assert convert.schedule_sections(heard[0])["route"]["now"] == "local"
    node.close()
