"""Shows what has come back of a sweep: `volume`, `volume_markers`, `coverage`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from sensor_msgs.msg import Image, PointCloud2
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from ..errors import FrameError, VolumeError
from ..msg import Artefact
from ..pictures import decode_still_file, still_size
from ..pipeline.volume.cargo import CLOUD_BYTES_MAX, Cloud
from ..private_files import open_named
from ..protocol.checks import printable
from ..types import Frame, FrameKey
from . import convert
from .lifecycle import LATEST

if TYPE_CHECKING:
    from .lifecycle import StageNode

POINTS, COVERAGE = ".points.msgpack", ".coverage.png"
"""How the artefacts that are shown end."""
COVERAGE_PX_MAX = 2**24


class VolumeView:
    """Kept for those who look later. frame_id: of the reference, as ROS names it."""

    def __init__(self, node: StageNode, frame_id: str) -> None:
        self._node = node
        self._frame_id = frame_id
        self._points = node.advertise(PointCloud2, "volume", LATEST)
        self._meshes = node.advertise(MarkerArray, "volume_markers", LATEST)
        self._coverage = node.advertise(Image, "coverage", LATEST)
        self.shown = 0

    def take(self, message: Artefact) -> None:
        """Show an artefact, if it is one to be shown."""
        show = self._show_coverage if message.name.endswith(COVERAGE) else self._show_points
        if not message.name.endswith((POINTS, COVERAGE)) or message.size > CLOUD_BYTES_MAX:
            return
        try:
            data = bytes(message.data)
            if not data:
                with os.fdopen(open_named(Path(message.path), CLOUD_BYTES_MAX), "rb") as file:
                    data = file.read()
            show(message, data)
        except (OSError, VolumeError, FrameError) as error:
            self._node.get_logger().warning(printable(f"{message.name}: cannot be shown: {error}"))

    def _show_points(self, message: Artefact, data: bytes) -> None:
        cloud = Cloud.from_bytes(data)
        header = Header(stamp=message.header.stamp, frame_id=self._frame_id)
        self._points.publish(convert.points_to_ros(cloud.points, header))
        meshes = [(name, mesh.vertices, mesh.faces) for name, mesh in cloud.meshes]
        self._meshes.publish(convert.meshes_to_ros(meshes, cloud.note, header))
        self.shown += 1

    def _show_coverage(self, message: Artefact, data: bytes) -> None:
        width, height = still_size(data)
        if not 0 < width * height <= COVERAGE_PX_MAX:
            raise FrameError(f"expected at most {COVERAGE_PX_MAX} px, got {width}x{height}")
        picture = decode_still_file(data)
        if picture.dtype != np.uint8:
            raise FrameError(f"expected 8 bits, got {picture.dtype}")
        if picture.ndim == 2:
            picture = cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR)
        key = FrameKey("coverage", convert.stamp_from_ros(message.header.stamp))
        frame = Frame(key, picture, "bgr8", self._frame_id)
        self._coverage.publish(convert.frame_to_ros(frame))
