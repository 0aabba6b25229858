"""The published dynamic threshold algorithm."""

from __future__ import annotations

from mastra_ros.config import SchedulingConfig
from mastra_ros.types import Decision, LinkSample, LoadSample, Route


def dta_rule(
    load: float,
    delay_ms: float,
    current: Route,
    *,
    load_high: float = 0.8,
    load_low: float = 0.4,
    delay_limit_ms: float = 200.0,
) -> Route:
    """The rule, word for word.

    Load above `load_high` and delay below `delay_limit_ms`: cloud. Load below `load_low` and
    delay above `delay_limit_ms`: local. Else: stay. Both comparisons are strict, so a value on
    a threshold stays; so does NaN, which compares false.

    Args:
        load: load of the device, 0 to 1.
        delay_ms: delay of the link to the gateway.
        current: the route until now.
    """
    if load > load_high and delay_ms < delay_limit_ms:
        return Route.CLOUD
    if load < load_low and delay_ms > delay_limit_ms:
        return Route.LOCAL
    return current


class DtaPolicy:
    """`dta_rule` with a memory of the current route, which begins as `start_route`.

    Load is the smoothed CPU share of the machine, delay the smoothed round trip of heartbeats.
    The rule assumes that a delay is known: while the link is down there is none, and the policy
    stays. It leaves an idle device with a bad link local, and never leaves a good link only
    because the device became idle: that is what was published.
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
        delay_ms = link.rtt_ms if link.connected else float("nan")
        chosen = dta_rule(
            load.cpu,
            delay_ms,
            self._route,
            load_high=config.load_high,
            load_low=config.load_low,
            delay_limit_ms=config.delay_ms,
        )
        verb = "stay" if chosen is self._route else "change"
        self._route = chosen
        return Decision(chosen, f"dta: {verb} at load {load.cpu:.2f}, delay {delay_ms:.0f} ms")
