"""Shows the volume of a sweep that has come back: `volume`, `volume_markers`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from ..errors import VolumeError
from ..msg import Artefact
from ..pipeline.volume.cargo import CLOUD_BYTES_MAX, Cloud
from ..private_files import open_named
from ..protocol.checks import printable
from . import convert
from .lifecycle import LATEST

if TYPE_CHECKING:
    from .lifecycle import StageNode

POINTS = "points.msgpack"
"""How the artefact that is drawn ends."""


class VolumeView:
    """Kept for those who look later. frame_id: of the reference, as ROS names it."""

    def __init__(self, node: StageNode, frame_id: str) -> None:
        self._node = node
        self._frame_id = frame_id
        self._points = node.advertise(PointCloud2, "volume", LATEST)
        self._meshes = node.advertise(MarkerArray, "volume_markers", LATEST)
        self.shown = 0

    def take(self, message: Artefact) -> None:
        """Show an artefact, if it is one to be shown."""
        if not message.name.endswith(POINTS) or message.size > CLOUD_BYTES_MAX:
            return
        try:
            data = bytes(message.data)
            if not data:
                with os.fdopen(open_named(Path(message.path), CLOUD_BYTES_MAX), "rb") as file:
                    data = file.read()
            cloud = Cloud.from_bytes(data)
        except (OSError, VolumeError) as error:
            self._node.get_logger().warning(printable(f"{message.name}: cannot be shown: {error}"))
            return
        header = Header(stamp=message.header.stamp, frame_id=self._frame_id)
        self._points.publish(convert.points_to_ros(cloud.points, header))
        meshes = [(name, mesh.vertices, mesh.faces) for name, mesh in cloud.meshes]
        self._meshes.publish(convert.meshes_to_ros(meshes, cloud.note, header))
        self.shown += 1
