"""How long an answer will take on each route, from what answers have taken."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mastra_ros.scheduling.outcome import Outcome
from mastra_ros.scheduling.tracker import Tracker
from mastra_ros.types import LinkSample, LoadSample, Route

RECENT_MS = 1_000.0
"""Time constant of what is known from recent answers."""
LASTING_MS = 60_000.0
"""Time constant of what a route takes in general."""
FADING_MS = 5_000.0
"""Without answers, the recent fades into the general with this time constant."""
LATE_FACTOR = 1.5
"""A frame without an answer in time counts as answered after so many times its limit."""
FIRST_AWAY_MS = 30.0
"""What encoding and the gateway take, before anything was measured."""


@dataclass(frozen=True)
class Prediction:
    """Time to an answer, in ms: NaN where nothing is known."""

    mean_ms: float
    deviation_ms: float

    def upper_ms(self, deviations: float) -> float:
        """A time that it will hardly exceed."""
        return self.mean_ms + deviations * self.deviation_ms


UNKNOWN = Prediction(math.nan, math.nan)


class Forecast:
    """Learns the time of each route and predicts the next.

    LOCAL: the time in the model, for the frame and for each that is before it.
    CLOUD, SPLIT: smoothed round trip + size of a frame / goodput + what remains of the
    measured times (encoding, queues, the gateway), which is learnt. That part follows recent
    answers; without any it fades into what is usual, so that a gateway once overloaded is
    given another chance. The assumption: the link's measurements tell how the link changes
    while it carries no frames, and the gateway changes slowly.
    """

    def __init__(self) -> None:
        self._local = Tracker(RECENT_MS, deviation_floor=1.0)
        self._recent: dict[Route, Tracker] = {}
        self._lasting: dict[Route, Tracker] = {}
        self._link = LinkSample(0, connected=False)

    def link(self, link: LinkSample) -> None:
        """Keep the newest sample of the link, by which answers are judged."""
        self._link = link

    def observe(self, outcome: Outcome) -> None:
        """Learn from one outcome."""
        if outcome.route is Route.LOCAL:
            self._local.update(outcome.inference_ms, outcome.at_ns)
            return
        took_ms = outcome.took_ms
        if not outcome.answered:
            took_ms = outcome.limit_ms * LATE_FACTOR
        rest_ms = max(0.0, took_ms - self._on_link_ms(self._link))
        for kept, constant in ((self._recent, RECENT_MS), (self._lasting, LASTING_MS)):
            if outcome.route not in kept:
                kept[outcome.route] = Tracker(constant, deviation_floor=2.0)
            kept[outcome.route].update(rest_ms, outcome.at_ns)

    def local(self, load: LoadSample, now_ns: int, waiting: int = 0) -> Prediction:
        """Of a frame that finds `waiting` others before it."""
        if not self._local.count:
            if not math.isfinite(load.inference_ms):
                return UNKNOWN
            return Prediction(load.inference_ms * (1 + waiting), load.inference_ms / 2)
        mean_ms = self._local.mean * (1 + waiting)
        return Prediction(mean_ms, self._local.deviation(now_ns) * math.sqrt(1 + waiting))

    def away(self, route: Route, link: LinkSample, now_ns: int) -> Prediction:
        """Of a frame sent away now."""
        if not (link.connected and math.isfinite(link.rtt_ms)):
            return UNKNOWN
        rest_ms, deviation_ms = FIRST_AWAY_MS, FIRST_AWAY_MS / 2
        recent, lasting = self._recent.get(route), self._lasting.get(route)
        if recent is not None and lasting is not None:
            fresh = math.exp(-recent.age_ms(now_ns) / FADING_MS)
            rest_ms = lasting.mean + fresh * (recent.mean - lasting.mean)
            deviation_ms = recent.deviation(now_ns)
        jitter_ms = link.rtt_var_ms if math.isfinite(link.rtt_var_ms) else link.rtt_ms / 2
        # Both vary at the same time, so their squares add up.
        total = math.hypot(deviation_ms, jitter_ms)
        return Prediction(rest_ms + self._on_link_ms(link), total)

    @staticmethod
    def _on_link_ms(link: LinkSample) -> float:
        """Round trip and upload of one frame; what is unknown counts as nothing."""
        rtt_ms = link.rtt_ms if math.isfinite(link.rtt_ms) else 0.0
        upload_ms = link.frame_bytes * 8e3 / max(link.goodput_bps, 1.0)
        return rtt_ms + (upload_ms if math.isfinite(upload_ms) else 0.0)
