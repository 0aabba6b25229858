"""The closed loop: SUMO's vehicles, what cameras see, what the gateway's half makes of it, signals.

Who makes the plans is a `Cloud`: `Direct` is the very `Timing` of the gateway in this process, for
tuning and for many seeds; `Recorded` puts the whole application between, with its records and
artefacts as bytes; a session with a real gateway is in `mastra traffic simulate`. All of them make
the same decisions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from ...artefacts import Artefact
from ...pipeline.application import SeenRecord
from ...pipeline.traffic.cloud.application import TrafficCloud
from ...pipeline.traffic.events import Event, Presence, Turning
from ...pipeline.traffic.junction.guard import Shown, SignalGuard
from ...pipeline.traffic.junction.layout import Junction
from ...pipeline.traffic.junction.plan import SignalPlan
from ...pipeline.traffic.junction.records import (
    SignalState,
    junction_record,
    state_of_shown,
    state_record,
)
from ...pipeline.traffic.signals.timing import EVERY_S, Timing
from ...pipeline.traffic.signals.view import Policy
from ...records import Record, unpack_body
from .scenario import Scenario, Signals
from .sensing import Camera, Sensing, layout_for
from .world import Outcome, World

MakePolicy = Callable[[Junction], Policy]
Told = Event | SignalState


class Cloud(Protocol):
    """The gateway's half, of all junctions of a scenario."""

    def tell(self, number: int, told: Sequence[Told]) -> SignalPlan | bytes | None:
        """What the junction of this number says; a plan for it, where one is made of that."""
        ...


class Direct:
    """The decisions alone."""

    def __init__(self, junctions: Sequence[Junction], make_policy: MakePolicy) -> None:
        self._timings = [Timing(one, make_policy(one)) for one in junctions]

    def tell(self, number: int, told: Sequence[Told]) -> SignalPlan | None:
        """See Cloud."""
        timing = self._timings[number]
        for one in told:
            if isinstance(one, (Presence, Turning, SignalState)):
                timing.take(one)
        return timing.decide() if timing.due() else None


class Recorded:
    """The application, with all that is said as bytes."""

    def __init__(
        self,
        junctions: Sequence[Junction],
        policy: str = "fullest",
        parameters: Mapping[str, float] | None = None,
        begin_ns: int = 0,
    ) -> None:
        self.application = TrafficCloud()
        self.records: list[SeenRecord] = []
        self._policy = policy
        for number, junction in enumerate(junctions):
            told = junction_record(junction, begin_ns, policy=policy, parameters=parameters)
            self._show(number, told)

    def tell(self, number: int, told: Sequence[Told]) -> bytes | None:
        """See Cloud."""
        plan = None
        for one in told:
            plan = self._show(number, record_of(one)) or plan
        return plan

    def _show(self, number: int, record: Record) -> bytes | None:
        seen = SeenRecord(
            *(len(self.records) + 1, "site", stream_of(number), record.kind, record.stamp_ns),
            committed_s=0.0,
            body=unpack_body(record.packed()),
        )
        self.records.append(seen)
        plan = None
        for answer in self.application.on_record(seen):
            if isinstance(answer, Artefact):
                plan = answer.data
        return plan


def stream_of(number: int) -> str:
    """The stream of the junction of this number."""
    return f"junction-{number}"


def record_of(told: Told, run: str = "") -> Record:
    """The record of anything that a device tells here."""
    return state_record(told, run) if isinstance(told, SignalState) else told.to_record(run)


@dataclass
class Corner:
    """One junction of the loop: its camera, and what guards its signals."""

    number: int
    signals: Signals
    camera: Camera
    guard: SignalGuard
    last: Shown | None = None  # what was shown in the second before


@dataclass
class Watched:
    """What is counted beside the delay: seconds under a plan, and under the static one."""

    by_plan_s: int = 0
    by_static_s: int = 0
    refused: int = 0


def run_closed(
    scenario: Scenario,
    make_policy: MakePolicy | None,
    seed: int,
    sensing: Sensing,
    *,
    cloud: Cloud | None = None,
    name: str = "policy",
    all_red_s: float | None = None,
    sees: tuple[float, float] = (0.0, float("inf")),
    watched: Watched | None = None,
) -> Outcome:
    """One run. cloud: who makes plans, if not `Direct` with this policy. all_red_s: after yellow,
    instead of the layout's. sees: from when until when, s from the beginning, cameras see anything.
    """
    if all_red_s is not None:
        scenario = with_all_red(scenario, all_red_s)
    junctions = [layout_for(one, sensing) for one in scenario.signals]
    if cloud is None:
        assert make_policy is not None
        cloud = Direct(junctions, make_policy)
    watched = watched or Watched()
    with World(scenario, seed) as world:
        corners = [
            Corner(
                *(number, one, Camera(world, one, sensing, seed)),
                SignalGuard(junctions[number], world.now_ns),
            )
            for number, one in enumerate(scenario.signals)
        ]
        while True:
            since_s = world.now_s - scenario.begin_s
            for corner in corners:
                told = _look(world, corner, since_s) if sees[0] <= since_s < sees[1] else []
                plan = cloud.tell(corner.number, told) if told else None
                sees_now = sees[0] <= since_s < sees[1]
                _show(world, corner, plan, watched, sees=sees_now)
            if not world.step():
                break
        watched.refused = sum(one.guard.refused for one in corners)
        return world.outcome(name, sensing.name, seed)


def with_all_red(scenario: Scenario, all_red_s: float) -> Scenario:
    """The scenario with so long an all-red at each of its junctions."""
    signals = tuple(
        replace(one, junction=replace(one.junction, all_red_s=all_red_s))
        for one in scenario.signals
    )
    return replace(scenario, signals=signals)


def _look(world: World, corner: Corner, since_s: int) -> list[Told]:
    """What arrives this second of what the camera saw, after what is shown."""
    camera, guard = corner.camera, corner.guard
    # A second before the decision, where it takes a second to be told.
    camera.look(world.now_s, presence=(since_s + camera.late_s) % int(EVERY_S) == 0)
    seen = camera.told(world.now_s)
    if not seen:
        return []
    last = corner.last or guard.step(world.now_ns)
    return [state_of_shown(guard.junction, last, world.now_ns), *seen]


def _show(
    world: World,
    corner: Corner,
    plan: SignalPlan | bytes | None,
    watched: Watched,
    *,
    sees: bool,
) -> None:
    if plan is not None:
        corner.guard.offer(plan, world.now_ns)
    occupied = False
    if sees and corner.last is not None and not corner.last.green:  # else nobody asks
        corner.camera.look_within(world.now_s)
        occupied = corner.camera.occupied(world.now_s)
    shown = corner.guard.step(world.now_ns, occupied=occupied)
    watched.by_plan_s += shown.by == "plan"
    watched.by_static_s += shown.by == "static"
    if corner.last is None or shown.colours != corner.last.colours:
        world.show(corner.signals.junction.name, shown.colours)
    corner.last = shown
