"""Thresholds that move with the regret of recent choices."""

from __future__ import annotations

import math

from mastra_ros.config import SchedulingConfig
from mastra_ros.scheduling.estimates.forecast import Forecast, late_share
from mastra_ros.scheduling.estimates.outcome import Outcome
from mastra_ros.types import Decision, LinkSample, LoadSample, Route

REACH = 1.0
"""The bias, -REACH to REACH, moves the thresholds by all they may move."""
LOAD_REACH = 0.35
"""The load thresholds move at most this much either way."""
FORGETTING = 0.002
"""Share of the bias given up at each frame: old regret is not kept for ever."""
COLD_CPU = (0.02, 0.99)


class AdaptivePolicy:
    """`dta` whose thresholds follow what the choices cost, seen from afterwards.

    Source: online gradient descent on regret (Zinkevich, Online Convex Programming, 2003), with
    one number, the *bias*: above 0 the cloud is entered sooner and left later, below 0 the other
    way round.

    After each frame its loss (1 if nothing came within the deadline, plus `cloud_cost` if it was
    sent away) is compared with the loss that the other route would have had by the forecast (a
    probability of being late, plus cost). The difference is the regret of that choice; the bias
    moves `adapt_rate` times the regret towards the other route and forgets a little, so that it
    returns to the configured thresholds when nothing speaks against them.

    With bias b, load thresholds are lowered by b * `LOAD_REACH`, and the delay is multiplied by
    4^b. The rule itself is `dta`'s with one addition: at the limit (b = -1 or 1) the route is the
    one that the bias favours, since no load or delay could show more. A lossy link (above
    `loss_limit`) counts as one of infinite delay.

    Assumptions: losses change slowly against the frame rate, and the forecast of the route not
    taken is right in the mean. For a route that was never taken it is not: its forecast comes from
    the link and the measured load alone.
    """

    def __init__(self, config: SchedulingConfig) -> None:
        self._config = config
        self._route = Route(config.start_route)
        self._forecast = Forecast()
        self._load = LoadSample(0, math.nan, math.nan)
        self._link = LinkSample(0, connected=False)
        self.bias = 0.0

    def configure(self, config: SchedulingConfig) -> None:
        """Take over the parameters; the route and what was learnt stay."""
        self._config = config

    def observe(self, outcome: Outcome) -> None:
        """Move the bias by the regret of this choice."""
        self._forecast.observe(outcome)
        if not outcome.counts:
            return
        config = self._config
        away = outcome.route is not Route.LOCAL
        loss = 1.0 - outcome.in_time
        if away:
            # A fallback in time saved the frame, but not by the merit of the route.
            loss = max(loss, 1.0 - outcome.answered) + config.cloud_cost
            other = self._late_share(Route.LOCAL, outcome.at_ns)
        else:
            other = self._late_share(Route.CLOUD, outcome.at_ns) + config.cloud_cost
        if not math.isfinite(other):
            return
        regret = loss - other
        towards_cloud = -regret if away else regret
        moved = self.bias * (1 - FORGETTING) + config.adapt_rate * towards_cloud
        self.bias = min(max(moved, -REACH), REACH)

    def decide(self, load: LoadSample, link: LinkSample, now_ns: int) -> Decision:  # noqa: ARG002
        """Apply the rule with the thresholds as they are now."""
        self._load, self._link = load, link
        self._forecast.link(link)
        config = self._config
        high, low = self._load_threshold(config.load_high), self._load_threshold(config.load_low)
        delay_limit_ms = config.delay_ms * 4.0**self.bias
        delay_ms = link.rtt_ms if link.connected else math.nan
        if link.loss > config.loss_limit:
            delay_ms = math.inf
        chosen = self._route
        if (load.cpu > high or self.bias >= REACH) and delay_ms < delay_limit_ms:
            chosen = Route.CLOUD
        elif (load.cpu < low and delay_ms > delay_limit_ms) or self.bias <= -REACH:
            chosen = Route.LOCAL
        verb = "stay" if chosen is self._route else "change"
        self._route = chosen
        return Decision(
            chosen,
            f"adaptive: {verb} at load {load.cpu:.2f}, delay {delay_ms:.0f} ms, "
            f"bias {self.bias:+.2f}",
        )

    def _load_threshold(self, configured: float) -> float:
        low, high = COLD_CPU
        return min(max(configured - LOAD_REACH * self.bias, low), high)

    def _late_share(self, route: Route, now_ns: int) -> float:
        """Probability that this route would miss the deadline; NaN while unknown."""
        deadline_ms = self._config.deadline_ms
        if route is Route.LOCAL:
            predicted = self._forecast.local(self._load, now_ns)
            busy = self._load.cpu if self._route is Route.LOCAL else 0.0
            if busy >= 1.0:  # saturated: who waits for the model is superseded
                return 1.0
        else:
            predicted = self._forecast.away(route, self._link, now_ns)
            if not self._link.connected:
                return 1.0
        return late_share(predicted.mean_ms, predicted.deviation_ms, deadline_ms)
