"""The policy that goes where the answer is expected first."""

from __future__ import annotations

import math

from mastra_ros.config import SchedulingConfig
from mastra_ros.scheduling.estimates.flow import Flow
from mastra_ros.scheduling.estimates.forecast import Forecast, Prediction, late_share
from mastra_ros.scheduling.estimates.outcome import Outcome
from mastra_ros.types import Decision, LinkSample, LoadSample, Route

ACCURACY_FRAMES = 200.0
"""The mean accuracy looks back on about so many frames."""
LATE_COST = 0.2
"""In frames in time: a frame sent away that is late may cost the device an inference."""
STAY_SHARE = 0.1
"""Another route must be better than the current one by this share of the deadline."""


class LatencyPolicy:
    """Least predicted time to result, under an accuracy floor and a cost per cloud frame.

    Source: partitioning by predicted latency as in Neurosurgeon (Kang et al., ASPLOS 2017), here
    with predictions from measured answers (`Forecast`, and `Flow` for what is on its way) instead
    of models of layers.

    - A route's *price* is its predicted time (mean plus `hedge_deviations` deviations) plus, away,
      `cloud_cost_ms`. Routes expected within the deadline go before all others; among them the
      lowest price wins, and the current route keeps a bonus of `STAY_SHARE` of the deadline.
    - LOCAL frames *spill* to the best route away, if their chance of an answer in time there, less
      `LATE_COST` and `cloud_cost`, is above their chance on the device. So a device too slow for
      the frame rate does what it can, and the rest is sent; a higher `cloud_cost` sends less. This
      holds while the route is barred after missed deadlines, too.
    - Where no route away has a fair chance for this very frame, one that would go away stays if the
      device can answer it in time.
    - `accuracy_floor`: while the mean accuracy of recent results, by the `accuracy_*` parameters,
      is below it, routes that are less accurate than the floor are left out, unless no other is
      expected in time.
    - SPLIT takes part only if `split` says that the bundle has one.

    Assumptions: recent times tell of the next frame's; a frame away costs the same whatever its
    size; the accuracies given hold for these frames.
    """

    def __init__(self, config: SchedulingConfig) -> None:
        self._config = config
        self._route = Route(config.start_route)
        self._forecast = Forecast()
        self._flow = Flow()
        self._accuracy = math.nan

    def configure(self, config: SchedulingConfig) -> None:
        """Take over the parameters; the route and what was learnt stay."""
        self._config = config

    def follow(self, flow: Flow) -> None:
        """Look at what is on its way here."""
        self._flow = flow

    @property
    def accuracy(self) -> float:
        """Mean accuracy of recent results, as far as the routes tell; NaN before the first."""
        return self._accuracy

    def observe(self, outcome: Outcome) -> None:
        """Learn the time that the route took, and what the result was worth."""
        self._forecast.observe(outcome)
        if outcome.counts and math.isfinite(outcome.age_ms):
            # What came in time without the route's answer came from the device.
            origin = outcome.route if outcome.answered else Route.LOCAL
            worth = self._accuracy_of(origin)
            known = math.isfinite(self._accuracy)
            weight = 1 / ACCURACY_FRAMES if known else 1.0
            before = self._accuracy if known else worth
            self._accuracy = before + weight * (worth - before)

    def decide(self, load: LoadSample, link: LinkSample, now_ns: int) -> Decision:
        """The route of the lowest price."""
        config = self._config
        self._forecast.link(link)
        # Frames before this one cost only a wait, which the arbiter sees better: see `spill`.
        predicted = {Route.LOCAL: self._forecast.local(load, now_ns)}
        away = [Route.SPLIT, Route.CLOUD] if config.split else [Route.CLOUD]
        for route in away:
            predicted[route] = self._flow.expected_or(self._forecast, route, link, now_ns)
        uppers = {r: p.upper_ms(config.hedge_deviations) for r, p in predicted.items()}
        measured = [route for route, upper in uppers.items() if math.isfinite(upper)]
        if not measured:
            return Decision(self._route, "latency: nothing measured yet")
        # Without a measurement of the device it is given a try, and so measured.
        if Route.LOCAL not in measured:
            uppers[Route.LOCAL] = config.deadline_ms
            measured.append(Route.LOCAL)
        in_time = [route for route in measured if uppers[route] <= config.deadline_ms]
        worth = self._worth(predicted, now_ns)
        fair = [route for route, value in worth.items() if value > 0.0]
        candidates = self._accurate(in_time) or [Route.LOCAL, *fair]
        chosen = min(candidates, key=lambda route: self._price(route, uppers[route]))
        self._route = chosen
        spill = min(fair, key=lambda route: self._price(route, uppers[route]), default=None)
        return Decision(
            chosen,
            self._reason(chosen, predicted),
            spill,
            recall=not fair,
            spill_worth=worth[spill] if spill else 0.0,
        )

    def _price(self, route: Route, upper_ms: float) -> float:
        config = self._config
        price_ms = upper_ms + (0.0 if route is Route.LOCAL else config.cloud_cost_ms)
        return price_ms - (STAY_SHARE * config.deadline_ms if route is self._route else 0.0)

    def _accurate(self, routes: list[Route]) -> list[Route]:
        """Those that the accuracy floor leaves, all of them where it leaves none."""
        floor = self._config.accuracy_floor
        if floor <= 0 or not self._accuracy < floor:
            return routes
        return [r for r in routes if self._accuracy_of(r) >= floor] or routes

    def _worth(self, predicted: dict[Route, Prediction], now_ns: int) -> dict[Route, float]:
        """Of a frame sent away: its chance there, less what it costs; above 0 that is fair."""
        cost = LATE_COST + self._config.cloud_cost
        return {
            route: self._chance(route, p, now_ns) - cost
            for route, p in predicted.items()
            if route is not Route.LOCAL
        }

    def _chance(self, route: Route, predicted: Prediction, now_ns: int) -> float:
        """That a frame sent there now is answered in time; 0 where nothing is known."""
        if not math.isfinite(predicted.mean_ms):
            return 0.0
        limit_ms = self._config.deadline_ms
        forecast = 1.0 - late_share(predicted.mean_ms, predicted.deviation_ms, limit_ms)
        chance = self._flow.chance(route, limit_ms, now_ns)
        if math.isnan(chance):
            return forecast
        # Before a first answer the size of frames and the goodput tell something too.
        return chance if self._flow.knows(route) else min(chance, forecast)

    def _accuracy_of(self, route: Route) -> float:
        config = self._config
        return {
            Route.LOCAL: config.accuracy_local,
            Route.SPLIT: config.accuracy_split,
            Route.CLOUD: config.accuracy_cloud,
        }[route]

    @staticmethod
    def _reason(chosen: Route, predicted: dict[Route, Prediction]) -> str:
        known = ", ".join(
            f"{route.value} {p.mean_ms:.0f} ± {p.deviation_ms:.0f} ms"
            for route, p in predicted.items()
            if math.isfinite(p.mean_ms)
        )
        return f"latency: {chosen.value} of {known}"
