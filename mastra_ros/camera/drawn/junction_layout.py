"""The drawn crossing's lanes, ways and signals, in metres and seconds.

The camera stands at the origin and looks along y. Four lanes lead along y: two towards the camera
(x < 0), two away. A road with a lane each way crosses them. All drive on the right.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

COUNT_Y_M = 13.0
"""Where the line `near` lies, over all lanes of the main road."""
STOP_IN_Y_M, STOP_OUT_Y_M = 33.0, 19.0
CROSS_Y_M = (24.2, 27.8)
"""Middles of the crossing road's lanes: to the right, to the left."""
STOP_CROSS_X_M = 10.0
LANE_M = 3.5
LANES_X_M = {"in_outer": -5.25, "in_inner": -1.75, "out_inner": 1.75, "out_outer": 5.25}
WALK_Y_M = 30.7
FAR_M = 130.0

CYCLE_S = 50.0
MAIN_GREEN_S, CROSS_FROM_S, CROSS_GREEN_S, YELLOW_S = 24.0, 29.0, 16.0, 3.0


@dataclass(frozen=True)
class Way:
    """One way through the junction: its points, where it stops, and what it is called.

    leaves_m: how far along it leaves the lane that it shares with others of the same lane.
    """

    lane: str
    group: str  # of signals: main, cross or walk; empty: none
    origin: str
    destination: str
    points: tuple[tuple[float, float], ...]
    stop_m: float
    leaves_m: float = 1e9
    share: float = 1.0

    @cached_property
    def marks(self) -> tuple[Floats, Floats]:
        """Points (n, 2), and how far along each is."""
        points = np.array(self.points)
        steps = np.hypot(*np.diff(points, axis=0).T)
        return points, np.concatenate([[0.0], np.cumsum(steps)])

    @property
    def length_m(self) -> float:
        return float(self.marks[1][-1])

    def at(self, along_m: float) -> tuple[float, float, float]:
        """x, y and heading (0 along x) so far along."""
        points, along = self.marks
        k = int(np.clip(np.searchsorted(along, along_m) - 1, 0, len(points) - 2))
        share = (along_m - along[k]) / (along[k + 1] - along[k])
        (ax, ay), (bx, by) = points[k], points[k + 1]
        return (
            float(ax + share * (bx - ax)),
            float(ay + share * (by - ay)),
            float(np.arctan2(by - ay, bx - ax)),
        )


def _straight(lane: str, x: float, away: bool, share: float) -> Way:
    ends = (-14.0, FAR_M) if away else (FAR_M, -14.0)
    stop = (STOP_OUT_Y_M - ends[0]) if away else ends[0] - STOP_IN_Y_M
    names = ("south", "north") if away else ("north", "south")
    return Way(lane, "main", *names, ((x, ends[0]), (x, ends[1])), stop, 1e9, share)


def _bend(
    start: tuple[float, float], corner: tuple[float, float], end: tuple[float, float]
) -> tuple[tuple[float, float], ...]:
    """From start to end around the corner, by a curve that begins 6 m before it."""
    a, c, b = (np.array(p, float) for p in (start, corner, end))
    near, far = c + (a - c) / np.linalg.norm(a - c) * 6, c + (b - c) / np.linalg.norm(b - c) * 6
    curve = [(1 - t) ** 2 * near + 2 * t * (1 - t) * c + t * t * far for t in np.linspace(0, 1, 9)]
    return tuple((float(x), float(y)) for x, y in (a, *curve, b))


WAYS: tuple[Way, ...] = (
    _straight("in_outer", -5.25, False, 1.0),
    _straight("in_inner", -1.75, False, 1.3),
    Way(
        *("in_outer", "main", "north", "west"),
        _bend((-5.25, FAR_M), (-5.25, CROSS_Y_M[1]), (-70.0, CROSS_Y_M[1])),
        FAR_M - STOP_IN_Y_M,
        FAR_M - CROSS_Y_M[1] - 2,
        0.35,
    ),
    _straight("out_inner", 1.75, True, 1.2),
    _straight("out_outer", 5.25, True, 0.9),
    Way(
        *("out_outer", "main", "south", "east"),
        _bend((5.25, -14.0), (5.25, CROSS_Y_M[0]), (70.0, CROSS_Y_M[0])),
        STOP_OUT_Y_M + 14.0,
        CROSS_Y_M[0] + 12.0,
        0.35,
    ),
    Way(
        *("cross_right", "cross", "west", "east"),
        ((-70.0, CROSS_Y_M[0]), (70.0, CROSS_Y_M[0])),
        70.0 - STOP_CROSS_X_M,
        1e9,
        0.5,
    ),
    Way(
        *("cross_left", "cross", "east", "west"),
        ((70.0, CROSS_Y_M[1]), (-70.0, CROSS_Y_M[1])),
        70.0 - STOP_CROSS_X_M,
        1e9,
        0.5,
    ),
    Way(
        *("cross_right", "cross", "west", "south"),
        _bend((-70.0, CROSS_Y_M[0]), (-5.25, CROSS_Y_M[0]), (-5.25, -14.0)),
        70.0 - STOP_CROSS_X_M,
        62.0,
        0.25,
    ),
)
"""Those of vehicles; `share` is how many of them take it."""

CYCLE_WAYS: tuple[Way, ...] = (
    _straight("in_cycle", -8.0, False, 1.0),
    _straight("out_cycle", 8.0, True, 1.0),
)
WALKS: tuple[Way, ...] = (
    Way("walk", "walk", "west", "east", ((-11.5, WALK_Y_M), (11.5, WALK_Y_M)), 2.0),
    Way("walk", "walk", "east", "west", ((11.5, WALK_Y_M + 1), (-11.5, WALK_Y_M + 1)), 2.0),
    Way("kerb", "", "north", "south", ((-11.0, 60.0), (-11.0, 5.0)), 1e9),
    Way("kerb", "", "south", "north", ((11.5, 5.0), (11.5, 60.0)), 1e9),
)


def signal(group: str, at_s: float) -> str:
    """green, yellow or red of a group, so long after the beginning."""
    t = at_s % CYCLE_S
    if group == "":
        return "green"
    if group == "main":
        return "green" if t < MAIN_GREEN_S else "yellow" if t < MAIN_GREEN_S + YELLOW_S else "red"
    t -= CROSS_FROM_S
    if group == "walk":
        return "green" if 0 <= t < 4.0 else "red"
    if 0 <= t < CROSS_GREEN_S:
        return "green"
    return "yellow" if 0 <= t < CROSS_GREEN_S + YELLOW_S else "red"
