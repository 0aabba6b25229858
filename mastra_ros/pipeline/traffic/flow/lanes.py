"""One lane, or line, of one camera: what crossed it and how it was filled, by interval.

Sums are kept, so that intervals can be put together; figures are worked out when they are asked.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

HEADWAY_MAX_S = 120.0
"""Beyond it two vehicles do not follow each other."""
PLATOON_S = 4.0
"""Vehicles closer than this after each other leave a queue together."""
LOST_FIRST = 4
"""Of a queue that leaves, the headways of the first are longer (Highway Capacity Manual)."""


@dataclass
class Sums:
    """Of one interval."""

    types: dict[str, int] = field(default_factory=dict)
    speed_kmh: float = 0.0
    speeds: int = 0
    headway_s: float = 0.0
    headways: int = 0
    saturated_s: float = 0.0
    saturated: int = 0
    watched_s: float = 0.0  # of windows in which the lane was told
    occupied_s: float = 0.0
    queued_s: float = 0.0  # vehicles times seconds
    queued_max: int = 0
    queue_m_max: float = 0.0

    def add(self, other: Sums) -> None:
        """Another interval's as well."""
        for name, count in other.types.items():
            self.types[name] = self.types.get(name, 0) + count
        for name in _SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.queued_max = max(self.queued_max, other.queued_max)
        self.queue_m_max = max(self.queue_m_max, other.queue_m_max)

    def figures(self, seen_s: float, interval_s: float) -> dict[str, Any]:
        """What it says, of an interval of which so much was seen; None: not known.

        count and types are what was seen; flow_per_h is over the time that was seen, not known
        where that is less than half of the interval. delay_s: by Little's law, what stood over what
        left. queue: vehicles, the most and on average.
        """
        count = sum(self.types.values())
        known = seen_s >= 0.5 * interval_s
        return {
            "count": count,
            "types": dict(sorted(self.types.items())),
            "seen": round(min(1.0, seen_s / interval_s), 4),
            "flow_per_h": _ratio(3600.0 * count, seen_s) if known else None,
            "headway_s": _ratio(self.headway_s, self.headways),
            "speed_kmh": _ratio(self.speed_kmh, self.speeds),
            "saturation_flow_per_h": (
                _ratio(3600.0 * self.saturated, self.saturated_s) if self.saturated >= 5 else None
            ),
            "occupancy": _ratio(self.occupied_s, self.watched_s, 4),
            "queue_mean": _ratio(self.queued_s, self.watched_s),
            "queue_max": self.queued_max if self.watched_s else None,
            "queue_m_max": round(self.queue_m_max, 1) if self.watched_s else None,
            "delay_s": _ratio(self.queued_s, count) if known and self.watched_s else None,
        }


_SUMS = (
    *("speed_kmh", "speeds", "headway_s", "headways", "saturated_s", "saturated"),
    *("watched_s", "occupied_s", "queued_s"),
)


def _ratio(above: float, below: float, digits: int = 2) -> float | None:
    return round(above / below, digits) if below else None


@dataclass
class Lane:
    """Sums by interval, and the vehicle before the next one."""

    sums: dict[int, Sums] = field(default_factory=dict)  # by number of the interval
    last_ns: int = 0
    in_platoon: int = 0

    def at(self, number: int) -> Sums:
        """The sums of an interval."""
        return self.sums.setdefault(number, Sums())

    def crossed(self, number: int, stamp_ns: int, *, unbroken: bool) -> None:
        """A vehicle has; unbroken: the camera has seen all of the time since the one before."""
        headway_s = (stamp_ns - self.last_ns) / 1e9
        if self.last_ns and unbroken and 0 < headway_s <= HEADWAY_MAX_S:
            sums = self.at(number)
            sums.headway_s += headway_s
            sums.headways += 1
            self.in_platoon = self.in_platoon + 1 if headway_s <= PLATOON_S else 0
            if self.in_platoon > LOST_FIRST:
                sums.saturated_s += headway_s
                sums.saturated += 1
        elif headway_s > 0:
            self.in_platoon = 0
        self.last_ns = max(self.last_ns, stamp_ns)

    def to_plain(self) -> list[Any]:
        """As plain values."""
        told = {str(number): asdict(sums) for number, sums in self.sums.items()}
        return [told, self.last_ns, self.in_platoon]

    @classmethod
    def of_plain(cls, plain: list[Any]) -> Lane:
        """From plain values."""
        told, last_ns, in_platoon = plain
        sums = {int(number): Sums(**values) for number, values in told.items()}
        return cls(sums, last_ns, in_platoon)
