"""The scheduling node: hears of frames, load, link and answers -> `decision`, `result`."""

from __future__ import annotations

import dataclasses
import math
import time
from typing import Any

from std_msgs.msg import Float32

from ..config import SchedulingConfig
from ..msg import (
    Decision,
    FrameKey,
    InferenceResult,
    LinkState,
    LoadState,
    PrivacyState,
    ScheduleState,
)
from ..scheduling.arbiter.actions import Action, Dispatch, Publish, PublishLate, Superseded
from ..scheduling.estimates.load import LoadSampler
from ..scheduling.scheduler import Scheduler
from ..scheduling.summary import Summariser
from . import convert
from .frames import STREAM
from .lifecycle import LASTING, LATEST, RELIABLE, Health, StageNode, settings_text
from .process import run

TICK_S = 0.005
MEET_STEP_S = 0.05
MEET_MIN_S = 2.0
MEET_MAX_S = 5.0
"""How long a scheduler in a process of its own waits for listeners. Its writers find them at once,
but a listener may take a second more to hear a new writer; a result would be lost till then."""
SUMMARY_S = 1.0
"""What was done is told so often."""
STAMP_TRUSTED_NS = 10_000_000_000
"""A stamp further from now than this is recorded, and says nothing of the frame's age."""


class SchedulingNode(StageNode):
    """Asks the scheduler what to do with each frame, and does it."""

    stage = "scheduling"
    config: SchedulingConfig

    def __init__(self, **node_options: Any) -> None:
        self.scheduler: Scheduler | None = None
        self._frame_id = ""
        super().__init__(**node_options)

    def set_up(self) -> None:
        self.scheduler = Scheduler(self.config)
        self._sampler = LoadSampler(self.config.load_interval_ms)
        self._decisions = self.advertise(Decision, "decision", LASTING)
        self._results = self.advertise(InferenceResult, "result", LASTING)
        self._late_results = self.advertise(InferenceResult, "late_result", RELIABLE)
        self._load = self.advertise(LoadState, "load", RELIABLE)
        self._schedule = self.advertise(ScheduleState, "schedule", RELIABLE)
        self._loaded = LoadState(temperature_c=math.nan, clock=math.nan)
        self._summariser = Summariser()
        self._superseded = 0

    def start(self) -> None:
        self.get_logger().info(f"policy {self.config.policy}: {settings_text(self.config)}")
        self._began_s = time.monotonic()
        self._joined = False
        if self.bus is not None:
            self._join()
        else:
            self.every(MEET_STEP_S, self._meet)

    def _meet(self) -> None:
        """Begin once all those that are there hear us: a result said before would be lost."""
        if self._joined:
            return
        waited_s = time.monotonic() - self._began_s
        met = all(
            publisher.get_subscription_count() >= self.count_subscribers(publisher.topic_name)
            for publisher in (self._decisions, self._results)
        )
        if (met and waited_s >= MEET_MIN_S) or waited_s >= MEET_MAX_S:
            self._join()

    def _join(self) -> None:
        self._joined = True
        self.listen(FrameKey, "entered", self._on_frame, RELIABLE, watch=True)
        self.listen(FrameKey, "answered", self._on_answered, RELIABLE)
        self.listen(InferenceResult, "local_result", self._on_local_result, RELIABLE)
        self.listen(InferenceResult, "cloud_result", self._on_cloud_result, RELIABLE)
        self.listen(LinkState, "link", self._on_link, RELIABLE)
        self.listen(PrivacyState, "privacy", self._on_gate, LATEST)
        self.listen(Float32, "next_bytes", self._on_size, RELIABLE)
        self.every(self.config.load_interval_ms / 1e3, self._sample_load)
        self.every(TICK_S, self._tick)
        self.every(SUMMARY_S, self._summarise)

    def reconfigured(self) -> None:
        if self.scheduler is not None:
            self.scheduler.configure(self.config)

    def health(self) -> Health:
        if self.scheduler is None:
            return "ok", "inactive", {}
        counters = dataclasses.asdict(self.scheduler.counters)
        counters["by_origin"] = {o.value: n for o, n in counters["by_origin"].items()}
        values = {"route": self.scheduler.route.value, **counters, **self._estimates()}
        return "ok", "running", values

    def _estimates(self) -> dict[str, object]:
        """What the scheduler knows, for people."""
        assert self.scheduler is not None
        now_ns = time.monotonic_ns()
        load, link = self.scheduler.load_at(now_ns), self.scheduler.link(now_ns)
        refining = self.scheduler.escalation
        return {
            "cpu": f"{load.sample.cpu:.2f} ± {load.cpu_deviation:.2f}",
            "memory_headroom": f"{load.memory_headroom:.2f}",
            "throttled": load.throttled,
            "rtt_ms": f"{link.sample.rtt_ms:.1f} ± {link.rtt_deviation_ms:.1f}",
            "jitter_ms": f"{link.jitter_ms:.1f}",
            "silence_ms": f"{link.silence_ms:.0f}",
            "escalate_threshold": f"{refining.threshold:.2f}",
            "escalated_share": f"{refining.share:.2f}",
            "escalated_agreement": f"{refining.agreement:.2f}",
            "escalations_withheld": refining.withheld,
        }

    def _on_frame(self, message: FrameKey) -> None:
        assert self.scheduler is not None
        self._frame_id = message.header.frame_id
        key = convert.frame_key_from_ros(message, STREAM)
        now_ns = time.monotonic_ns()
        age_ns = self.now_stamp_ns() - key.stamp_ns
        captured_ns = now_ns - age_ns if 0 <= age_ns < STAMP_TRUSTED_NS else now_ns
        self._carry_out(self.scheduler.on_frame(key, captured_ns, now_ns))

    def _on_answered(self, message: FrameKey) -> None:
        assert self.scheduler is not None
        key = convert.frame_key_from_ros(message, STREAM)
        self._carry_out(self.scheduler.on_answered(key, time.monotonic_ns()))

    def _on_local_result(self, message: InferenceResult) -> None:
        assert self.scheduler is not None
        result = convert.result_from_ros(message, STREAM)
        self._carry_out(self.scheduler.on_local_result(result, time.monotonic_ns()))

    def _on_cloud_result(self, message: InferenceResult) -> None:
        assert self.scheduler is not None
        result = convert.result_from_ros(message, STREAM)
        self._carry_out(self.scheduler.on_cloud_result(result, time.monotonic_ns()))

    def _on_link(self, message: LinkState) -> None:
        assert self.scheduler is not None
        now_ns = time.monotonic_ns()
        link = convert.link_from_ros(message, now_ns)
        self._carry_out(
            self.scheduler.on_link(
                link.sample,
                now_ns,
                gateway=bool(link.gateway),
                uploaded_bytes=link.uploaded_bytes,
            )
        )

    def _on_size(self, message: Float32) -> None:
        assert self.scheduler is not None
        self.scheduler.on_encoder(message.data)

    def _on_gate(self, message: PrivacyState) -> None:
        assert self.scheduler is not None
        state = convert.privacy_from_ros(message)
        self._carry_out(self.scheduler.on_gate(state, time.monotonic_ns()))

    def _sample_load(self) -> None:
        assert self.scheduler is not None
        sample = self._sampler.sample(
            time.monotonic_ns(), self.scheduler.inference_ms, self.scheduler.local_queue
        )
        if sample is not None:
            smoothed = self.scheduler.on_load(sample)
            throttled = self.scheduler.load_at(sample.at_ns).throttled
            self._loaded = convert.load_to_ros(smoothed, self.now_stamp_ns(), throttled=throttled)
            self._load.publish(self._loaded)

    def _summarise(self) -> None:
        assert self.scheduler is not None
        before, self._superseded = self._superseded, self.scheduler.counters.superseded
        self._schedule.publish(
            convert.schedule_to_ros(
                *(self._summariser.take(), self.scheduler.route, self._superseded - before),
                *(self._loaded, self.now_stamp_ns(), time.monotonic_ns()),
            )
        )

    def _tick(self) -> None:
        assert self.scheduler is not None
        now_ns = time.monotonic_ns()
        deadline_ns = self.scheduler.next_deadline_ns()
        if deadline_ns is not None and deadline_ns <= now_ns:
            self._carry_out(self.scheduler.tick(now_ns))

    def _carry_out(self, actions: list[Action]) -> None:
        assert self.scheduler is not None
        switches = self.scheduler.take_switches()
        self._summariser.switched(switches)
        for switch in switches:
            took = "" if math.isnan(switch.latency_ms) else f", {switch.latency_ms:.0f} ms"
            self.get_logger().info(
                f"route {switch.from_route.value} -> {switch.to_route.value}: {switch.reason}{took}"
            )
        now_ns = time.monotonic_ns()
        for action in actions:
            if isinstance(action, Dispatch):
                left_ms = (action.deadline_ns - now_ns) / 1e6 if action.deadline_ns else 0.0
                self._decisions.publish(
                    convert.decision_to_ros(
                        convert.header_to_ros(action.key, self._frame_id),
                        action.route,
                        action.reason,
                        deadline_ms=max(0.0, left_ms),
                        hard=action.hard,
                        archive=action.archive,
                        frame_id=action.key.id,
                    )
                )
            elif isinstance(action, Superseded):
                self._decisions.publish(convert.superseded_to_ros(action.key, self._frame_id))
            elif isinstance(action, Publish):
                self._summariser.published(action.result)
                self._results.publish(convert.result_to_ros(action.result, self._frame_id))
            elif isinstance(action, PublishLate):
                self._late_results.publish(convert.result_to_ros(action.result, self._frame_id))


def main() -> int:
    """Entry point of the executable `scheduling`."""
    return run(SchedulingNode)
