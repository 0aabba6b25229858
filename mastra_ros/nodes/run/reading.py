"""Messages of a recording as ROS has them, and published again."""

from __future__ import annotations

import importlib
import re
import time
from collections.abc import Callable
from typing import Any

from rclpy.context import Context
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.serialization import deserialize_message

from ..starting import start_ros
from .monitor import EVERYTHING

DISCOVERY_S = 0.5
"""Who listens has so long to be found, before the first message of a topic."""
ANNOUNCED_S = 4.0
"""And so long before the very first: DDS announces itself again after 3 s where nobody heard it."""
DELIVERY_S = 2.0
"""What was published has so long to be taken in by who listens, before the end."""
KIND = re.compile(r"([a-z][a-z0-9_]{0,63})/msg/([A-Z][A-Za-z0-9]{0,63})")


def message_type(kind: str) -> type | None:
    """The type of this name; None where it is not installed."""
    match = KIND.fullmatch(kind)
    if match is None:
        return None
    try:
        found = getattr(importlib.import_module(f"{match[1]}.msg"), match[2])
    except (AttributeError, ImportError):
        return None
    return found if hasattr(found, "get_fields_and_field_types") else None


def read_message(kind: str, data: bytes) -> Any:
    """A message; None where its type is not installed, or it is none."""
    found = message_type(kind)
    if found is None:
        return None
    try:
        return deserialize_message(data, found)
    except Exception:  # rclpy raises what the middleware raises
        return None


class Publishing:
    """A node that publishes below a namespace; a context manager."""

    def __init__(self, namespace: str) -> None:
        self.count = 0
        self._context = Context()
        start_ros(args=(), context=self._context, domain_id=None)
        self._node = Node("replay", context=self._context, use_global_arguments=False)
        self._namespace = namespace.rstrip("/")
        self._publishers: dict[str, Any] = {}
        self._wait_for(ANNOUNCED_S, lambda: len(self._node.get_node_names()) > 1)

    def publish(self, topic: str, kind: str, data: bytes) -> None:
        """Publish a message; one whose type is not installed is left out."""
        message = read_message(kind, data)
        if message is None:
            return
        name = f"{self._namespace}{topic}"
        if name not in self._publishers:
            made = self._node.create_publisher(type(message), name, EVERYTHING)
            self._wait_for(DISCOVERY_S, made.get_subscription_count)
            self._publishers[name] = made
        self._publishers[name].publish(message)
        self.count += 1

    @staticmethod
    def _wait_for(seconds: float, come: Callable[[], int]) -> None:
        until_s = time.monotonic() + seconds
        while not come() and time.monotonic() < until_s:
            time.sleep(0.01)

    def __enter__(self) -> Publishing:
        return self

    def __exit__(self, *_: object) -> None:
        for made in self._publishers.values():  # the last ones may be on their way yet
            made.wait_for_all_acked(Duration(seconds=DELIVERY_S))
        self._node.destroy_node()
        self._context.try_shutdown()
