"""The scheduling node: policies and thresholds change while frames flow."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rclpy.parameter import Parameter

from mastra_ros.msg import Decision, InferenceResult, LoadState
from mastra_ros.msg import FrameKey as FrameKeyMsg
from mastra_ros.nodes import convert
from mastra_ros.nodes.lifecycle import RELIABLE
from mastra_ros.nodes.scheduling import SchedulingNode
from mastra_ros.scheduling.estimates.load import LoadSampler
from mastra_ros.scheduling.fake import FakeLoadSource
from mastra_ros.types import Detections, FrameKey, LinkSample, Result, Route


class Stream:
    """Frames, answers and a good link around a scheduling node."""

    def __init__(self, ros: Any, **parameters: Any) -> None:
        overrides = [Parameter(name, value=value) for name, value in parameters.items()]
        self.scheduling = ros.add(SchedulingNode(parameter_overrides=overrides, **ros.options))
        assert self.scheduling.autostart()
        self.around = ros.node("around")
        self.decisions: list[Decision] = []
        self.loads: list[LoadState] = []
        make = self.around.create_publisher
        self.frames = make(FrameKeyMsg, "entered", RELIABLE)
        self.local = make(InferenceResult, "local_result", RELIABLE)
        self.cloud = make(InferenceResult, "cloud_result", RELIABLE)
        self.around.create_subscription(Decision, "decision", self._answer, RELIABLE)
        self.around.create_subscription(LoadState, "load", self.loads.append, RELIABLE)

    def _answer(self, decision: Decision) -> None:
        self.decisions.append(decision)
        key = convert.key_from_ros(decision.header, "main", decision.id)
        result = Result(key, Route(decision.route), Detections.empty(), inference_ms=5.0)
        away = self.local if decision.route == "local" else self.cloud
        away.publish(convert.result_to_ros(result, "lens"))

    def beat(self) -> None:
        """A heartbeat was answered."""
        now_ns = time.monotonic_ns()
        sample = LinkSample(now_ns, True, 10.0, 1.0, last_heard_ns=now_ns)
        status = convert.LinkStatus(sample, gateway="wss://here")
        self.scheduling._on_link(convert.link_to_ros(status, time.time_ns()))

    def frame(self) -> int:
        """A frame has entered, on a link that is well; its stamp in ns."""
        self.beat()
        stamp_ns = time.time_ns()
        key = FrameKey("main", stamp_ns, f"test-{stamp_ns}")
        self.frames.publish(convert.frame_key_to_ros(key, "lens"))
        return stamp_ns

    def first_decision(self, stamp_ns: int) -> Decision | None:
        """The first one for this frame: a hedge or a fallback may bring a second."""
        for decision in list(self.decisions):
            if convert.key_from_ros(decision.header, "main").stamp_ns == stamp_ns:
                return decision
        return None


def test_a_changed_policy_or_threshold_counts_from_the_next_frame(
    ros: Any, wait_until: Callable[..., None]
) -> None:
    # What a slow machine does to answers is not asked here: it would bar the link, or hedge.
    patient = {"deadline_ms": 60_000.0, "link_silence_ms": 600_000.0}
    stream = Stream(ros, policy="fixed", route="local", dwell_ms=0.0, **patient)
    node = stream.scheduling
    # An idle machine may read a load of 0.0, and nothing is above a threshold of 0.0 then.
    node._sampler = LoadSampler(node.config.load_interval_ms, FakeLoadSource(cpu_share=0.5))
    last: list[Decision] = []

    def next_route() -> str:
        stamp_ns = stream.frame()
        wait_until(lambda: stream.first_decision(stamp_ns) is not None, "a decision")
        decision = stream.first_decision(stamp_ns)
        assert decision is not None
        last[:] = [decision]
        return str(decision.route)

    wait_until(lambda: bool(stream.loads) and stream.loads[-1].cpu > 0.4, "the load told")
    wait_until(lambda: stream.frames.get_subscription_count() > 0, "a listener")
    wait_until(lambda: node._decisions.get_subscription_count() > 0, "a listener")
    for _ in range(4):
        stream.beat()
    assert next_route() == "local"
    assert node.set_parameters([Parameter("route", value="cloud")])[0].successful
    assert next_route() == "cloud"
    for policy in ("dta", "dta_full", "adaptive", "latency"):
        assert node.set_parameters([Parameter("policy", value=policy)])[0].successful
        assert next_route() in ("local", "cloud")
        assert policy in last[0].reason
    changes = [Parameter("policy", value="dta"), Parameter("load_high", value=0.0)]
    assert all(result.successful for result in node.set_parameters(changes))
    assert next_route() == "cloud"


def test_a_bad_value_is_refused_with_its_range(ros: Any) -> None:
    node = Stream(ros).scheduling
    for name, value, says in (
        ("load_high", 1.5, "0.0 - 1.0"),
        ("deadline_ms", 1.0, "5.0"),
        ("policy", "oracle", "dta, dta_full, adaptive, latency, fixed"),
    ):
        refused = node.set_parameters([Parameter(name, value=value)])[0]
        assert not refused.successful
        assert name in refused.reason
        if name == "policy":
            assert says in refused.reason
    assert node.config.policy == "dta"


def test_estimates_stand_in_the_diagnostics(ros: Any, wait_until: Callable[..., None]) -> None:
    stream = Stream(ros)
    wait_until(lambda: len(stream.loads) >= 2, "two loads")
    assert 0 <= stream.loads[-1].process_cpu <= 1
    level, _, values = stream.scheduling.health()
    assert level == "ok"
    assert {"route", "rtt_ms", "jitter_ms", "memory_headroom", "throttled", "hedged"} <= set(values)
