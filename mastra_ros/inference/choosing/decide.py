"""The decision: the fastest of those that answer alike. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...types import Detections
from ..bundle import Bundle
from .agreement import difference
from .candidates import Candidate

ROUNDS_MIN = 3
TIE = 0.02
"""A candidate must be so much faster to be preferred to one that stands before it."""


@dataclass(frozen=True)
class Trial:
    """What came of trying one candidate: its times and answers, or why there are none."""

    candidate: Candidate
    times_ms: tuple[float, ...] = ()
    answers: tuple[Detections, ...] = ()  # of the first pictures, in their order
    problem: str = ""

    @property
    def ms(self) -> float:
        """The lower quartile: what it takes where other work of the machine disturbs little."""
        return float(np.percentile(self.times_ms, 25))


@dataclass(frozen=True)
class Choice:
    """What serves the bundle from now on, and what was seen of the others."""

    candidate: Candidate
    times_ms: Mapping[str, float]  # by candidate, of all that could be chosen
    problems: Mapping[str, str]  # by candidate, of those that could not

    def __str__(self) -> str:
        others = [f"{name} {ms:.1f} ms" for name, ms in self.times_ms.items()]
        others += [f"{name} {problem}" for name, problem in self.problems.items()]
        return f"{self.candidate} ({'; '.join(others)})"


def decide(bundle: Bundle, trials: Sequence[Trial]) -> Choice | None:
    """The fastest candidate whose answers are those of its part's own engine; None without any.

    Trials stand in the order of preference, each part's own engine first; where that could not
    be tried there is nothing to compare with, and the others of the part count unchecked.
    """
    problems: dict[str, str] = {}
    allowed: list[Trial] = []
    for trial in trials:
        problem = trial.problem or _problem(bundle, trial, trials)
        if problem:
            problems[str(trial.candidate)] = problem
        else:
            allowed.append(trial)
    if not allowed:
        return None
    best = allowed[0]
    for trial in allowed[1:]:
        if trial.ms < best.ms * (1 - TIE):
            best = trial
    times = {str(trial.candidate): round(trial.ms, 3) for trial in allowed}
    return Choice(best.candidate, times, problems)


def _problem(bundle: Bundle, trial: Trial, trials: Sequence[Trial]) -> str:
    if len(trial.times_ms) < ROUNDS_MIN:
        return "could not be measured in time"
    part = bundle.parts[trial.candidate.part]
    own = next((t for t in trials if t.candidate == Candidate(part.name, part.engine)), None)
    if own is None or own is trial or own.problem or not own.answers:
        return ""
    both = min(len(own.answers), len(trial.answers))
    if not both:
        return "could not be compared in time"
    apart = difference(
        own.answers[:both], trial.answers[:both], least_score=part.score_threshold or 0.01
    )
    return f"answers otherwise than {part.engine}, {apart}" if apart else ""
