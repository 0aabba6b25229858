"""Timing of one junction: takes in what its device tells, and says every 5 s what comes next.

Pure: time is that of the stamps, which the device's clock made. All of the state is in `to_plain`.
Where an approach has not been seen of late there is no plan, and the device shows its static one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from ..events import LanePresence, Presence, Turning
from ..junction.layout import Junction
from ..junction.plan import SignalPlan
from ..junction.records import SignalState
from .view import Choice, LaneNow, Policy, View

EVERY_S = 5.0
FRESH_S = 12.0
"""News of a lane older than this is none."""
VALID_S = 15.0
"""A plan is good for so long after the newest record that it rests on: three decisions."""
SPACE_M = 6.5
"""A standing vehicle takes so much of a lane, with the gap to the next."""
SHARE_PRIOR = 0.5
SHARE_MEMORY = 0.997
"""Each vehicle that turns off a lane makes those before it count this much less."""
FLOW_S = 900.0
TURNED_MAX = 2000


class Timing:
    """One junction under one policy."""

    def __init__(self, junction: Junction, policy: Policy) -> None:
        self.junction = junction
        self.policy = policy
        self.why_not = "nothing has been seen"
        self._lanes: dict[str, tuple[int, LaneNow]] = {}  # stamp, what was seen
        self._waiting_since: dict[str, int] = {}  # by lane
        self._phase = junction.static[0].phase
        self._green = True
        self._since_ns = 0
        self._decided_ns = -(2**62)
        self._newest_ns = 0
        self._turned: dict[str, float] = {}  # by movement
        self._flow: deque[tuple[int, str]] = deque()
        self._flowed: dict[str, int] = {}  # of these, by movement
        self._names = {*junction.lanes, *(one.exit for one in junction.movements)}
        self._ways = {(one.lane, one.exit): one.name for one in junction.movements}

    def take(self, event: Presence | Turning | SignalState) -> None:
        """Take in what has been told; what is none of this junction's is passed over."""
        if isinstance(event, Presence):
            self._newest_ns = max(self._newest_ns, event.stamp_ns)
            for lane in event.lanes:
                if lane.lane not in self._names:
                    continue
                known = self._lanes.get(lane.lane)
                if known is None or known[0] <= event.stamp_ns:
                    self._lanes[lane.lane] = (event.stamp_ns, lane_now(lane))
            self._note_waiting(event.stamp_ns)
        elif isinstance(event, SignalState):
            self._show(event)
        else:
            self._turn(event)

    def told(self) -> dict[str, Any]:
        """What is known now, for who asks."""
        view = self.view()
        return {
            "newest_ns": self._newest_ns,
            "phase": self._phase,
            "green": self._green,
            "lanes": {
                name: {"vehicles": one.vehicles, "queued": one.queued, "fill": round(one.fill, 3)}
                for name, one in view.lanes.items()
            },
            "waited_s": {name: round(one, 1) for name, one in view.waited_s.items()},
        }

    def due(self) -> bool:
        """Whether a decision is."""
        return self._newest_ns - self._decided_ns >= EVERY_S * 1e9

    def decide(self) -> SignalPlan | None:
        """The plan from what is known; None where an approach is not seen: see `why_not`."""
        self._decided_ns = self._newest_ns
        unseen = [lane for lane in self.junction.lanes if not self._fresh(lane)]
        if unseen:
            self.why_not = f"not seen for {FRESH_S:g} s: {', '.join(unseen)}"[:200]
            return None
        choice = self.policy.decide(self.view())
        self.why_not = ""
        return self._plan(choice)

    def view(self) -> View:
        """What is known, as of the newest stamp."""
        now_ns = self._newest_ns
        return View(
            self.junction,
            now_ns,
            {name: lane for name, (_, lane) in self._lanes.items() if self._fresh(name)},
            self._phase,
            max(0.0, (now_ns - self._since_ns) / 1e9) if self._green else 0.0,
            {lane: (now_ns - since) / 1e9 for lane, since in self._waiting_since.items()},
            self.shares(),
            self.flows(),
        )

    def shares(self) -> dict[str, float]:
        """Of the vehicles of its lane, those that take each movement."""
        shares = {}
        for movements in self.junction.lanes.values():
            counts = {one.name: self._turned.get(one.name, 0.0) + SHARE_PRIOR for one in movements}
            whole = sum(counts.values())
            shares.update({name: count / whole for name, count in counts.items()})
        return shares

    def flows(self) -> dict[str, float]:
        """Vehicles an hour, by movement, over the last quarter of an hour."""
        since_ns = self._newest_ns - int(FLOW_S * 1e9)
        while self._flow and self._flow[0][0] <= since_ns:
            _, name = self._flow.popleft()
            self._flowed[name] -= 1
        return {name: count * 3600.0 / FLOW_S for name, count in self._flowed.items()}

    # -- state -----------------------------------------------------------------------------

    def to_plain(self) -> dict[str, Any]:
        """All of the state as plain values."""
        return {
            "lanes": {
                name: [stamp, lane.vehicles, lane.queued, lane.fill]
                for name, (stamp, lane) in self._lanes.items()
            },
            "waiting": self._waiting_since,
            "shown": [self._phase, self._green, self._since_ns],
            "times": [self._decided_ns, self._newest_ns],
            "turned": self._turned,
            "flow": list(self._flow),
            "why_not": self.why_not,
        }

    def from_plain(self, plain: Mapping[str, Any]) -> None:
        """Take over a state."""
        self._lanes = {
            name: (stamp, LaneNow(*values)) for name, (stamp, *values) in plain["lanes"].items()
        }
        self._waiting_since = dict(plain["waiting"])
        self._phase, self._green, self._since_ns = plain["shown"]
        self._decided_ns, self._newest_ns = plain["times"]
        self._turned = dict(plain["turned"])
        self._flow = deque((stamp, name) for stamp, name in plain["flow"])
        self._flowed = {}
        for _, name in self._flow:
            self._flowed[name] = self._flowed.get(name, 0) + 1
        self.why_not = plain["why_not"]

    # -- inside ----------------------------------------------------------------------------

    def _fresh(self, lane: str) -> bool:
        stamp_ns, _ = self._lanes.get(lane, (-(2**62), None))
        return self._newest_ns - stamp_ns <= FRESH_S * 1e9

    def _note_waiting(self, stamp_ns: int) -> None:
        green = self.junction.phase(self._phase).green if self._green else frozenset()
        for lane, movements in self.junction.lanes.items():
            seen = self._lanes.get(lane)
            goes = any(one.name in green for one in movements)
            if seen is None or goes or not seen[1].queued:
                self._waiting_since.pop(lane, None)
            else:
                self._waiting_since.setdefault(lane, stamp_ns)

    def _show(self, state: SignalState) -> None:
        if state.junction != self.junction.name:
            return
        self.junction.phase(state.phase)
        self._phase, self._green, self._since_ns = state.phase, state.green, state.since_ns

    def _turn(self, event: Turning) -> None:
        name = self._ways.get((event.origin, event.destination))
        if name is None:
            return
        for one in self.junction.lanes[event.origin]:
            self._turned[one.name] = self._turned.get(one.name, 0.0) * SHARE_MEMORY
        self._turned[name] += 1.0
        self._flow.append((event.stamp_ns, name))
        self._flowed[name] = self._flowed.get(name, 0) + 1
        if len(self._flow) > TURNED_MAX:
            self._flowed[self._flow.popleft()[1]] -= 1

    def _plan(self, choice: Choice) -> SignalPlan:
        return SignalPlan(
            self.junction.name,
            choice.phase,
            choice.green_s,
            self.junction.yellow_s,
            choice.reason,
            VALID_S * 1e3,
            self._newest_ns,
            choice.then,
        )


def lane_now(lane: LanePresence) -> LaneNow:
    """What a policy needs of what was seen."""
    fill = lane.vehicles * SPACE_M / lane.visible_m if lane.visible_m else lane.occupancy
    return LaneNow(lane.vehicles, lane.queued, min(1.0, fill))
