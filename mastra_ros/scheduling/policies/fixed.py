"""The policy that always wants the same route."""

from __future__ import annotations

from mastra_ros.config import SchedulingConfig
from mastra_ros.types import Decision, LinkSample, LoadSample, Route


class FixedPolicy:
    """Wants `route`, whatever load and link are."""

    def __init__(self, config: SchedulingConfig) -> None:
        self._route = Route(config.route)

    def configure(self, config: SchedulingConfig) -> None:
        """Take over a changed route."""
        self._route = Route(config.route)

    def decide(self, load: LoadSample, link: LinkSample, now_ns: int) -> Decision:  # noqa: ARG002
        """The route of the configuration."""
        return Decision(self._route, f"fixed: {self._route.value}")
