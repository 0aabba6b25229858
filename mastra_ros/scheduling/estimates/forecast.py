"""How long an answer will take on each route, from what answers have taken."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mastra_ros.scheduling.estimates.clock import NS_PER_MS
from mastra_ros.scheduling.estimates.outcome import Outcome
from mastra_ros.scheduling.estimates.tracker import Tracker
from mastra_ros.scheduling.estimates.usual import Usual
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
    CLOUD, SPLIT: the smoothed round trip and the rest (encoding, upload, queues, the gateway),
    which is learnt from answers. It follows the recent ones, missed ones among them. Without any
    it fades into what answers in time usually take, so that a gateway once overloaded is given
    another chance (optimism in the face of uncertainty: Lai and Robbins, 1985). A route never
    taken is predicted from `FIRST_AWAY_MS` and the size of a frame / goodput. Once there are
    answers, goodput tells no more: it is measured on those frames, and bounded by what they need.

    The assumption: the round trip of heartbeats tells how the link changes while it carries no
    frames; sizes of frames and the gateway change slowly.
    """

    def __init__(self) -> None:
        self._local = Tracker(RECENT_MS, deviation_floor=1.0)
        self._recent: dict[Route, Tracker] = {}
        self._lasting: dict[Route, Tracker] = {}
        self.usual = Usual()  # of answers that came in time, whichever way
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
        rtt_ms = self._link.rtt_ms if math.isfinite(self._link.rtt_ms) else 0.0
        rest_ms = max(0.0, took_ms - rtt_ms)
        self._tracker(self._recent, outcome.route, RECENT_MS).update(rest_ms, outcome.at_ns)
        if outcome.answered:
            self.usual.update(took_ms)
            self._tracker(self._lasting, outcome.route, LASTING_MS).update(rest_ms, outcome.at_ns)

    @staticmethod
    def _tracker(kept: dict[Route, Tracker], route: Route, constant_ms: float) -> Tracker:
        return kept.setdefault(route, Tracker(constant_ms, deviation_floor=2.0))

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
        upload_ms = link.frame_bytes * 8e3 / max(link.goodput_bps, 1.0)
        rest_ms = FIRST_AWAY_MS + (upload_ms if math.isfinite(upload_ms) else 0.0)
        deviation_ms = rest_ms / 2
        recent, lasting = self._recent.get(route), self._lasting.get(route)
        if lasting is not None:
            rest_ms, deviation_ms = lasting.mean, lasting.deviation(now_ns)
        if recent is not None and recent.count:
            age_ms = recent.age_ms(now_ns)
            fresh = math.exp(-age_ms / FADING_MS)
            latest_ns = now_ns - round(age_ms * NS_PER_MS)
            rest_ms += fresh * (recent.mean - rest_ms)
            deviation_ms += fresh * (recent.deviation(latest_ns) - deviation_ms)
        jitter_ms = link.rtt_var_ms if math.isfinite(link.rtt_var_ms) else link.rtt_ms / 2
        # Both vary at the same time, so their squares add up.
        total = math.hypot(deviation_ms, jitter_ms)
        return Prediction(rest_ms + link.rtt_ms, total)


def late_share(mean_ms: float, deviation_ms: float, limit_ms: float) -> float:
    """Probability of exceeding the limit, by a logistic distribution; NaN while unknown.

    Its scale is taken such that the mean absolute deviation is `deviation_ms`
    (scale = deviation / (2 ln 2)).
    """
    if not (math.isfinite(mean_ms) and math.isfinite(deviation_ms)):
        return math.nan
    scale_ms = max(deviation_ms, 1e-3) / (2 * math.log(2))
    return 1.0 / (1.0 + math.exp(min(max((limit_ms - mean_ms) / scale_ms, -60.0), 60.0)))
