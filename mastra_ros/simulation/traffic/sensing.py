"""What cameras at a junction would see of SUMO's vehicles, told as the events of the device.

`PERFECT` sees every vehicle within 100 m of the stop line, at once, and knows where it will go:
each movement is a lane of its own (at 200 m the policy did worse). `CAMERA` sees 100 m of each
lane, and of each exit; it misses one vehicle in ten (anew every 10 s, so that missing is no noise
that an average takes away), knows no intentions, and what it tells is a second old.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from dataclasses import dataclass
from zlib import crc32

from ...pipeline.traffic.events import Crossing, LanePresence, Presence, Turning
from ...pipeline.traffic.junction.layout import Junction
from ...pipeline.traffic.signals.timing import EVERY_S
from .scenario import Signals
from .world import World

QUEUE_SPEED_M_S = 5 / 3.6
SPACE_M = 6.0
"""A standing vehicle takes about so much of a lane: 4.3 m and the gap to the next."""
MISSED_S = 10
Told = Presence | Crossing | Turning


@dataclass(frozen=True)
class Sensing:
    """How well is seen. radius_m: from the stop line. missed: share of the vehicles. late_s: how
    old what is told is. movements: whether the way that a vehicle will take is known.
    """

    name: str
    radius_m: float
    missed: float
    late_s: int
    movements: bool


PERFECT = Sensing("perfect", 100.0, 0.0, 0, True)
CAMERA = Sensing("camera", 100.0, 0.1, 1, False)
BLIND = Sensing("blind", 0.0, 1.0, 0, False)
SENSINGS = {one.name: one for one in (PERFECT, CAMERA, BLIND)}


def layout_for(signals: Signals, sensing: Sensing) -> Junction:
    """The junction as its camera tells it: with movements as lanes where these are known."""
    if not sensing.movements:
        return signals.junction
    movements = tuple(dataclasses.replace(m, lane=m.name) for m in signals.junction.movements)
    return dataclasses.replace(signals.junction, movements=movements)


class Camera:
    """All cameras of one junction. Call `look` each second, `told` where something is due."""

    def __init__(self, world: World, signals: Signals, sensing: Sensing, seed: int) -> None:
        self._sumo = world.sumo
        self._signals = signals
        self._sensing = sensing
        self._seed = seed
        self._links = [one.name for one in signals.junction.movements]
        self._names = [one.lane for one in layout_for(signals, sensing).movements]
        self._ways = {(one.lane, one.exit): one for one in signals.junction.movements}
        self._via = self._internal_lanes()
        self._before: dict[str, set[str]] = {}
        self._waiting: deque[tuple[int, list[Told]]] = deque()
        self._tracks: dict[str, int] = {}
        nodes = {via.rsplit("_", 2)[0] for via in self._via}
        every = self._sumo.lane.getIDList()
        self._box = [lane for lane in every if lane.rsplit("_", 2)[0] in nodes]
        self._within: deque[tuple[int, bool]] = deque(maxlen=8)

    @property
    def late_s(self) -> int:
        """How old what is told is."""
        return self._sensing.late_s

    def _internal_lanes(self) -> dict[str, int]:
        links = self._sumo.trafficlight.getControlledLinks(self._signals.junction.name)
        return {via: number for number, link in enumerate(links) for _, _, via in link}

    def look(self, now_s: int, *, presence: bool, crossings: bool = True) -> None:
        """A second has passed; presence: whether the lanes are told now."""
        seen: list[Told] = []
        if crossings:
            seen += self._crossings(now_s)
        if presence:
            seen.append(self._presence(now_s))
        if seen:
            self._waiting.append((now_s + self._sensing.late_s, seen))

    def told(self, now_s: int) -> list[Told]:
        """What arrives by now."""
        arrived: list[Told] = []
        while self._waiting and self._waiting[0][0] <= now_s:
            arrived += self._waiting.popleft()[1]
        return arrived

    def look_within(self, now_s: int) -> None:
        """See who stands within the junction."""
        vehicle = self._sumo.vehicle
        standing = any(
            vehicle.getSpeed(one) < QUEUE_SPEED_M_S and not self._missed(one, now_s)
            for lane in self._box
            for one in self._sumo.lane.getLastStepVehicleIDs(lane)
        )
        self._within.append((now_s + self._sensing.late_s, standing))

    def occupied(self, now_s: int) -> bool:
        """Whether somebody stands within the junction, or did a second ago: as far as is known."""
        known = [stood for at_s, stood in self._within if at_s <= now_s]
        return any(known[-2:])

    # -- inside ----------------------------------------------------------------------------

    def _missed(self, vehicle: str, now_s: int) -> bool:
        if not self._sensing.missed:
            return False
        drawn = crc32(f"{vehicle} {now_s // MISSED_S} {self._seed}".encode()) / 2**32
        return drawn < self._sensing.missed

    def _presence(self, now_s: int) -> Presence:
        vehicle = self._sumo.vehicle
        name, radius_m = self._signals.junction.name, self._sensing.radius_m
        counts: dict[str, list[float]] = {one: [0, 0, 0.0] for one in self._names}
        for one in vehicle.getIDList():
            ahead = vehicle.getNextTLS(one)
            if not ahead or ahead[0][0] != name or ahead[0][2] > radius_m:
                continue
            if self._missed(one, now_s):
                continue
            _, link, distance_m, _ = ahead[0]
            count = counts[self._names[link]]
            count[0] += 1
            if vehicle.getSpeed(one) < QUEUE_SPEED_M_S:
                count[1] += 1
                count[2] = max(count[2], distance_m)
        lanes = [
            LanePresence(lane, int(seen), int(queued), queue_m, visible_m=radius_m)
            for lane, (seen, queued, queue_m) in counts.items()
        ]
        lanes += [self._exit(exit_, now_s) for exit_ in self._signals.exits]
        return Presence(now_s * 10**9, EVERY_S * 1e3, tuple(lanes))

    def _exit(self, name: str, now_s: int) -> LanePresence:
        lanes, length_m = self._signals.exits[name]
        seen = [
            one
            for lane in lanes
            for one in self._sumo.lane.getLastStepVehicleIDs(lane)
            if not self._missed(one, now_s)
        ]
        if length_m > self._sensing.radius_m:
            seen = [
                one
                for one in seen
                if self._sumo.vehicle.getLanePosition(one) < self._sensing.radius_m
            ]
        queued = sum(self._sumo.vehicle.getSpeed(one) < QUEUE_SPEED_M_S for one in seen)
        return LanePresence(
            name, len(seen), queued, visible_m=min(length_m, max(1.0, self._sensing.radius_m))
        )

    def _crossings(self, now_s: int) -> list[Told]:
        found: list[Told] = []
        for lane in self._signals.junction.lanes:
            now = set(self._sumo.lane.getLastStepVehicleIDs(lane))
            for one in sorted(self._before.get(lane, set()) - now):
                found += self._crossed(one, lane, now_s)
            self._before[lane] = now
        return found

    def _crossed(self, vehicle: str, lane: str, now_s: int) -> list[Told]:
        if self._missed(vehicle, now_s):
            return []
        try:
            on = self._sumo.vehicle.getLaneID(vehicle)
            speed_kmh = 3.6 * self._sumo.vehicle.getSpeed(vehicle)
        except self._sumo.TraCIException:
            return []  # it has arrived
        link = self._via.get(on)
        if link is not None:
            way = self._signals.junction.movements[link]
        elif (lane, on) in self._ways:
            way = self._ways[lane, on]
        else:
            return []  # it has changed lanes
        track = self._tracks.setdefault(vehicle, len(self._tracks) + 1)
        stamp_ns = now_s * 10**9
        told_as = way.name if self._sensing.movements else lane
        return [
            Crossing(stamp_ns, track, "stop line", told_as, "in", "car", round(speed_kmh, 1)),
            Turning(stamp_ns, track, told_as, way.exit, "car"),
        ]
