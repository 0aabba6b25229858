"""Who drives and walks over the drawn crossing: one step after the other, the same for a seed.

Vehicles follow each other by the intelligent driver model (Treiber et al., 2000).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from .junction_layout import COUNT_Y_M, CYCLE_WAYS, WALKS, WAYS, Way, signal
from .plate_drawn import draw_text
from .vehicle_paint import Body
from .vehicle_shape import shape_of

SPEEDS_KMH = {"car": 46, "van": 44, "truck": 38, "bus": 38, "motorcycle": 48, "bicycle": 17}
SHARES = {"car": 0.62, "van": 0.13, "truck": 0.09, "bus": 0.06, "motorcycle": 0.1}
WALK_KMH = 4.8
TURN_KMH = 20.0
PASSAGES_KEPT = 4096


@dataclass
class Rider:
    """One on its way: how far along, and how fast."""

    number: int
    kind: str
    way: Way
    body: Body
    wanted_mps: float
    plate: str
    country: str
    along_m: float = 0.0
    mps: float = 0.0
    place: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Passage:
    """A vehicle's middle went over the line `near`: the truth for counts."""

    at_s: float
    number: int
    kind: str
    lane: str
    direction: str  # in: towards the camera; out: away from it
    plate: str
    speed_kmh: float


@dataclass
class Traffic:
    """All who are on their ways. `step` moves them on."""

    seed: int
    per_minute: float
    at_s: float = 0.0
    riders: list[Rider] = field(default_factory=list)
    passages: list[Passage] = field(default_factory=list)
    passed: int = 0

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng([self.seed, 0xC2])
        self._count = 0
        shares = np.array([way.share for way in WAYS])
        self._shares = shares / shares.sum()

    def step(self, dt_s: float) -> None:
        """Move all on by so long, in parts of at most 50 ms."""
        parts = max(1, math.ceil(dt_s / 0.05 - 1e-9))
        for _ in range(parts):
            self._move(dt_s / parts)

    def _move(self, dt: float) -> None:
        self._arrive(dt)
        for rider in self.riders:
            push = self._push(rider)
            rider.mps = max(0.0, rider.mps + push * dt)
        for rider in self.riders:
            before = rider.place[1]
            rider.along_m += rider.mps * dt
            rider.place = rider.way.at(rider.along_m)
            crossed = (before - COUNT_Y_M) * (rider.place[1] - COUNT_Y_M) < 0
            if crossed and rider.kind != "person":
                self._note(rider, before)
        self.riders = [r for r in self.riders if r.along_m < r.way.length_m]
        self.at_s += dt

    def _note(self, rider: Rider, before: float) -> None:
        inwards = rider.place[1] < before
        lane = rider.way.lane
        if rider.way.destination == "south":
            lane = rider.way.lane if rider.way.lane.startswith("in") else "in_outer"
        self.passages.append(
            Passage(
                self.at_s,
                rider.number,
                rider.kind,
                lane,
                "in" if inwards else "out",
                rider.plate,
                rider.mps * 3.6,
            )
        )
        self.passed += 1
        del self.passages[:-PASSAGES_KEPT]

    def _arrive(self, dt: float) -> None:
        rng = self._rng
        if rng.random() < self.per_minute / 60 * dt:
            way = WAYS[rng.choice(len(WAYS), p=self._shares)]
            kind = list(SHARES)[rng.choice(len(SHARES), p=list(SHARES.values()))]
            self._enter(kind, way)
        if rng.random() < self.per_minute / 60 * dt * 0.1:
            self._enter("bicycle", CYCLE_WAYS[rng.integers(2)])
        if rng.random() < self.per_minute / 60 * dt * 0.25:
            self._enter("person", WALKS[rng.integers(len(WALKS))])

    def _enter(self, kind: str, way: Way) -> None:
        rng = self._rng
        shape = shape_of(kind, rng)
        country = ("eu", "us")[int(rng.random() < 0.3)]
        plate = draw_text(rng, country) if shape.plates else ""
        wanted = (SPEEDS_KMH.get(kind, WALK_KMH) * rng.uniform(0.85, 1.15)) / 3.6
        behind = [r for r in self.riders if r.way.lane == way.lane]
        room = min((r.along_m - r.body.shape.length_m / 2 for r in behind), default=1e9)
        if kind != "person" and room < shape.length_m / 2 + 8:
            return
        self._count += 1
        rider = Rider(
            self._count, kind, way, Body(shape, plate, country), wanted, plate, country, 0.0, wanted
        )
        if kind != "person" and room < 40:
            rider.mps = min([wanted, *(r.mps for r in behind)])
        rider.place = way.at(0.0)
        self.riders.append(rider)

    def _push(self, rider: Rider) -> float:
        """Its acceleration in m/s2."""
        wanted, half = rider.wanted_mps, rider.body.shape.length_m / 2
        if rider.way.leaves_m < 1e6 and abs(rider.along_m - rider.way.leaves_m - 4) < 12:
            wanted = min(wanted, TURN_KMH / 3.6)
        gap, ahead_mps = 1e9, wanted
        front = rider.along_m + half
        if rider.kind != "person":
            for other in self.riders:
                if other is rider or other.kind == "person":
                    continue
                between = self._between(rider, other)
                if between is not None and between < gap:
                    gap, ahead_mps = between, other.mps
        to_stop = rider.way.stop_m - front
        light = signal(rider.way.group, self.at_s)
        if light != "green" and to_stop > -0.5:
            can_stop = rider.mps**2 / (2 * max(to_stop, 0.1)) < 4.0
            if (light == "red" or can_stop) and to_stop < gap and (can_stop or to_stop > 3):
                gap, ahead_mps = to_stop + 1.0, 0.0
        most = 1.9
        free = 1 - (rider.mps / max(wanted, 0.1)) ** 4
        if gap > 200:
            return most * max(free, -2.0)
        closing = rider.mps - ahead_mps
        keep = 2.0 + max(0.0, rider.mps * 1.2 + rider.mps * closing / (2 * math.sqrt(most * 2.6)))
        return float(np.clip(most * (free - (keep / max(gap, 0.1)) ** 2), -8.0, most))

    @staticmethod
    def _between(rider: Rider, other: Rider) -> float | None:
        """Metres from its front to the other's rear where that is ahead in its way; None: not."""
        halves = (rider.body.shape.length_m + other.body.shape.length_m) / 2
        apart = other.along_m - rider.along_m
        same = other.way is rider.way
        shared = other.way.lane == rider.way.lane and (
            rider.along_m < min(rider.way.leaves_m, other.way.leaves_m)
            and other.along_m < min(rider.way.leaves_m, other.way.leaves_m) + 5
        )
        if same or shared:
            return apart - halves if apart > 0 else None
        ends = rider.way.points[-1] == other.way.points[-1]
        left, right = rider.way.length_m - rider.along_m, other.way.length_m - other.along_m
        if ends and left < 42 and right < 36 and left > right:
            return left - right - halves
        return None
