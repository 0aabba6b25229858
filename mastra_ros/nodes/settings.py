"""Sets live parameters of the nodes beside the bridge, as the gateway asks."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from rclpy.client import Client
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.parameter_client import AsyncParameterClient

from ..bridge.outcomes import SettingOutcomes
from ..bridge.settings import RemoteSettings
from ..redaction import shown


class SettingsForwarder:
    """Keeps what was asked for until the node that it concerns can be reached.

    What is unknown, not live, of another type or out of range is refused here; each node checks
    the values again. Whatever the gateway sends, its thread and this node's timer go on.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._lock = threading.Lock()
        self._outcomes = SettingOutcomes()
        self._settings = RemoteSettings(self._outcomes.refused)
        self._clients: dict[str, AsyncParameterClient] = {}

    @property
    def refused(self) -> int:
        """Settings of the gateway that were not taken, since start."""
        return self._settings.refused

    def told(self) -> dict[str, Any]:
        """What became of what was asked for, for the status."""
        with self._lock:
            return self._outcomes.told()

    def take(self, values: Mapping[str, Any]) -> None:
        """The gateway wants these, by `stage.parameter`; from any thread."""
        with self._lock:
            news = self._settings.take(values, time.monotonic_ns())
        for line in news:
            self._node.get_logger().warning(line)

    def forward(self) -> None:
        """Set what can be set now; to be called now and then in the executor's thread."""
        with self._lock:
            stages = self._settings.waiting(time.monotonic_ns())
        for stage in stages:
            client = self._clients.get(stage)
            if client is None:
                client = self._clients[stage] = AsyncParameterClient(self._node, stage)
            if not client.services_are_ready():
                continue
            with self._lock:
                values = self._settings.pop(stage, time.monotonic_ns())
            parameters = [
                Parameter(name, value=list(value) if isinstance(value, tuple) else value)
                for name, value in values.items()
            ]
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
        response = done.result()
        results = [] if response is None else response.results
        for (name, value), result in zip(values.items(), results, strict=False):
            with self._lock:
                if result.successful:
                    self._outcomes.taken(f"{stage}.{name}", value)
                else:
                    self._outcomes.refused(f"{stage}.{name}", result.reason)
                kind = f"{stage}.{name} {result.successful}"
                told = not self._settings.is_news(kind, time.monotonic_ns())
            if told:
                continue
            if result.successful:
                self._node.get_logger().info(
                    f"{stage}.{name} is {shown(value)}, as the gateway asks"
                )
            else:
                self._node.get_logger().warning(
                    f"{stage}.{name} = {shown(value)}, as the gateway asks, "
                    f"is refused: {result.reason}"
                )
