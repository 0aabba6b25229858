"""What pages of the dashboard add to the age of results: short slices that take turns.

The load goes on evenly all the time, at half of the gateway's maximum, and all pages are open all
the time; in each slice the first 0, 1 or 20 of them are seen and the others are hidden tabs, which
ask for nothing. So what differs between neighbouring slices is the pages, and not the machine of
then and now. The p99 of a slice is held against that of the slice without pages in the same turn;
the median of these ratios is the result, and its interval (95 %, by drawing turns again) says what
the measurement can tell. The first moments of each slice are not counted: what a page asks for when
it is seen again, and the last questions for pages that are hidden.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mastra_ros.dashboard.fleet import LOOKED_AT_S

PAGES = (0, 1, 20)
TURNS = ((0, 1, 20), (20, 0, 1), (1, 20, 0), (0, 20, 1), (1, 0, 20), (20, 1, 0))
"""All orders, so that no number of pages always follows the same."""
SETTLE_S = {0: LOOKED_AT_S + 1.0, 1: 2.0, 20: 2.0}
"""Before a slice is counted: the dashboard goes on asking the gateway for a while after the last
page was hidden."""
DRAWN = 4000


@dataclass(frozen=True)
class Slice:
    """How many pages were seen, from when to when (s of `time.perf_counter`), and what it took."""

    pages: int
    from_s: float
    to_s: float
    spent_s: Mapping[str, float] = field(default_factory=dict)
    """Processor time of each process, by its name."""


def planned(turns: int) -> list[tuple[int, ...]]:
    """The order of pages in so many turns."""
    return [TURNS[turn % len(TURNS)] for turn in range(turns)]


def told(
    seen: NDArray[np.float64], turns: Sequence[Sequence[Slice]], rate: float
) -> dict[str, Any]:
    """The result: percent above the slices without pages, and how sure that is.

    seen: a row of (sent at in s, age in ms) for each frame.
    """
    runs = [{one.pages: _slice(seen, one) for one in turn} for turn in turns]
    result: dict[str, Any] = {"rate": round(rate, 1), "turns": len(runs)}
    for pages in PAGES:
        values = [run[pages]["p99_ms"] for run in runs]
        result[f"p99_{pages}_ms"] = round(float(np.median(values)), 3)
        result[f"p50_{pages}_ms"] = round(float(np.median([r[pages]["p50_ms"] for r in runs])), 3)
    for pages in PAGES[1:]:
        ratios = [run[pages]["p99_ms"] / run[0]["p99_ms"] for run in runs]
        result[f"pages_{pages}_percent"] = _percent(float(np.median(ratios)))
        result[f"pages_{pages}_interval"] = [_percent(one) for one in interval(ratios)]
        result[f"pages_{pages}_core_percent"] = {
            name: round(100 * (_share(turns, pages, name) - _share(turns, 0, name)), 2)
            for name in turns[0][0].spent_s
        }
    result["slices"] = [[run[pages]["p99_ms"] for pages in PAGES] for run in runs]
    return result


def interval(ratios: Sequence[float]) -> tuple[float, float]:
    """Where the median of such ratios lies, 95 %."""
    rng = np.random.default_rng(1)
    drawn = rng.choice(np.asarray(ratios), (DRAWN, len(ratios)))
    low, high = np.percentile(np.median(drawn, axis=1), (2.5, 97.5))
    return float(low), float(high)


def _percent(ratio: float) -> float:
    return round(100 * (ratio - 1), 2)


def _share(turns: Sequence[Sequence[Slice]], pages: int, name: str) -> float:
    """Of a core, that a process took in the slices with so many pages."""
    found = [one for turn in turns for one in turn if one.pages == pages]
    return sum(one.spent_s[name] for one in found) / sum(one.to_s - one.from_s for one in found)


def _slice(seen: NDArray[np.float64], one: Slice) -> dict[str, float]:
    ages = seen[(seen[:, 0] >= one.from_s) & (seen[:, 0] < one.to_s), 1]
    if not len(ages):
        raise RuntimeError(f"no frame was answered in a slice with {one.pages} pages")
    p50, p99 = np.percentile(ages, (50, 99))
    return {"p50_ms": round(float(p50), 3), "p99_ms": round(float(p99), 3)}


def measure(
    show: Callable[[int], None],
    wait: Callable[[float], None],
    clock: Callable[[], float],
    spent: Callable[[], Mapping[str, float]],
    turns: int,
    slice_s: float,
) -> list[list[Slice]]:
    """Take turns; show(n) makes the first n pages seen and hides the others.

    spent(): processor time of each process so far, s.
    """
    done: list[list[Slice]] = []
    for turn in planned(turns):
        done.append([])
        for pages in turn:
            show(pages)
            wait(SETTLE_S[pages])
            from_s, before = clock(), spent()
            wait(slice_s)
            to_s, after = clock(), spent()
            took = {name: after[name] - before[name] for name in after}
            done[-1].append(Slice(pages, from_s, to_s, took))
    return done


def read(path: Path) -> NDArray[np.float64]:
    """What bench.dashboard_load has left, by the time it was sent."""
    seen: NDArray[np.float64] = np.load(path)
    return seen[np.argsort(seen[:, 0])]
