"""Our policy from a point of the search: one set of parameters for all scenarios."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.traffic_tuning import Point, scale
from mastra_ros.pipeline.traffic.signals.fullest import Fullest
from mastra_ros.simulation.traffic.closed import run_closed
from mastra_ros.simulation.traffic.scenario import Scenario
from mastra_ros.simulation.traffic.sensing import CAMERA, Sensing

RANGES = {
    "permissive": (0.4, 1.0),
    "fill_max": (0.7, 0.85),
    "wait_max_s": (80.0, 120.0),
    "moving": (0.6, 1.0),
    "stay": (0.0, 4.0),
    "impatience": (0.0, 1.5),
}
"""Of each parameter; what the policy must keep to (an exit over 85 %, 120 s) is their bound."""
BEGIN: tuple[Point, ...] = (
    (0.167, 1.0, 1.0, 1.0, 0.0, 0.0),
    (0.667, 1.0, 1.0, 1.0, 0.25, 0.333),
    (1.0, 1.0, 1.0, 1.0, 0.25, 0.333),
    (0.667, 1.0, 1.0, 1.0, 0.5, 0.333),
    (0.833, 1.0, 1.0, 1.0, 0.5, 0.667),
)
"""The plain policy, and some by hand."""
USUAL_S = {"cologne1": 20.0, "cologne3": 18.0, "ingolstadt1": 13.0}
"""About what the plain policy takes: so that each scenario weighs the same."""


def parameters(point: Point) -> dict[str, float]:
    """What a point stands for."""
    return {
        name: round(scale(value, *bounds), 3)
        for value, (name, bounds) in zip(point, RANGES.items(), strict=True)
    }


def cost(
    scenarios: Sequence[Scenario],
    values: Mapping[str, float],
    seed: int,
    sensing: Sensing = CAMERA,
) -> float:
    """Mean delay of a seed, relative to the usual, over the scenarios."""
    policy = Fullest(**values)
    shares = [
        run_closed(one, lambda _: policy, seed, sensing).delay_s / USUAL_S.get(one.name, 20.0)
        for one in scenarios
    ]
    return sum(shares) / len(shares)
