"""Watches a pipeline from outside its nodes and tells what it hears as plain values."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from ...errors import FrameError, MessageError
from ...msg import FrameKey as FrameKeyMsg
from ...msg import InferenceResult, InspectionVerdict, LinkState, PrivacyState
from ...protocol.checks import printable
from ...redaction import redact
from ...types import FrameKey, GateState, LinkSample, Result
from .. import convert
from ..frames import STREAM

EVERYTHING = QoSProfile(depth=1000, reliability=ReliabilityPolicy.RELIABLE)
EARLIER_TOO = QoSProfile(
    depth=1000,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)


class Observer(Protocol):
    """Told of everything, in the executor's thread."""

    def on_frame(self, key: FrameKey) -> None: ...

    def on_result(self, result: Result) -> None: ...

    def on_late_result(self, result: Result) -> None: ...

    def on_link(self, link: LinkSample, counters: dict[str, int]) -> None: ...

    def on_verdict(self, board: int, verdict: str, defects: int) -> None: ...

    def on_gate(self, state: GateState) -> None: ...


COUNTERS = (
    "uploaded_bytes",
    "spooled_total",
    "spooled",
    "delivered_late",
    "dropped",
    "session",
)


class MonitorNode(Node):
    """Subscribes to what a pipeline says about itself; what makes no sense is skipped."""

    def __init__(self, observer: Observer, **node_options: Any) -> None:
        super().__init__("monitor", **node_options)
        self._observer = observer
        told: set[str] = set()

        def hear(
            message: type,
            topic: str,
            callback: Callable[[Any], None],
            qos: QoSProfile = EVERYTHING,
        ) -> None:
            def heard(received: Any) -> None:
                try:
                    callback(received)
                except (FrameError, MessageError) as error:  # anybody may publish anything
                    if topic not in told:
                        told.add(topic)
                        self.get_logger().error(printable(redact(f"{topic}: {error}")))

            self.create_subscription(message, topic, heard, qos)

        hear(
            FrameKeyMsg,
            "entered",
            lambda m: observer.on_frame(convert.frame_key_from_ros(m, STREAM)),
        )
        hear(
            InferenceResult,
            "result",
            lambda m: observer.on_result(convert.result_from_ros(m, STREAM)),
        )
        hear(
            InferenceResult,
            "late_result",
            lambda m: observer.on_late_result(convert.result_from_ros(m, STREAM)),
        )
        hear(LinkState, "link", self._on_link)
        hear(
            PrivacyState,
            "privacy",
            lambda m: observer.on_gate(convert.privacy_from_ros(m)),
            EARLIER_TOO,
        )
        hear(
            InspectionVerdict,
            "verdict",
            lambda m: observer.on_verdict(m.board, m.verdict, len(m.defects)),
            EARLIER_TOO,
        )

    def _on_link(self, message: LinkState) -> None:
        sample = convert.link_from_ros(message, time.monotonic_ns()).sample
        self._observer.on_link(sample, {name: getattr(message, name) for name in COUNTERS})
