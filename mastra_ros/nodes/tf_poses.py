"""Poses out of tf2 -> `PoseStamped`, as if they came on a topic.

tf2 is part of a ROS that is installed whole (`apt install ros-$ROS_DISTRO-tf2-ros-py`); there is
no wheel of it. So it is imported when it is asked for, and by nobody else.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from geometry_msgs.msg import PoseStamped

from ..errors import DependencyError

POLL_S = 0.005
"""A tracker tells 20 to 120 poses a second; of two that come within this time the newer counts."""


def tf2_module() -> Any:
    """The package tf2_ros. DependencyError where it is not installed."""
    try:
        return importlib.import_module("tf2_ros")
    except ImportError as error:
        raise DependencyError(
            "ultrasound.probe_frame: poses by tf2 need ROS's own tf2_ros, which is not installed: "
            "apt install ros-$ROS_DISTRO-tf2-ros-py; or leave probe_frame empty and publish `pose`"
        ) from error


class TfPoses:
    """Where a probe is in a reference, each time that tf2 has learnt something newer.

    `poll` is called often and gives each new pose to `take`. problem: why there is none yet.
    """

    def __init__(
        self, node: Any, reference: str, probe: str, take: Callable[[PoseStamped], None]
    ) -> None:
        self._tf2 = tf2_module()
        self._frames = (reference, probe)
        self._take = take
        self._last_ns: int | None = None
        self.problem = ""
        self._buffer = self._tf2.Buffer()
        self._listener = self._tf2.TransformListener(self._buffer, node, spin_thread=False)

    def poll(self) -> None:
        """Give what is new."""
        reference, probe = self._frames
        try:
            newest = self._buffer.get_latest_common_time(reference, probe)
            if newest.nanoseconds == self._last_ns:
                return
            told = self._buffer.lookup_transform(reference, probe, newest)
        except self._tf2.TransformException as error:
            text = " ".join(str(error).split())
            self.problem = f"tf2: expected a way from {probe} to {reference}: {text:.200}"
            return
        if newest.nanoseconds == 0:
            self.problem = f"tf2: from {probe} to {reference} all is static, so nothing is tracked"
            return
        self._last_ns, self.problem = newest.nanoseconds, ""
        message = PoseStamped(header=told.header)
        moved, turned = told.transform.translation, told.transform.rotation
        message.pose.position.x, message.pose.position.y = moved.x, moved.y
        message.pose.position.z = moved.z
        message.pose.orientation = turned
        self._take(message)

    def close(self) -> None:
        """Stop listening."""
        self._listener.unregister()
