"""Numbers between the points of rate-accuracy curves. Pure.

Of some hundreds of frames F says the same to 0.03 only, by chance. The best that any point up to
some bytes has would favour the curve of the most points, so a curve is first made to rise: the
least squares fit that never falls, by pooling neighbours that do (Ayer et al., "An empirical
distribution function for sampling with incomplete information", 1955).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

Point = tuple[float, float]
"""Bytes a frame, and what they buy: F, or dB."""


def rising(points: Sequence[Point]) -> list[Point]:
    """The curve that never falls and is nearest to the points: a point for each pool of them, at
    the geometric mean of its bytes."""
    pools: list[list[Point]] = []
    for point in sorted(points):
        pools.append([point])
        while len(pools) > 1 and _value(pools[-2]) >= _value(pools[-1]):
            last = pools.pop()
            pools[-1] += last
    return [(math.exp(fmean(math.log(size) for size, _ in pool)), _value(pool)) for pool in pools]


def bytes_at(points: Sequence[Point], wanted: float) -> float:
    """Bytes a frame at which a curve reaches what is wanted; infinite where it never does.

    Between points the logarithm of the bytes goes straight. Where the smallest point is good
    enough already, its bytes count: less is not known.
    """
    before: Point | None = None
    for size, value in rising(points):
        if value >= wanted:
            if before is None:
                return size
            share = (wanted - before[1]) / (value - before[1])
            return float(math.exp(math.log(before[0]) + share * math.log(size / before[0])))
        before = (size, value)
    return math.inf


def ratio_over(ours: Sequence[Point], other: Sequence[Point], values: Sequence[float]) -> float:
    """Bytes of ours over another's at equal values: the geometric mean of the ratios at those that
    both curves reach, in the manner of Bjontegaard ("Calculation of average PSNR differences
    between RD-curves", VCEG-M33). NaN where there is none."""
    reached = [v for v in values if _inside(ours, v) and _inside(other, v)]
    logs = [math.log(bytes_at(ours, v) / bytes_at(other, v)) for v in reached]
    return math.exp(fmean(logs)) if logs else math.nan


def _inside(points: Sequence[Point], value: float) -> bool:
    fitted = rising(points)
    return bool(fitted) and fitted[0][1] <= value <= fitted[-1][1]


def _value(pool: Sequence[Point]) -> float:
    return fmean(value for _, value in pool)
