"""Sets live parameters of the nodes beside the bridge, as the gateway asks."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import partial
from typing import Any

from rclpy.client import Client
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.parameter_client import AsyncParameterClient

from ..config import REMOTE_STAGES


class SettingsForwarder:
    """Keeps what was asked for until the node that it concerns can be reached.

    Each node checks the values itself: what is unknown, out of range or not live it refuses, and
    that is logged.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._lock = threading.Lock()
        self._pending: dict[str, dict[str, Any]] = {}
        self._clients: dict[str, AsyncParameterClient] = {}

    def take(self, values: Mapping[str, Any]) -> None:
        """The gateway wants these, by `stage.parameter`; from any thread."""
        for name, value in values.items():
            stage, _, parameter = name.partition(".")
            if stage not in REMOTE_STAGES or not parameter:
                self._node.get_logger().warning(f"setting {name!r} of the gateway is refused")
                continue
            with self._lock:
                self._pending.setdefault(stage, {})[parameter] = value

    def forward(self) -> None:
        """Set what can be set now; to be called now and then in the executor's thread."""
        with self._lock:
            waiting = list(self._pending)
        for stage in waiting:
            client = self._clients.get(stage)
            if client is None:
                client = self._clients[stage] = AsyncParameterClient(self._node, stage)
            if not client.services_are_ready():
                continue
            with self._lock:
                values = self._pending.pop(stage)
            parameters = [Parameter(name, value=value) for name, value in values.items()]
            done = client.set_parameters(parameters)
            done.add_done_callback(partial(self._tell, stage, values))

    def close(self) -> None:
        """Free the clients."""
        for client in self._clients.values():
            for inner in vars(client).values():  # rclpy has nothing that destroys them together
                if isinstance(inner, Client):
                    self._node.destroy_client(inner)
        self._clients.clear()

    def _tell(self, stage: str, values: Mapping[str, Any], done: Any) -> None:
        for (name, value), result in zip(values.items(), done.result().results, strict=True):
            if result.successful:
                self._node.get_logger().info(f"{stage}.{name} is {value!r}, as the gateway asks")
            else:
                self._node.get_logger().warning(
                    f"{stage}.{name} = {value!r}, as the gateway asks, is refused: {result.reason}"
                )
