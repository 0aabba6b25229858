"""The closed loop in one process, without sockets: for tuning, and for many seeds.

The very classes of device and gateway are in it (camera's events, `Timing`, `SignalGuard`); what is
left out is their way as records over a session, which changes no decision.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ...pipeline.traffic.events import Presence, Turning
from ...pipeline.traffic.junction.guard import SignalGuard
from ...pipeline.traffic.junction.layout import Junction
from ...pipeline.traffic.junction.records import state_of_shown
from ...pipeline.traffic.signals.timing import EVERY_S, Timing
from ...pipeline.traffic.signals.view import Policy
from .scenario import Scenario, Signals
from .sensing import Camera, Sensing, layout_for
from .world import Outcome, World

MakePolicy = Callable[[Junction], Policy]


@dataclass
class Corner:
    """One junction of the loop: its camera, what times it, and what guards it."""

    signals: Signals
    camera: Camera
    timing: Timing
    guard: SignalGuard
    shown: str = ""
    by_plan_s: int = 0


def run_closed(
    scenario: Scenario,
    make_policy: MakePolicy,
    seed: int,
    sensing: Sensing,
    *,
    name: str = "",
    all_red_s: float | None = None,
    blind_from_s: float = float("inf"),
) -> Outcome:
    """One run. all_red_s: after yellow, instead of the layout's. blind_from_s: from then on, after
    the beginning, no camera sees anything.
    """
    with World(scenario, seed) as world:
        if all_red_s is not None:
            scenario = with_all_red(scenario, all_red_s)
        corners = [_corner(world, one, make_policy, sensing, seed) for one in scenario.signals]
        while True:
            sees = world.now_s - scenario.begin_s < blind_from_s and sensing.radius_m > 0
            for corner in corners:
                _second(world, corner, sees=sees)
            if not world.step():
                break
        return world.outcome(name or "policy", sensing.name, seed)


def with_all_red(scenario: Scenario, all_red_s: float) -> Scenario:
    """The scenario with so long an all-red at each of its junctions."""
    signals = tuple(
        replace(one, junction=replace(one.junction, all_red_s=all_red_s))
        for one in scenario.signals
    )
    return replace(scenario, signals=signals)


def _corner(
    world: World, signals: Signals, make_policy: MakePolicy, sensing: Sensing, seed: int
) -> Corner:
    junction = layout_for(signals, sensing)
    return Corner(
        signals,
        Camera(world, signals, sensing, seed),
        Timing(junction, make_policy(junction)),
        SignalGuard(junction, world.now_ns),
    )


def _second(world: World, corner: Corner, *, sees: bool) -> None:
    """What happens at a junction before SUMO's next second."""
    now_s = world.now_s
    camera, timing, guard = corner.camera, corner.timing, corner.guard
    every_s = int(EVERY_S)
    if sees:
        # A second before the decision, where it takes a second to be told.
        due = (now_s + camera.late_s - world.scenario.begin_s) % every_s == 0
        camera.look(now_s, presence=due)
        told = camera.told(now_s)
        if told:
            timing.take(state_of_shown(guard.junction, guard.step(world.now_ns), world.now_ns))
        for event in told:
            if isinstance(event, (Presence, Turning)):
                timing.take(event)
        if timing.due() and (plan := timing.decide()) is not None:
            guard.offer(plan, world.now_ns)
    shown = guard.step(world.now_ns)
    corner.by_plan_s += shown.by == "plan"
    if shown.colours != corner.shown:
        corner.shown = shown.colours
        world.show(corner.signals.junction.name, shown.colours)
