"""What a scheduler did within a second or so, for those that look on: counts, ages, changes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ..types import Result, Route
from .arbiter.switches import Switch

SAMPLES_MAX = 2000
SWITCHES_MAX = 8
"""In one summary; the latest are told, the others counted."""

Spread = tuple[float, float]
"""Median and 99th percentile."""


@dataclass(frozen=True)
class Summary:
    """Of the final results since the one before; empty spreads are None."""

    results: dict[Route, int]
    failed: int
    age_ms: Spread | None
    inference_ms: dict[Route, Spread]
    models: dict[Route, str]  # name and version of what answered last
    switches: tuple[Switch, ...]
    switches_left_out: int


def spread(values: Sequence[float]) -> Spread | None:
    """Median and 99th percentile by nearest rank; None without values."""
    if not values:
        return None
    ordered = sorted(values)
    last = len(ordered) - 1
    return ordered[round(0.5 * last)], ordered[round(0.99 * last)]


def _samples() -> deque[float]:
    return deque(maxlen=SAMPLES_MAX)


@dataclass
class Summariser:
    """Takes what happens, gives a summary of it and begins anew."""

    _results: dict[Route, int] = field(default_factory=dict)
    _failed: int = 0
    _ages: deque[float] = field(default_factory=_samples)
    _times: dict[Route, deque[float]] = field(default_factory=dict)
    _models: dict[Route, str] = field(default_factory=dict)
    _switches: deque[Switch] = field(default_factory=lambda: deque(maxlen=SWITCHES_MAX))
    _switched: int = 0

    def published(self, result: Result) -> None:
        """A result has been published."""
        if not result.final:
            return
        origin = result.origin
        self._results[origin] = self._results.get(origin, 0) + 1
        self._failed += bool(result.error)
        if result.age_ms == result.age_ms:  # not NaN
            self._ages.append(result.age_ms)
        if result.error:
            return
        if result.inference_ms == result.inference_ms:
            self._times.setdefault(origin, _samples()).append(result.inference_ms)
        if result.model:
            self._models[origin] = f"{result.model} {result.model_version}".rstrip()

    def switched(self, switches: Iterable[Switch]) -> None:
        """The route has changed."""
        for switch in switches:
            self._switches.append(switch)
            self._switched += 1

    def take(self) -> Summary:
        """What has happened since the last call."""
        times = {route: spread(list(values)) for route, values in self._times.items()}
        summary = Summary(
            dict(self._results),
            self._failed,
            spread(list(self._ages)),
            {route: told for route, told in times.items() if told is not None},
            dict(self._models),
            tuple(self._switches),
            self._switched - len(self._switches),
        )
        self._results, self._failed, self._times, self._switched = {}, 0, {}, 0
        self._ages.clear()
        self._switches.clear()
        return summary
