"""All that one camera has told: its lanes, who turned where, and when it saw nothing."""

from __future__ import annotations

from typing import Any

from ..events import CameraState, Crossing, Event, Presence, Stopped, Turning, WrongWay
from .lanes import Lane, Sums
from .spans import Seen

INTERVAL_S = 60
INTERVAL_NS = INTERVAL_S * 10**9
KEPT = 24 * 60
"""Intervals: a day."""
LANES_MAX, TURNS_MAX = 128, 1024
COUNTING = ("sees", "unsure")
"""States of a camera in which what it does not tell has not happened."""


class CameraFlow:
    """Takes in the events of one camera, in the order in which they were told."""

    def __init__(self) -> None:
        self.state = "sees"
        self.newest_ns = 0
        self.dropped = 0  # told too late, or of too many lanes
        self.wrong_way = 0
        self.stopped = 0
        self.crossings: dict[str, int] = {}  # by type, of all time
        self._seen = Seen()
        self._lanes: dict[tuple[str, str], Lane] = {}  # line and lane, or "" and lane
        self._turns: dict[int, dict[tuple[str, str, str], int]] = {}

    @property
    def counts(self) -> bool:
        """Whether what the camera does not tell has not happened."""
        return self.state in COUNTING

    def take(self, event: Event) -> None:
        """Take in one."""
        self.newest_ns = max(self.newest_ns, event.stamp_ns)
        number = event.stamp_ns // INTERVAL_NS
        if number <= self.newest_ns // INTERVAL_NS - KEPT:
            self.dropped += 1
        elif isinstance(event, Crossing):
            self._cross(number, event)
        elif isinstance(event, Turning):
            turns = self._turns.setdefault(number, {})
            way = (event.origin, event.destination, event.type)
            if way in turns or len(turns) < TURNS_MAX:
                turns[way] = turns.get(way, 0) + 1
            else:
                self.dropped += 1
        elif isinstance(event, Presence):
            self._watch(event)
        elif isinstance(event, CameraState):
            self.state = event.state
        elif isinstance(event, WrongWay):
            self.wrong_way += 1
        elif isinstance(event, Stopped):
            self.stopped += not event.ended
        self._forget()

    def intervals(
        self, from_ns: int, to_ns: int, every: int, lane: str = ""
    ) -> list[dict[str, Any]]:
        """Figures of each lane and interval of `every` minutes within these times."""
        told = []
        first, last = from_ns // INTERVAL_NS // every, -(-to_ns // INTERVAL_NS // every)
        for group in range(first, last):
            begin_ns = group * every * INTERVAL_NS
            end_ns = begin_ns + every * INTERVAL_NS
            seen_s = self._seen.within(begin_ns, end_ns) / 1e9
            for line, name in self._rows(lane):
                sums = Sums()
                # What stands in a lane belongs to all lines that cross it.
                for known in {(line, name), ("", name)} & set(self._lanes):
                    for number in range(group * every, (group + 1) * every):
                        if number in self._lanes[known].sums:
                            sums.add(self._lanes[known].sums[number])
                figures = sums.figures(seen_s, every * INTERVAL_S)
                told.append({"from_ns": begin_ns, "line": line, "lane": name, **figures})
        return told

    def turns(self, from_ns: int, to_ns: int) -> list[dict[str, Any]]:
        """The turning table: how many went from where to where, by type."""
        table: dict[tuple[str, str], dict[str, int]] = {}
        for number, turns in self._turns.items():
            if from_ns <= number * INTERVAL_NS < to_ns:
                for (origin, destination, kind), count in turns.items():
                    types = table.setdefault((origin, destination), {})
                    types[kind] = types.get(kind, 0) + count
        return [
            {
                "origin": origin,
                "destination": destination,
                "count": sum(types.values()),
                "types": dict(sorted(types.items())),
            }
            for (origin, destination), types in sorted(table.items())
        ]

    def gaps(self, from_ns: int, to_ns: int) -> list[list[int]]:
        """When nothing was seen, as far as is known yet."""
        return [list(gap) for gap in self._seen.gaps(from_ns, min(to_ns, self.newest_ns))]

    def oldest_ns(self) -> int:
        """When the first interval that is known begins."""
        numbers = [number for lane in self._lanes.values() for number in lane.sums]
        return min([*numbers, *self._turns], default=self.newest_ns // INTERVAL_NS) * INTERVAL_NS

    # -- state -----------------------------------------------------------------------------

    def to_plain(self) -> dict[str, Any]:
        """All of it as plain values."""
        return {
            **{name: getattr(self, name) for name in _PLAIN},
            "seen": self._seen.spans,
            "lanes": [[*name, *lane.to_plain()] for name, lane in self._lanes.items()],
            "turns": [
                [number, [[*way, count] for way, count in turns.items()]]
                for number, turns in self._turns.items()
            ],
        }

    @classmethod
    def of_plain(cls, plain: dict[str, Any]) -> CameraFlow:
        """From plain values."""
        made = cls()
        for name in _PLAIN:
            setattr(made, name, plain[name])
        made._seen = Seen((begin, end) for begin, end in plain["seen"])
        made._lanes = {(line, lane): Lane.of_plain(rest) for line, lane, *rest in plain["lanes"]}
        made._turns = {
            number: {(origin, to, kind): count for origin, to, kind, count in turns}
            for number, turns in plain["turns"]
        }
        return made

    # -- inside ----------------------------------------------------------------------------

    def _rows(self, lane: str) -> list[tuple[str, str]]:
        """Lines with their lanes, and lanes that no line crosses."""
        crossed = {name for line, name in self._lanes if line}
        rows = [(line, name) for line, name in self._lanes if line or name not in crossed]
        return sorted(row for row in rows if lane in ("", row[1]))

    def _lane(self, line: str, lane: str) -> Lane | None:
        known = self._lanes.get((line, lane))
        if known is None:
            if len(self._lanes) >= LANES_MAX:
                self.dropped += 1
                return None
            known = self._lanes[line, lane] = Lane()
        return known

    def _cross(self, number: int, event: Crossing) -> None:
        lane = self._lane(event.line, event.lane)
        if lane is None:
            return
        self.crossings[event.type] = self.crossings.get(event.type, 0) + 1
        sums = lane.at(number)
        sums.types[event.type] = sums.types.get(event.type, 0) + 1
        if event.speed_kmh is not None:
            sums.speed_kmh += event.speed_kmh
            sums.speeds += 1
        unbroken = self._seen.whole(lane.last_ns, min(event.stamp_ns, self._latest_seen()))
        lane.crossed(number, event.stamp_ns, unbroken=unbroken)

    def _latest_seen(self) -> int:
        spans = self._seen.spans
        return spans[-1][1] if spans else 0

    def _watch(self, event: Presence) -> None:
        if not self.counts:
            return
        # A window that ends with an interval belongs to it; a long one to that of its middle.
        number = (event.stamp_ns - int(event.window_ms * 5e5)) // INTERVAL_NS
        window_s = event.window_ms / 1e3
        self._seen.add(event.stamp_ns - int(event.window_ms * 1e6), event.stamp_ns)
        for one in event.lanes:
            lane = self._lane("", one.lane)
            if lane is None:
                continue
            sums = lane.at(number)
            sums.watched_s += window_s
            sums.occupied_s += window_s * one.occupancy
            sums.queued_s += window_s * one.queued
            sums.queued_max = max(sums.queued_max, one.queued)
            sums.queue_m_max = max(sums.queue_m_max, one.queue_m or 0.0)

    def _forget(self) -> None:
        oldest = self.newest_ns // INTERVAL_NS - KEPT
        for lane in self._lanes.values():
            while lane.sums and (first := next(iter(lane.sums))) <= oldest:
                del lane.sums[first]
        while self._turns and (first := next(iter(self._turns))) <= oldest:
            del self._turns[first]


_PLAIN = ("state", "newest_ns", "dropped", "wrong_way", "stopped", "crossings")
