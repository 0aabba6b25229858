"""Images between nodes: by reference inside one process, as sensor_msgs/Image outside."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

from ..types import Frame
from . import convert

if TYPE_CHECKING:
    from .lifecycle import StageNode

PUBLISHED = QoSProfile(
    depth=1, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.RELIABLE
)
HEARD = QoSProfile(
    depth=1, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.BEST_EFFORT
)
STREAM = "main"
"""A namespace holds one camera, so inside it all keys share this; the bridge names its stream."""

FrameCallback = Callable[[Frame], None]


class FrameBus:
    """Hands frames to the nodes of this process by reference, keyed by the full topic name.

    Callbacks run in the publisher's thread and must be short.
    """

    def __init__(self) -> None:
        self._callbacks: dict[str, list[FrameCallback]] = {}
        self._lock = threading.Lock()

    def subscribe(self, topic: str, callback: FrameCallback) -> None:
        with self._lock:
            self._callbacks.setdefault(topic, []).append(callback)

    def unsubscribe(self, topic: str, callback: FrameCallback) -> None:
        with self._lock:
            callbacks = self._callbacks.get(topic, [])
            if callback in callbacks:
                callbacks.remove(callback)

    def listened(self, topic: str) -> bool:
        return bool(self._callbacks.get(topic))

    def publish(self, topic: str, frame: Frame) -> None:
        with self._lock:
            callbacks = list(self._callbacks.get(topic, ()))
        for callback in callbacks:
            callback(frame)


class FramePublisher:
    """Publishes frames on an image topic; serialises only when somebody outside listens."""

    def __init__(self, node: StageNode, topic: str) -> None:
        self._bus = node.bus
        self._topic = node.resolve_topic_name(topic)
        self._publisher = node.advertise(Image, topic, PUBLISHED)

    @property
    def wanted(self) -> bool:
        """Whether anybody listens, inside or outside."""
        inside = self._bus is not None and self._bus.listened(self._topic)
        return inside or self._publisher.get_subscription_count() > 0

    def publish(self, frame: Frame) -> None:
        if self._bus is not None:
            self._bus.publish(self._topic, frame)
        if self._publisher.get_subscription_count() > 0:
            self._publisher.publish(convert.frame_to_ros(frame))


def listen_to_frames(node: StageNode, topic: str, callback: FrameCallback) -> None:
    """Call back with every frame on an image topic until the node is deactivated."""

    def deliver(frame: Frame) -> None:
        node.heard(topic)
        callback(frame)

    if node.bus is not None:
        full_name = node.resolve_topic_name(topic)
        node.bus.subscribe(full_name, deliver)
        bus = node.bus
        node.on_stop(lambda: bus.unsubscribe(full_name, deliver))
        node.heard(topic)
        return

    def received(message: Any) -> None:
        callback(convert.frame_from_ros(message, STREAM))

    node.listen(Image, topic, received, HEARD, watch=True)
