"""Numbers between the points of rate-accuracy curves. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

Point = tuple[float, float]
"""Bytes a frame, and what they buy: F, or dB."""


def bytes_at(points: Sequence[Point], wanted: float) -> float:
    """Bytes a frame at which a curve reaches what is wanted; infinite where it never does.

    By the best that is had for no more bytes, so that a curve with noise never falls; between
    points the logarithm of the bytes goes straight. Where the smallest point is good enough
    already, its bytes count: less is not known.
    """
    before: Point | None = None
    for size, value in sorted(points):
        if before is not None and value <= before[1]:
            continue
        if value >= wanted:
            if before is None:
                return size
            share = (wanted - before[1]) / (value - before[1])
            return float(math.exp(math.log(before[0]) + share * math.log(size / before[0])))
        before = (size, value)
    return math.inf


def value_at(points: Sequence[Point], size: float) -> float:
    """The best value of a curve for at most so many bytes; NaN below its smallest point."""
    return max((value for bytes_, value in points if bytes_ <= size), default=math.nan)
