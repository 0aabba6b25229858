"""Tuning of signal timing on seeds 100 to 109: one search for all policies, of the same budget.

60 trials: 24 of what is known to be sensible, near that, and drawn at random, 18 near the best
three, 18 near the best three again, each on three seeds; the best six of all then run on all ten
seeds, and the one of the least mean delay there is frozen. A jam is as bad as its delay.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

SEEDS = tuple(range(100, 110))
FIRST, NEAR, ROUNDS, KEPT, FINAL = 24, 18, 2, 3, 6
RACED = 3
"""Seeds on which every trial runs, where nothing else is asked for."""

Point = tuple[float, ...]  # 0 to 1 each
Evaluate = Callable[[Point, int], float]  # a point on a seed: mean delay, s


@dataclass
class Trial:
    """A point, and its delay by seed."""

    point: Point
    delays: dict[int, float] = field(default_factory=dict)

    @property
    def mean(self) -> float:
        return sum(self.delays.values()) / len(self.delays)


@dataclass(frozen=True)
class Tuned:
    """What was found, and what it took."""

    point: Point
    mean_s: float
    trials: int
    runs: int


def tune(
    dimensions: int,
    evaluate: Evaluate,
    *,
    begin: Sequence[Point] = (),
    seed: int = 1,
    seeds: Sequence[int] = SEEDS,
    sizes: tuple[int, int, int] = (FIRST, NEAR, ROUNDS),
    raced: int = RACED,
    finalists: int = FINAL,
    tell: Callable[[str], object] = lambda _: None,
) -> Tuned:
    """Search; `begin` are points that are tried first."""
    rng = random.Random(seed)
    first, near, rounds = sizes
    drawn: list[Point] = []
    while len(drawn) < first:
        drawn.append(tuple(rng.random() for _ in range(dimensions)))
        drawn += [_near(rng, one, 0.2) for one in begin]
    trials: list[Trial] = []

    def run(points: Sequence[Point]) -> None:
        for point in points:
            trial = Trial(point)
            for one in seeds[:raced]:
                trial.delays[one] = evaluate(point, one)
            trials.append(trial)
            tell(f"trial {len(trials)}: {trial.mean:.2f} s {[round(v, 3) for v in point]}")

    run([*begin, *drawn][:first])
    for turn in range(rounds):
        best = sorted(trials, key=lambda one: one.mean)[:KEPT]
        width = 0.15 / (turn + 1)
        run([_near(rng, best[n % len(best)].point, width) for n in range(near)])
    best = sorted(trials, key=lambda one: one.mean)[:finalists]
    for trial in best:
        for one in seeds[raced:]:
            trial.delays[one] = evaluate(trial.point, one)
        tell(f"final: {trial.mean:.2f} s {[round(v, 3) for v in trial.point]}")
    won = min(best, key=lambda one: one.mean)
    return Tuned(won.point, won.mean, len(trials), sum(len(one.delays) for one in trials))


def _near(rng: random.Random, point: Point, width: float) -> Point:
    """Each coordinate moved with a chance of a half, at least one."""
    moved = [rng.random() < 0.5 for _ in point]
    moved[rng.randrange(len(point))] = True
    return tuple(
        min(1.0, max(0.0, value + rng.gauss(0.0, width))) if go else value
        for value, go in zip(point, moved, strict=True)
    )


def scale(value: float, low: float, high: float) -> float:
    """From 0 to 1 to a range."""
    return low + value * (high - low)
