"""Poses of a probe <-> geometry_msgs/PoseStamped. ROS counts in m, the probe in mm.

A quaternion of zeros stands for a pose that the tracker itself says is invalid.
"""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import Point, PoseStamped
from numpy.typing import NDArray
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from ...errors import MessageError
from ...pipeline.ultrasound.calibration import Calibration
from ...pipeline.ultrasound.rigid import quaternion, rigid
from .image import stamp_from_ros, stamp_to_ros

NORM_OFF_MAX = 1e-2


def pose_to_ros(stamp_ns: int, matrix: NDArray[np.float64] | None, frame_id: str) -> PoseStamped:
    """A pose (4, 4) in mm -> PoseStamped."""
    message = PoseStamped(header=Header(stamp=stamp_to_ros(stamp_ns), frame_id=frame_id))
    turn = np.zeros(4) if matrix is None else quaternion(matrix)
    place = np.zeros(3) if matrix is None else matrix[:3, 3] / 1000.0
    position, orientation = message.pose.position, message.pose.orientation
    position.x, position.y, position.z = place.tolist()
    orientation.x, orientation.y, orientation.z, orientation.w = turn.tolist()
    return message


def pose_from_ros(message: PoseStamped) -> tuple[int, NDArray[np.float64] | None]:
    """PoseStamped -> stamp in ns and the pose in mm; None where it is invalid. MessageError."""
    stamp_ns = stamp_from_ros(message.header.stamp)
    position, orientation = message.pose.position, message.pose.orientation
    turn = np.array([orientation.x, orientation.y, orientation.z, orientation.w])
    place = np.array([position.x, position.y, position.z]) * 1000.0
    if not (np.isfinite(turn).all() and np.isfinite(place).all()):
        raise MessageError(f"pose: expected finite numbers, got {place.tolist()}, {turn.tolist()}")
    norm = float(np.linalg.norm(turn))
    if abs(norm - 1.0) > NORM_OFF_MAX:
        return stamp_ns, None
    return stamp_ns, rigid(place, turn / norm)


def probe_to_ros(
    message: PoseStamped, matrix: NDArray[np.float64], calibration: Calibration | None
) -> MarkerArray:
    """Where the picture lies now: the border of its region in the frame of the pose, in m."""
    marker = Marker(header=message.header, ns="probe", type=Marker.LINE_STRIP)
    marker.pose.orientation.w = 1.0
    marker.scale.x = 0.001
    marker.color = ColorRGBA(r=0.2, g=0.9, b=0.4, a=1.0)
    if calibration is not None and calibration.region is not None:
        x, y, wide, high = calibration.region.clip_px
        corners = [(x, y), (x + wide, y), (x + wide, y + high), (x, y + high), (x, y)]
        pixels = np.array([[a, b, 0.0, 1.0] for a, b in corners])
        points = pixels @ (matrix @ calibration.matrix).T / 1000.0
        marker.points = [Point(x=p[0], y=p[1], z=p[2]) for p in points.tolist()]
    else:
        marker.type, marker.scale.y, marker.scale.z = Marker.SPHERE, 0.01, 0.01
        marker.scale.x = 0.01
        marker.pose = message.pose
    return MarkerArray(markers=[marker])
