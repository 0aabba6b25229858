"""Pictures from a driver: plain, or compressed where it sends nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image

from ..config.pictures import HeardPictureConfig
from ..pictures import PictureReader
from ..types import Frame
from . import convert
from .frame_bus import FrameCallback

if TYPE_CHECKING:
    from .lifecycle import StageNode

HEARD = QoSProfile(
    depth=1, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.BEST_EFFORT
)
LOOK_PERIOD_S = 0.5
LOOKS = 2
"""So often in a row nobody must publish plain pictures: publishers are discovered one by one."""


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
    """Calls back with every frame on an image topic until the node is deactivated.

    `image_transport` of the node's config says which; auto looks who publishes, and changes over.
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
        self._stop: Callable[[], None] = lambda: None
        self._looks = 0
        self._hears_compressed = config.image_transport == "compressed"
        self._hear()
        if config.image_transport == "auto":
            node.every(LOOK_PERIOD_S, self._look)

    def _hear(self) -> None:
        self._stop()
        node = self._node
        if self._hears_compressed:
            self._stop = node.listen(
                CompressedImage, self._compressed, self._on_compressed, HEARD, watch=True
            )
        else:
            self._stop = node.listen(Image, self._topic, self._on_plain, HEARD, watch=True)

    def _look(self) -> None:
        plain = self._node.count_publishers(self._plain) > 0
        if self._hears_compressed:
            wrong = plain
        else:
            wrong = not plain and self._node.count_publishers(self._compressed) > 0
        self._looks = self._looks + 1 if wrong else 0
        if self._looks < LOOKS:
            return
        self._looks = 0
        self._hears_compressed = not self._hears_compressed
        chosen = self._compressed if self._hears_compressed else self._plain
        other = self._plain if self._hears_compressed else self._compressed
        why = f"nobody publishes {other}" if self._hears_compressed else "it is published now"
        self._node.get_logger().info(f"taking pictures from {chosen}: {why}")
        self._hear()

    def _on_plain(self, message: Any) -> None:
        self._take(convert.frame_from_ros(message, self._stream, self._reader))

    def _on_compressed(self, message: Any) -> None:
        self._take(convert.compressed_from_ros(message, self._stream, self._reader))

    def _take(self, frame: Frame) -> None:
        self._node.doubt(self._topic, self._reader.doubt)
        self._callback(frame)
