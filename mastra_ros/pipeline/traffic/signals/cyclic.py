"""Policies that go round: fixed time, and Webster's cycle from the flows that are measured.

F. V. Webster, Traffic Signal Settings, Road Research Technical Paper 39 (1958).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..junction.layout import Junction
from .view import Choice, View

LOST_S = 1.0
"""Of each green at its start, beside yellow and all-red."""
CYCLE_MIN_S, CYCLE_MAX_S = 30.0, 120.0


def go_round(view: View, greens: Mapping[str, float], reason: str) -> Choice:
    """Stay, or go on to the phase after this one; times of green by phase, 0: left out."""
    names = [one.name for one in view.junction.phases if greens.get(one.name, 0.0) > 0]
    if view.phase not in names:
        return Choice(names[0], greens[names[0]], reason)
    left_s = max(0.0, greens[view.phase] - view.green_s)
    after = names[(names.index(view.phase) + 1) % len(names)]
    return Choice(view.phase, left_s, reason, then=after)


@dataclass(frozen=True)
class FixedTime:
    """Seconds of green by phase; those of the junction's static plan where none are given."""

    greens: tuple[tuple[str, float], ...] = ()

    def decide(self, view: View) -> Choice:
        """What the plan says."""
        greens = dict(self.greens) or {one.phase: one.green_s for one in view.junction.static}
        return go_round(view, greens, "fixed time")


@dataclass(frozen=True)
class Webster:
    """The cycle of least delay for what flows, worked out anew at each change.

    saturation: vehicles an hour that a lane lets through while it is green.
    """

    saturation: float = 1800.0

    def decide(self, view: View) -> Choice:
        """Stay, or go on."""
        greens = webster_greens(view.junction, view.flows, self.saturation)
        return go_round(view, greens, f"cycle of {sum(greens.values()):.0f} s of green")


def webster_greens(
    junction: Junction, flows: Mapping[str, float], saturation: float = 1800.0
) -> dict[str, float]:
    """Seconds of green of each phase, from vehicles an hour of each movement.

    The busiest lane of a phase counts, of its free movements. A cycle lasts (1.5 L + 5) / (1 - Y),
    L the time lost in it, Y the sum of flow over saturation; 30 to 120 s.
    """
    ratios = {}
    for phase in junction.phases:
        by_lane: dict[str, float] = {}
        for one in junction.movements:
            if one.name in phase.free:
                by_lane[one.lane] = by_lane.get(one.lane, 0.0) + flows.get(one.name, 0.0)
        ratios[phase.name] = max(by_lane.values(), default=0.0) / saturation
    lost_s = (LOST_S + junction.yellow_s + junction.all_red_s) * len(ratios)
    whole = sum(ratios.values())
    cycle_s = (1.5 * lost_s + 5.0) / (1.0 - min(whole, 0.95))
    green_s = min(CYCLE_MAX_S, max(CYCLE_MIN_S, cycle_s)) - lost_s
    equal = 1.0 / len(ratios)
    return {
        name: max(junction.min_green_s, green_s * (one / whole if whole else equal))
        for name, one in ratios.items()
    }
