"""What a stream begins with, before its scene has been seen: what this machine has time for."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Protocol

from .codecs import CODECS, opens, spends_ms

FIRST = (
    *("x264-veryfast", "x264-superfast-fine", "x264-superfast", "x264-ultrafast"),
    *("vp9-8", "av1-12"),
)
"""Those that are usual, in the order of what they cost in bytes."""
MOST_MOVES = 1.5
"""The time was taken where all moves, which is more than most scenes ask for."""


class Clock(Protocol):
    """Tells what encoders take. Another than this machine's: for those who choose again by times
    that were taken before, while the machine has other work."""

    def spends_ms(self, name: str) -> float:
        """What an encoder takes for a picture of 640x480 px in which all moves."""
        ...

    def spent_s(self, name: str) -> float:
        """Time that only passes while this encoder works."""
        ...


class ProcessorClock:
    """Of this machine's processor."""

    def spends_ms(self, name: str) -> float:
        """See Clock."""
        return spends_ms(name)

    def spent_s(self, name: str) -> float:
        """See Clock: of this thread, where the encoder works in it."""
        spec = CODECS[name]
        return time.perf_counter() if spec.own_threads or spec.hardware else time.thread_time()


PROCESSOR = ProcessorClock()


def first_of(names: Sequence[str], budget_ms: float, clock: Clock = PROCESSOR) -> str:
    """The first of the usual ones that keeps the time, else the fastest of them, else any that
    works; "" where none does. What is for gray pictures comes first where it may be used."""
    gray = [name for name in names if CODECS[name].gray]
    usual = [name for name in (*gray, *FIRST) if name in names and opens(name)]
    within = next((name for name in usual if clock.spends_ms(name) <= budget_ms), "")
    fastest = min(usual, key=clock.spends_ms, default="")
    return within or fastest or next((name for name in names if opens(name)), "")
