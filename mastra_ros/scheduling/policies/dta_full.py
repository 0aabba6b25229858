"""The published rule with memory, loss and a band around the delay."""

from __future__ import annotations

import math

from mastra_ros.config import SchedulingConfig
from mastra_ros.types import Decision, LinkSample, LoadSample, Route


class DtaFullPolicy:
    """`dta` with what its authors name as inputs but leave out of the rule.

    Source: the dynamic threshold algorithm (see `dta_rule`), with memory and packet loss as
    further inputs, as in the design of Mastra; the band is ordinary hysteresis (Schmitt, 1938).

    - To the cloud: load above `load_high` or memory above `memory_high`, and the link good: delay
      below `delay_ms` less the band, loss at most half of `loss_limit`.
    - To the device: load below `load_low` and memory not above `memory_high`, and the link bad:
      delay above `delay_ms` plus the band, or loss above `loss_limit`.
    - Else stay. Unknown values take no side: a NaN neither fills memory nor spoils a link.

    Assumptions: load and delay say enough of how long an answer takes; a link that is bad by one
    measure is bad. Like `dta` it never leaves a good link only because the device became idle.
    Dwell and forced fallback come from `Hysteresis`, as for every policy.
    """

    def __init__(self, config: SchedulingConfig) -> None:
        self._config = config
        self._route = Route(config.start_route)

    def configure(self, config: SchedulingConfig) -> None:
        """Take over the thresholds; the current route stays."""
        self._config = config

    def decide(self, load: LoadSample, link: LinkSample, now_ns: int) -> Decision:  # noqa: ARG002
        """Apply the rule to the newest samples."""
        config = self._config
        delay_ms = link.rtt_ms if link.connected else math.nan
        full = load.memory > config.memory_high
        good = (
            delay_ms < config.delay_ms * (1 - config.delay_band)
            and link.loss <= config.loss_limit / 2
        )
        bad = link.connected and (
            delay_ms > config.delay_ms * (1 + config.delay_band) or link.loss > config.loss_limit
        )
        chosen = self._route
        if (load.cpu > config.load_high or full) and good:
            chosen = Route.CLOUD
        elif load.cpu < config.load_low and not full and bad:
            chosen = Route.LOCAL
        verb = "stay" if chosen is self._route else "change"
        self._route = chosen
        return Decision(
            chosen,
            f"dta_full: {verb} at load {load.cpu:.2f}, memory {load.memory:.2f}, "
            f"delay {delay_ms:.0f} ms, loss {link.loss:.2f}",
        )
