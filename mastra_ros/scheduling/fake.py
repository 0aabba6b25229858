"""Fakes of this stage's interfaces, for tests of it and of whoever uses it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mastra_ros.config import SchedulingConfig
from mastra_ros.types import Decision, LinkSample, LoadSample, Route


@dataclass
class FakePolicy:
    """Wants what `route` says at the moment."""

    route: Route = Route.LOCAL
    reason: str = "as told"
    spill: Route | None = None

    def decide(self, load: LoadSample, link: LinkSample, now_ns: int) -> Decision:  # noqa: ARG002
        """The route told."""
        return Decision(self.route, self.reason, self.spill)

    def configure(self, config: SchedulingConfig) -> None:
        """Nothing depends on parameters."""


@dataclass
class FakeLoadSource:
    """A machine whose load is what the fields say."""

    cpu_share: float | None = 0.0
    memory_share: float = 0.0
    hottest_c: float = math.nan
    process_share: float = math.nan
    clock_share: float = math.nan

    def cpu(self) -> float | None:
        """The CPU share told."""
        return self.cpu_share

    def memory(self) -> float:
        """The memory share told."""
        return self.memory_share

    def temperature_c(self) -> float:
        """The temperature told."""
        return self.hottest_c

    def process_cpu(self) -> float:
        """The CPU share of the process told."""
        return self.process_share

    def clock(self) -> float:
        """The share of the clock told."""
        return self.clock_share
