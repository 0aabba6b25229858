"""When the results of a run came, how old they were, and where from: what a plot needs."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Stretch:
    """Results in a row from one origin. Times in s, of the clock that the timeline was told."""

    origin: str
    from_s: float
    to_s: float


class Timeline:
    """Final results in the order in which they came: 18 bytes each, so that a day fits."""

    def __init__(self) -> None:
        self.at_s = array("d")
        self.ages_ms = array("d")  # NaN where a result told none
        self._origins: list[str] = []  # names, by number
        self._numbers = array("B")
        self.failed_s = array("d")  # when results with an error came
        self._turns: list[tuple[float, bool]] = []  # when the link came and went

    def __len__(self) -> int:
        return len(self.at_s)

    def add(self, at_s: float, age_ms: float, origin: str) -> None:
        """A final result came."""
        if origin not in self._origins:
            self._origins.append(origin)
        self.at_s.append(at_s)
        self.ages_ms.append(age_ms)
        self._numbers.append(self._origins.index(origin))

    def fail(self, at_s: float) -> None:
        """A final result came that says nothing but an error."""
        self.failed_s.append(at_s)

    def link(self, at_s: float, up: bool) -> None:
        """How the link is; what has not changed adds nothing."""
        if not self._turns or self._turns[-1][1] != up:
            self._turns.append((at_s, up))

    def lost(self) -> Iterator[tuple[float, float]]:
        """From when to when there was no link, once there had been one; the last may be endless."""
        turns = self._turns[
            next((i for i, (_, up) in enumerate(self._turns) if up), len(self._turns)) :
        ]
        for place, (at_s, up) in enumerate(turns):
            if not up:
                yield at_s, turns[place + 1][0] if place + 1 < len(turns) else math.inf

    def points(self, origin: str) -> tuple[list[float], list[float]]:
        """Times in s and ages in ms of the results of one origin that told their age."""
        if origin not in self._origins:
            return [], []
        number = self._origins.index(origin)
        rows = [
            (at_s, age_ms)
            for at_s, age_ms, one in zip(self.at_s, self.ages_ms, self._numbers, strict=True)
            if one == number and math.isfinite(age_ms)
        ]
        return [at_s for at_s, _ in rows], [age_ms for _, age_ms in rows]

    def stretches(self) -> Iterator[Stretch]:
        """From whom the results came: each stretch ends where the next begins, the last with
        the last result."""
        began = 0
        for place in range(1, len(self) + 1):
            ended = place == len(self)
            if ended or self._numbers[place] != self._numbers[began]:
                end_s = self.at_s[place - 1] if ended else self.at_s[place]
                yield Stretch(self._origins[self._numbers[began]], self.at_s[began], end_s)
                began = place
