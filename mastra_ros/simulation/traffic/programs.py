"""Programs that SUMO runs itself: fixed time and actuated, as XML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...pipeline.traffic.junction.guard import keeps, seamless
from ...pipeline.traffic.junction.layout import Junction
from .scenario import Scenario
from .world import Outcome, World

Greens = Sequence[float]


def transition(junction: Junction, leaving: str, to: str) -> str:
    """The state between two phases; empty where nothing loses its green."""
    before, after = junction.phase(leaving), junction.phase(to)
    if seamless(before, after):
        return ""
    letters = []
    for one in junction.movements:
        if one.name in before.green and keeps(before, after, one.name):
            letters.append("G" if one.name in before.free else "g")
        else:
            letters.append("y" if one.name in before.green else "r")
    return "".join(letters)


def state(junction: Junction, phase: str) -> str:
    """What a phase shows, a letter a movement."""
    shown = junction.phase(phase)
    return "".join(
        "G" if one.name in shown.free else "g" if one.name in shown.permissive else "r"
        for one in junction.movements
    )


def fixed(junction: Junction, greens: Greens, offset_s: float = 0.0) -> str:
    """A program of fixed times: seconds of green for each phase; one of 0 s is left out."""
    phases = []
    used = [(one.name, green) for one, green in zip(junction.phases, greens, strict=True) if green]
    for place, (name, green_s) in enumerate(used):
        phases.append(f'<phase duration="{green_s:g}" state="{state(junction, name)}"/>')
        between = transition(junction, name, used[(place + 1) % len(used)][0])
        if between:
            phases.append(f'<phase duration="{junction.yellow_s:g}" state="{between}"/>')
    head = f'<tlLogic id="{junction.name}" programID="mastra" type="static" offset="{offset_s:g}">'
    return f"{head}{''.join(phases)}</tlLogic>"


def actuated(
    junction: Junction, minimums: Greens, maximums: Greens, parameters: Mapping[str, float]
) -> str:
    """An actuated program (gaps between vehicles at detectors end a green).

    parameters: as SUMO calls them: max-gap, detector-gap, passing-time.
    """
    phases = []
    names = [one.name for one in junction.phases]
    for place, name in enumerate(names):
        bounds = f'minDur="{minimums[place]:g}" maxDur="{maximums[place]:g}"'
        shown = state(junction, name)
        phases.append(f'<phase duration="{minimums[place]:g}" {bounds} state="{shown}"/>')
        between = transition(junction, name, names[(place + 1) % len(names)])
        if between:
            phases.append(f'<phase duration="{junction.yellow_s:g}" state="{between}"/>')
    told = "".join(f'<param key="{name}" value="{value:g}"/>' for name, value in parameters.items())
    head = f'<tlLogic id="{junction.name}" programID="mastra" type="actuated" offset="0">'
    return f"{head}{''.join(phases)}{told}</tlLogic>"


def run_own(scenario: Scenario, policy: str, seed: int) -> Outcome:
    """One run in which SUMO switches the signals: the `network`'s program, or `actuated`."""
    xml = ""
    if policy == "actuated":
        for one in scenario.signals:
            count = len(one.junction.phases)
            xml += actuated(one.junction, [5.0] * count, [50.0] * count, {})
    return run_programs(scenario, policy, seed, xml)


def run_programs(scenario: Scenario, policy: str, seed: int, xml: str) -> Outcome:
    """One run with these programs."""
    with World(scenario, seed, xml) as world:
        while world.step():
            pass
        return world.outcome(policy, "detectors" if policy == "actuated" else "none", seed)
