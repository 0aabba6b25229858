"""Fixed time and SUMO's actuated control: programs of SUMO from a point of the search."""

from __future__ import annotations

from bench.traffic_tuning import Point, scale
from mastra_ros.pipeline.traffic.junction.layout import Junction
from mastra_ros.simulation.traffic import programs
from mastra_ros.simulation.traffic.scenario import Scenario

CYCLE_S = (25.0, 120.0)
SKIPPED = 0.05
"""A phase of a smaller share of all green is left out, if its movements are green elsewhere."""


# -- fixed time: of each junction the cycle, the offset and a weight a phase ----------------------


def fixed_dimensions(scenario: Scenario) -> int:
    """How many numbers make a fixed program."""
    return sum(2 + len(one.junction.phases) for one in scenario.signals)


def fixed_xml(scenario: Scenario, point: Point) -> str:
    """The programs of all junctions; they share one cycle where there are several of them."""
    xml, at = "", 0
    cycle_s = scale(point[0], *CYCLE_S)
    for one in scenario.signals:
        junction = one.junction
        offset_s = scale(point[at + 1], 0.0, cycle_s)
        weights = point[at + 2 : at + 2 + len(junction.phases)]
        xml += programs.fixed(junction, greens_of(junction, cycle_s, weights), round(offset_s))
        at += 2 + len(junction.phases)
    return xml


def greens_of(junction: Junction, cycle_s: float, weights: Point) -> list[float]:
    """Seconds of green a phase, for a cycle of this length."""
    whole = sum(weights) or 1.0
    used = [weight / whole >= SKIPPED for weight in weights]
    for place, phase in enumerate(junction.phases):
        others = [p.green for n, p in enumerate(junction.phases) if n != place and used[n]]
        if not used[place] and not phase.green <= frozenset().union(*others):
            used[place] = True
    left_s = max(5.0 * sum(used), cycle_s - junction.yellow_s * sum(used))
    kept = sum(weight for weight, one in zip(weights, used, strict=True) if one) or 1.0
    return [
        max(junction.min_green_s, float(round(left_s * weight / kept))) if one else 0.0
        for weight, one in zip(weights, used, strict=True)
    ]


def fixed_begin(scenario: Scenario) -> list[Point]:
    """The program of the network, at three cycles."""
    points = []
    for cycle in (0.3, 0.5, 0.7):
        point: list[float] = []
        for one in scenario.signals:
            longest = max(step.green_s for step in one.junction.static)
            point += [cycle, 0.0, *(step.green_s / longest for step in one.junction.static)]
        points.append(tuple(point))
    return points


# -- actuated: three numbers of the detectors, and of each phase a shortest and longest time -------


def actuated_dimensions(scenario: Scenario) -> int:
    """How many numbers make an actuated program."""
    return 3 + sum(2 * len(one.junction.phases) for one in scenario.signals)


def actuated_xml(scenario: Scenario, point: Point) -> str:
    """The programs of all junctions."""
    parameters = {
        "max-gap": scale(point[0], 1.0, 5.0),
        "detector-gap": scale(point[1], 0.5, 4.0),
        "passing-time": scale(point[2], 1.0, 3.0),
    }
    xml, at = "", 3
    for one in scenario.signals:
        count = len(one.junction.phases)
        shortest = [round(scale(value, 5.0, 12.0)) for value in point[at : at + count]]
        longest = [round(scale(value, 10.0, 70.0)) for value in point[at + count : at + 2 * count]]
        bounds = [max(low, high) for low, high in zip(shortest, longest, strict=True)]
        xml += programs.actuated(one.junction, shortest, bounds, parameters)
        at += 2 * count
    return xml


def actuated_begin(scenario: Scenario) -> list[Point]:
    """SUMO's own defaults, and two shorter gaps."""
    points = []
    for gap in (0.5, 0.25, 0.1):
        point = [gap, 0.43, 0.45]
        for one in scenario.signals:
            count = len(one.junction.phases)
            point += [0.0] * count + [0.67] * count
        points.append(tuple(point))
    return points
