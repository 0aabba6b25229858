"""The gateway node: the server as a child process, started and stopped with the lifecycle."""

from __future__ import annotations

from typing import Any

from ..config import GatewayConfig
from ..gateway.embedded import EmbeddedGateway
from .lifecycle import Health, StageNode, settings_text
from .process import run

WATCH_S = 1.0


class GatewayNode(StageNode):
    """For `ros2 launch`; on a server without ROS the same is `mastra gateway`."""

    stage = "gateway"
    config: GatewayConfig

    def __init__(self, **node_options: Any) -> None:
        self._gateway: EmbeddedGateway | None = None
        super().__init__(**node_options)

    def start(self) -> None:
        self._gateway = EmbeddedGateway.from_config(self.config)
        self._gateway.start()
        self.every(WATCH_S, self._watch)
        self.get_logger().info(f"listening on {self._gateway.url}: {settings_text(self.config)}")

    def halt(self) -> None:
        if self._gateway is not None:
            self._gateway.stop()
            self._gateway = None

    def health(self) -> Health:
        if self._gateway is None:
            return "ok", "inactive", {}
        if not self._gateway.alive:
            return "error", "the server has died", {}
        return "ok", "serving", {"url": self._gateway.url}

    def _watch(self) -> None:
        if self._gateway is not None and not self._gateway.alive:
            self.get_logger().error("the server has died, starting it again")
            self._gateway.restart()


def main() -> int:
    """Entry point of the executable `gateway`."""
    return run(GatewayNode)
