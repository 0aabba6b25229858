"""Zones: from where to where one went, and who stands where none should."""

from __future__ import annotations

from dataclasses import dataclass

from mastra_ros.pipeline.traffic.events import Stopped, Turning
from mastra_ros.pipeline.traffic.site.site import Site, Zone
from mastra_ros.pipeline.traffic.tracks import TrackView

STOPPED_KMH = 3.0
STOPPED_SIZES_S = 0.12
MOVED_SIZES = 0.6
"""One that has moved so many of its sizes from where it stood goes again, however slowly."""


class Turnings:
    """Origin and destination of each track: the first zone that held it, and the next other one."""

    def __init__(self, site: Site) -> None:
        self._zones = site.zones_for("turning")
        self._origin: dict[int, tuple[str, int]] = {}
        self._done: set[int] = set()

    def clear(self) -> None:
        self._origin = {}

    def forget(self, numbers: set[int]) -> None:
        self._origin = {n: one for n, one in self._origin.items() if n in numbers}
        self._done &= numbers

    def update(self, views: list[TrackView]) -> list[Turning]:
        made = []
        for view in views:
            if view.number in self._done or not view.found:
                continue
            zone = next((z for z in self._zones if z.holds(*view.foot)), None)
            if zone is None:
                continue
            origin, since_ns = self._origin.setdefault(view.number, (zone.name, view.stamp_ns))
            if origin == zone.name:
                self._origin[view.number] = (origin, view.stamp_ns)
                continue
            self._done.add(view.number)
            travel_s = (view.stamp_ns - since_ns) / 1e9
            made.append(Turning(view.stamp_ns, view.number, origin, zone.name, view.type, travel_s))
        return made


@dataclass
class _Standing:
    zone: Zone
    since_ns: int
    x: float
    y: float
    type: str
    seen_ns: int
    told: bool = False


class Standings:
    """Who stands in a zone for `stopping`; told when the time is over, and when it goes again."""

    def __init__(self, site: Site) -> None:
        self._zones = site.zones_for("stopping")
        self._standing: dict[int, _Standing] = {}

    def clear(self) -> None:
        self._standing = {}

    def update(
        self, stamp_ns: int, views: list[TrackView], speeds_kmh: dict[int, float | None]
    ) -> list[Stopped]:
        made = []
        for view in views:
            if view.type == "person" or not view.found:
                continue
            zone = next((z for z in self._zones if z.holds(*view.foot)), None)
            kmh = speeds_kmh.get(view.number)
            slow = view.sizes_s < STOPPED_SIZES_S if kmh is None else kmh < STOPPED_KMH
            one = self._standing.get(view.number)
            size = max(1.0, (view.width_px * view.height_px) ** 0.5)
            x, y = view.foot
            if one is not None and one.zone is zone:
                near = abs(x - one.x) + abs(y - one.y) < MOVED_SIZES * size
                if near:
                    one.seen_ns = view.stamp_ns
                    if not one.told and view.stamp_ns - one.since_ns >= one.zone.stopped_s * 1e9:
                        one.told = True
                        made.append(self._event(view.number, one, view.stamp_ns, False))
                    continue
            if one is not None:
                made += self._end(view.number, view.stamp_ns)
            if zone is not None and slow:
                self._standing[view.number] = _Standing(
                    zone, view.stamp_ns, x, y, view.type, view.stamp_ns
                )
        here = {view.number for view in views}
        for number, one in list(self._standing.items()):
            if number not in here and stamp_ns - one.seen_ns > 2e9:
                made += self._end(number, one.seen_ns)
        return made

    def _end(self, number: int, stamp_ns: int) -> list[Stopped]:
        one = self._standing.pop(number)
        return [self._event(number, one, stamp_ns, True)] if one.told else []

    @staticmethod
    def _event(number: int, one: _Standing, stamp_ns: int, ended: bool) -> Stopped:
        stood_s = (stamp_ns - one.since_ns) / 1e9
        return Stopped(stamp_ns, number, one.zone.name, one.type, stood_s, ended)
