"""Images between nodes: by reference inside one process, as sensor_msgs/Image outside."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

from ..types import Frame
from . import convert
from .frame_bus import FrameCallback
from .transport import TransportedFrames

if TYPE_CHECKING:
    from .lifecycle import StageNode

PUBLISHED = QoSProfile(
    depth=1, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.RELIABLE
)
STREAM = "main"
"""A namespace holds one camera, so inside it all keys share this; the bridge names its stream."""


class FramePublisher:
    """Publishes frames on an image topic; serialises only when somebody outside listens."""

    def __init__(self, node: StageNode, topic: str) -> None:
        self._bus = node.bus
        self._topic = node.resolve_topic_name(topic)
        self._publisher = node.advertise(Image, topic, PUBLISHED)
        if node.bus is not None:
            node.bus.advertise(self._topic)
            node.on_clean_up(partial(node.bus.withdraw, self._topic))

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
    """Call back with every frame on an image topic until the node is deactivated.

    By reference while a node of this process publishes there, else as messages: such a frame is
    known by its stamp and the digest of its picture.
    """

    def deliver(frame: Frame) -> None:
        node.heard(topic)
        try:
            callback(frame)
        except Exception as error:  # this is the camera's thread, and other nodes' frame too
            node.fault(topic, error)

    bus = node.bus
    if bus is None:
        TransportedFrames(node, topic, STREAM, callback)
        return

    full_name = node.resolve_topic_name(topic)
    outside: list[TransportedFrames] = []

    def choose() -> None:
        if not bus.advertised(full_name):
            if not outside:
                outside.append(TransportedFrames(node, topic, STREAM, callback))
        elif outside:
            outside.pop().stop()

    bus.subscribe(full_name, deliver)
    bus.watch(choose)
    node.on_stop(partial(bus.unsubscribe, full_name, deliver))
    node.on_stop(partial(bus.unwatch, choose))
    node.heard(topic)
    choose()
