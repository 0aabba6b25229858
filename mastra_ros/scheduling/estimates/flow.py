"""Frames on their way to the gateway, seen as a queue, and when one sent now is answered."""

from __future__ import annotations

import itertools
import math
from collections import OrderedDict, deque
from dataclasses import dataclass

from mastra_ros.scheduling.estimates.clock import NS_PER_MS
from mastra_ros.scheduling.estimates.forecast import (
    FIRST_AWAY_MS,
    UNKNOWN,
    Forecast,
    Prediction,
    late_share,
)
from mastra_ros.types import FrameKey, LinkSample, Route

FORGET_MS = 3_000.0
"""A frame not answered for so long is taken to be lost; a silent link is given up before."""
KEPT = 32
"""So many answers are looked back on."""
MEMORY_MS = 2_000.0
"""An answer counts less with age, with this time constant."""
LASTING = 128
LASTING_MS = 300_000.0
"""What is usual comes from so many answers, which count less with age, with this time constant."""
HOPE = 0.8
"""The chance of a frame where nothing is known; counts like `HOPES` answers of just now."""
HOPES = 8.0
DEVIATION_MIN_MS = 2.0


@dataclass(frozen=True)
class _Sent:
    route: Route
    at_ns: int


class _Way:
    """What frames of one route take: the least, and on top, for each frame, its own share."""

    def __init__(self) -> None:
        self._took_ms: deque[float] = deque(maxlen=KEPT)
        self._own: deque[tuple[int, float]] = deque(maxlen=KEPT)  # when, ms
        self._lasting: deque[tuple[int, float]] = deque(maxlen=LASTING)  # the same

    def took(self, took_ms: float) -> None:
        """One frame took so long in all."""
        self._took_ms.append(took_ms)

    @property
    def least_ms(self) -> float:
        """Of the latest frames, in all; infinity before the first."""
        return min(self._took_ms, default=math.inf)

    def own(self, own_ms: float, now_ns: int) -> None:
        """One frame took so long on top of the least, once its predecessor was done."""
        self._own.append((now_ns, own_ms))
        self._lasting.append((now_ns, own_ms))

    def lost(self, now_ns: int) -> None:
        """The link went, and a frame with it: usual or not, it says nothing of a new link."""
        self._lasting.append((now_ns, math.inf))

    def usual_chance(self, within_ms: float, now_ns: int) -> float:
        """That an own share ends within this time, by what is usual."""
        weights = [
            (own_ms, math.exp((at_ns - now_ns) / NS_PER_MS / LASTING_MS))
            for at_ns, own_ms in self._lasting
        ]
        done = sum(weight for own_ms, weight in weights if own_ms <= within_ms)
        return (HOPES * HOPE + done) / (HOPES + sum(weight for _, weight in weights))

    def _weighed(self, now_ns: int) -> list[tuple[float, float]]:
        """Own shares, the least first, with their weights."""
        return sorted(
            (own_ms, math.exp((at_ns - now_ns) / NS_PER_MS / MEMORY_MS))
            for at_ns, own_ms in self._own
        )

    def usual(self, now_ns: int) -> Prediction:
        """The weighed median of the own shares that were answered, and the deviation from it."""
        shares = [(own_ms, weight) for own_ms, weight in self._weighed(now_ns) if own_ms < 1e9]
        if not shares:
            return UNKNOWN
        total = sum(weight for _, weight in shares)
        below = itertools.accumulate(weight for _, weight in shares)
        middle_ms = next(
            own for (own, _), sum_ in zip(shares, below, strict=True) if 2 * sum_ >= total
        )
        deviation = sum(w * min(abs(own - middle_ms), 1e3) for own, w in shares) / total
        return Prediction(middle_ms, max(deviation, DEVIATION_MIN_MS))

    def own_ms(self, now_ns: int) -> float:
        """What an own share usually takes; 0 before the first answer."""
        mean_ms = self.usual(now_ns).mean_ms
        return mean_ms if math.isfinite(mean_ms) else 0.0

    def chance(self, within_ms: float, now_ns: int, hope: float, spent_ms: float = 0.0) -> float:
        """That an own share ends within this time, where it has gone on for `spent_ms`.

        The share of recent answers that did, and as if it were one more of them, `hope`, or that
        what has stood for so long goes on standing for as long (Gott, Nature 363, 1993).
        """
        if within_ms <= 0:
            return 0.0
        if spent_ms > 0:
            hope = within_ms / (within_ms + spent_ms)
        known = [(own, weight) for own, weight in self._weighed(now_ns) if own > spent_ms]
        done = sum(weight for own, weight in known if own <= spent_ms + within_ms)
        return (hope + done) / (1.0 + sum(weight for _, weight in known))


