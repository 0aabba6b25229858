"""Pictures from a driver: plain, or compressed where it sends nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from builtin_interfaces.msg import Time
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image

from ..config.pictures import HeardPictureConfig
from ..pictures import PictureReader
from ..types import Frame
from . import convert
from .frame_bus import FrameCallback
from .naming import as_named, digest_of

if TYPE_CHECKING:
    from .lifecycle import StageNode

HEARD = QoSProfile(
    depth=1, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.BEST_EFFORT
)
LOOK_PERIOD_S = 0.5
PATIENCE_S = 1.0
"""Of plain pictures that never came; once they have, `silence_warning_s` counts."""


def compressed_topic(node: StageNode, topic: str) -> str:
    """Where the compressed pictures of an image topic are: behind it, wherever it is remapped to.

    As with image_transport; a remapping of the compressed topic itself counts more.
    """
    name = f"{topic}/compressed"
    own = str(node.resolve_topic_name(name))
    if own != node.resolve_topic_name(name, only_expand=True):
        return own
    return f"{node.resolve_topic_name(topic)}/compressed"


class TransportedFrames:
    """Calls back with every frame on an image topic until `stop`, or the node's deactivation.

    `image_transport` of the node's config says which. With auto it is the plain pictures; the
    compressed are taken while those do not come, since many drivers advertise what they never send.
    A frame that came as a message is known by its stamp and the digest of its picture.
    """

    def __init__(self, node: StageNode, topic: str, stream: str, callback: FrameCallback) -> None:
        config: HeardPictureConfig = node.config
        self._node = node
        self._stream = stream
        self._callback = callback
        self._topic = topic
        self._plain = node.resolve_topic_name(topic)
        self._compressed = compressed_topic(node, topic)
        self._reader = PictureReader(config)
        self._plain_ever = False
        self._plain_at = time.monotonic()  # when a plain picture came last
        self._gone_before = False  # nobody published plain pictures at the last look
        self._leave_compressed: Callable[[], None] | None = None
        self._newest_compressed: Time | None = None
        self._stopped = False
        if config.image_transport == "compressed":
            self._topic = self._compressed
            self._leave = node.listen(
                CompressedImage, self._compressed, self._on_compressed, HEARD, watch=True
            )
            return
        self._leave = node.listen(Image, topic, self._on_plain, HEARD, watch=True)
        if config.image_transport == "auto":
            node.every(LOOK_PERIOD_S, self._look)

    def stop(self) -> None:
        """Hear no more."""
        self._stopped = True
        self._leave()
        if self._leave_compressed is not None:
            self._leave_compressed()
            self._leave_compressed = None

    def _look(self) -> None:
        """Hear the compressed pictures too, when the plain ones do not come."""
        if self._stopped or self._leave_compressed is not None:
            return
        gone = self._node.count_publishers(self._plain) == 0
        patience_s = self._node.config.silence_warning_s if self._plain_ever else PATIENCE_S
        silent = time.monotonic() - self._plain_at > patience_s or (gone and self._gone_before)
        self._gone_before = gone  # a publisher may not have been discovered yet
        if silent and self._node.count_publishers(self._compressed) > 0:
            self._node.get_logger().info(
                f"taking pictures from {self._compressed}: "
                + (f"nobody publishes {self._plain}" if gone else f"{self._plain} is silent")
            )
            self._leave_compressed = self._node.listen(
                CompressedImage, self._compressed, self._on_compressed, HEARD
            )

    def _on_plain(self, message: Any) -> None:
        self._plain_ever, self._plain_at = True, time.monotonic()
        if self._leave_compressed is not None:
            self._leave_compressed()
            self._leave_compressed = None
            self._node.get_logger().info(f"taking pictures from {self._plain} again")
            if message.header.stamp == self._newest_compressed:
                return  # it has come compressed
        self._take(message, convert.frame_from_ros(message, self._stream, self._reader))

    def _on_compressed(self, message: Any) -> None:
        self._node.heard(self._topic)
        self._newest_compressed = message.header.stamp
        self._take(message, convert.compressed_from_ros(message, self._stream, self._reader))

    def _take(self, message: Image | CompressedImage, frame: Frame) -> None:
        self._node.doubt(self._topic, self._reader.doubt)
        self._callback(as_named(frame, frame.key._replace(id=digest_of(message))))
