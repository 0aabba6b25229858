"""The phase with most vehicles goes first; and what was found to make that better.

The plain form counts all vehicles within sight, those of permissive movements half, none into an
exit that is too full, and lets nobody wait beyond a limit. Parameters that were added, each without
effect at its default: vehicles that still move count less than those that stand (`moving`), the
phase that is green keeps an advantage (`stay`, in vehicles: what a change costs those who would go
on), and those who have waited count more (`impatience`, a share a minute).
"""

from __future__ import annotations

from dataclasses import dataclass

from ..junction.layout import Phase
from .view import Choice, View, longest_wait


@dataclass(frozen=True)
class Fullest:
    """Parameters of the policy; see above. horizon_s: how long each choice is for."""

    permissive: float = 0.5
    fill_max: float = 0.85
    wait_max_s: float = 120.0
    moving: float = 1.0
    stay: float = 0.0
    impatience: float = 0.0
    horizon_s: float = 5.0

    def decide(self, view: View) -> Choice:
        """The phase with most vehicles, unless somebody has waited too long."""
        if (due := longest_wait(view, self.wait_max_s, self.fill_max)) is not None:
            return Choice(due.name, self.horizon_s, f"somebody has waited {self.wait_max_s:g} s")
        loads = {one.name: self.load(view, one) for one in view.junction.phases}
        loads[view.phase] += self.stay
        # Of equals the phase that is green, then the first.
        best = max(loads, key=lambda name: (loads[name], name == view.phase))
        if loads[best] <= 0:
            return Choice(view.phase, self.horizon_s, "nobody is seen")
        return Choice(best, self.horizon_s, f"most vehicles: {loads[best]:.1f}")

    def load(self, view: View, phase: Phase) -> float:
        """How many vehicles a phase would serve, weighed."""
        total = 0.0
        for one in view.junction.movements:
            if one.name not in phase.green or view.blocked(one, self.fill_max):
                continue
            lane = view.lane(one.lane)
            if not lane.vehicles:
                continue
            count = lane.queued + self.moving * (lane.vehicles - lane.queued)
            count *= view.share(one) * (
                1.0 + self.impatience * view.waited_s.get(one.lane, 0.0) / 60
            )
            total += count * (1.0 if one.name in phase.free else self.permissive)
        return total


@dataclass(frozen=True)
class Tuned(Fullest):
    """The same with the parameters that did best on SUMO, as bench/traffic_signals.py found them:
    one set for all scenarios, frozen on other seeds than those that it was measured on.
    """

    permissive: float = 0.8
    fill_max: float = 0.828
    stay: float = 1.78
    impatience: float = 0.517
