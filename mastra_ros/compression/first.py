"""What a stream begins with, before its scene has been seen: what this machine has time for."""

from __future__ import annotations

import time
from collections.abc import Sequence

from .codecs import CODECS, opens, spends_ms

FIRST = (
    *("x264-veryfast", "x264-superfast-fine", "x264-superfast", "x264-ultrafast"),
    *("vp9-8", "av1-12"),
)
"""Those that are usual, in the order of what they cost in bytes."""
MOST_MOVES = 1.3
"""The time was taken where all moves, which is more than most scenes ask for."""


def first_of(names: Sequence[str], budget_ms: float) -> str:
    """The first of the usual ones that keeps the time, else the fastest of them, else any that
    works; "" where none does. What is for gray pictures comes first where it may be used."""
    gray = [name for name in names if CODECS[name].gray]
    usual = [name for name in (*gray, *FIRST) if name in names and opens(name)]
    within = next((name for name in usual if spends_ms(name) <= budget_ms), "")
    fastest = min(usual, key=spends_ms, default="")
    return within or fastest or next((name for name in names if opens(name)), "")


def spent_s(name: str) -> float:
    """Time that only passes while the encoder works: of this thread, where it works in it."""
    spec = CODECS[name]
    return time.perf_counter() if spec.own_threads or spec.hardware else time.thread_time()