class Flow:
    """A queue with one server behind a fixed way, first in, first out.

    Each frame takes a fixed time (the least that was seen) and then, one after the other, its own
    share: the link's rate and the gateway. Answers, late ones too, tell the own shares; the
    frames not yet answered tell how long a new one has to wait. So nothing is sent into a queue
    that stands or is too long, and the first answer that comes ends that at once.

    The chance to be in time is that of the latest answers, and as they age, of what is usual on
    this route, and then, without any, a guess: so what is not known any more is tried again. Unlike
    mean and deviation that tells a link that mostly does well and at times stands from a slow one.

    The assumption: the gateway answers in order. Times are steady, in ns.
    """

    def __init__(self) -> None:
        self._sent: OrderedDict[FrameKey, _Sent] = OrderedDict()
        self._ways: dict[Route, _Way] = {}
        self._answered_ns = 0
        self._rtt_ms = self._rtt_var_ms = self._rtt_least_ms = math.nan

    def __len__(self) -> int:
        return len(self._sent)

    def link(self, link: LinkSample) -> None:
        """What heartbeats tell."""
        self._rtt_ms, self._rtt_var_ms = link.rtt_ms, link.rtt_var_ms
        if not link.rtt_ms >= self._rtt_least_ms:
            self._rtt_least_ms = link.rtt_ms

    def _hope(self, way: _Way, within_ms: float, now_ns: int) -> float:
        """The chance by what is usual and by heartbeats, whose round trip is above its least when
        they wait."""
        waits_ms = self._rtt_ms - self._rtt_least_ms
        late = late_share(waits_ms, self._rtt_var_ms, within_ms)
        return way.usual_chance(within_ms, now_ns) * (1.0 - late) if math.isfinite(late) else 0.0

    def sent(self, key: FrameKey, route: Route, now_ns: int) -> None:
        """A frame was sent away."""
        self._sent[key] = _Sent(route, now_ns)
        while self._sent:
            oldest = next(iter(self._sent))
            if now_ns - self._sent[oldest].at_ns <= FORGET_MS * NS_PER_MS:
                break
            self.dropped(oldest, now_ns)

    def answered(self, key: FrameKey, now_ns: int) -> None:
        """The gateway has answered; what was sent before and is not answered never will be."""
        frame = self._sent.get(key)
        if frame is None:
            return
        while self._sent.popitem(last=False)[0] != key:
            pass
        way = self._ways.setdefault(frame.route, _Way())
        way.took((now_ns - frame.at_ns) / NS_PER_MS)
        begun_ns = max(frame.at_ns + self._floor_ms(way) * NS_PER_MS, self._answered_ns)
        way.own(max(0.0, (now_ns - begun_ns) / NS_PER_MS), now_ns)
        self._answered_ns = now_ns

    def dropped(self, key: FrameKey, now_ns: int) -> None:
        """A frame failed on its way: as if it had taken for ever."""
        frame = self._sent.pop(key, None)
        if frame is not None:
            self._ways.setdefault(frame.route, _Way()).own(math.inf, now_ns)

    def lost(self, now_ns: int) -> None:
        """The link is gone, and all that was on its way."""
        for frame in self._sent.values():
            self._ways.setdefault(frame.route, _Way()).lost(now_ns)
        self._sent.clear()

    def knows(self, route: Route) -> bool:
        """Whether there ever was an answer."""
        return route in self._ways and math.isfinite(self._ways[route].least_ms)

    def expected(self, route: Route, now_ns: int) -> Prediction:
        """Time until the answer to a frame sent now; unknown before a first answer."""
        way = self._ways.get(route, _Way())
        usual = way.usual(now_ns)
        if math.isnan(usual.mean_ms):
            return UNKNOWN
        free_ms, spent_ms = self._ahead(now_ns, way)
        # What stands goes on standing for as long as it has.
        mean_ms = max(self._floor_ms(way), free_ms + spent_ms) + usual.mean_ms
        return Prediction(mean_ms, math.hypot(usual.deviation_ms, spent_ms))

    def expected_or(
        self, forecast: Forecast, route: Route, link: LinkSample, now_ns: int
    ) -> Prediction:
        """As `expected`; before a first answer what `forecast` says, and unknown without a link."""
        seen = self.expected(route, now_ns)
        known = link.connected and math.isfinite(seen.mean_ms)
        return seen if known else forecast.away(route, link, now_ns)

    def chance(self, route: Route, limit_ms: float, now_ns: int) -> float:
        """That a frame sent now is answered within this time; NaN while the link is unknown."""
        way = self._ways.get(route, _Way())
        if not math.isfinite(self._floor_ms(way)):
            return math.nan
        free_ms, spent_ms = self._ahead(now_ns, way)
        within_ms = limit_ms - max(self._floor_ms(way), free_ms)
        chance = way.chance(within_ms, now_ns, self._hope(way, within_ms, now_ns))
        if spent_ms > 0:
            own_ms = way.own_ms(now_ns)
            chance *= way.chance(limit_ms - free_ms - own_ms, now_ns, 0.0, spent_ms)
        return chance

    def _floor_ms(self, way: _Way) -> float:
        """The fixed time: the least seen, or less, as all that was seen may have been slow."""
        if math.isnan(self._rtt_least_ms):
            return way.least_ms
        return min(way.least_ms, self._rtt_least_ms + FIRST_AWAY_MS)

    def _ahead(self, now_ns: int, default: _Way) -> tuple[float, float]:
        """What is on its way: from now until all is answered if all goes as usual, and for how
        long the first of it has not; ms."""
        free_ms, stood_ms = (self._answered_ns - now_ns) / NS_PER_MS, 0.0
        for position, frame in enumerate(self._sent.values()):
            way = self._ways.get(frame.route, default)
            own_ms = way.own_ms(now_ns)
            arrives_ms = (frame.at_ns - now_ns) / NS_PER_MS + self._floor_ms(way)
            begun_ms = max(arrives_ms, free_ms)
            if position == 0 and -begun_ms > own_ms:
                stood_ms, begun_ms = -begun_ms, -own_ms
            free_ms = max(begun_ms + own_ms, 0.0)
        return free_ms, stood_ms
