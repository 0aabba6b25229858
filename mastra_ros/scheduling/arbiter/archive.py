"""Which frames are kept for the gateway while there is no link."""

from __future__ import annotations

from mastra_ros.config import SchedulingConfig
from mastra_ros.scheduling.arbiter.actions import Dispatch, Event
from mastra_ros.scheduling.arbiter.frames import Counters, Pending
from mastra_ros.scheduling.arbiter.limiter import Limiter
from mastra_ros.scheduling.estimates.clock import to_ns
from mastra_ros.types import Route


class Archive:
    """Lets a frame go to the spool once each `archive_interval_ms`, hard ones apart."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._limiters = {False: Limiter(), True: Limiter()}
        self.open = True
        """Whether there is a gateway at all, so that frames are worth keeping for it."""

    def take(
        self, frame: Pending, now: int, config: SchedulingConfig, *, hard: bool
    ) -> list[Event]:
        """Encode this frame for the spool, if it is its turn and was not before."""
        if not self.open or frame.archived:
            return []
        if not self._limiters[hard].allows(now, to_ns(config.archive_interval_ms)):
            return []
        frame.archived = True
        self._counters.archived += 1
        reason = "unsure" if hard else "archived"
        return [Dispatch(frame.key, Route.CLOUD, reason, hard=hard, archive=True)]
