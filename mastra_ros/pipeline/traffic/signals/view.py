"""What is known of one junction at one moment; what a policy decides on, and what it decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from ..junction.layout import Junction, Movement, Phase


@dataclass(frozen=True)
class LaneNow:
    """What a camera said of a lane last.

    queued of the vehicles stand; fill: share of the seen length that vehicles take, 0 to 1.
    """

    vehicles: float
    queued: float
    fill: float = 0.0


EMPTY = LaneNow(0.0, 0.0)


@dataclass(frozen=True)
class View:
    """One junction at one moment.

    lanes: by name, of approaches and exits, those of which fresh news has come. phase: that is
    green, or that is coming. green_s: for how long it has been green, 0 before. waited_s: for how
    long each lane has had red with somebody waiting. shares: of the vehicles of its lane that take
    a movement, by the name of the movement. flows: vehicles an hour, by movement.
    """

    junction: Junction
    now_ns: int
    lanes: Mapping[str, LaneNow]
    phase: str
    green_s: float
    waited_s: Mapping[str, float] = field(default_factory=dict)
    shares: Mapping[str, float] = field(default_factory=dict)
    flows: Mapping[str, float] = field(default_factory=dict)

    def lane(self, name: str) -> LaneNow:
        """What is known of a lane; nothing there where nothing is known."""
        return self.lanes.get(name, EMPTY)

    def share(self, movement: Movement) -> float:
        """Of the vehicles of its lane, those that take this movement."""
        found = self.shares.get(movement.name)
        return 1.0 / len(self.junction.lanes[movement.lane]) if found is None else found

    def blocked(self, movement: Movement, fill_max: float) -> bool:
        """Whether its exit is too full to take in any more."""
        return bool(movement.exit) and self.lane(movement.exit).fill > fill_max


@dataclass(frozen=True)
class Choice:
    """What a policy wants: a phase, how long, what then (empty: as decided next), and why."""

    phase: str
    green_s: float
    reason: str
    then: str = ""


class Policy(Protocol):
    """A way to time signals. Pure: the same views give the same choices."""

    def decide(self, view: View) -> Choice:
        """What should be green for the coming seconds."""
        ...


def longest_wait(view: View, wait_max_s: float, fill_max: float) -> Phase | None:
    """The phase for the lane that has waited longest, where that is too long and it can go."""
    for waited_s, lane in sorted(((s, name) for name, s in view.waited_s.items()), reverse=True):
        if waited_s < wait_max_s:
            return None
        ways = [one for one in view.junction.lanes[lane] if not view.blocked(one, fill_max)]
        served = {
            phase.name: sum(
                view.share(one) * (1.0 if one.name in phase.free else 0.5)
                for one in ways
                if one.name in phase.green
            )
            for phase in view.junction.phases
        }
        best = max(served, key=lambda name: served[name])
        if served[best] > 0:
            return view.junction.phase(best)
    return None
