"""Max pressure: P. Varaiya, Max pressure control of a network of signalized intersections,
Transportation Research Part C 36 (2013), 177-195.

The pressure of a movement is what waits before it less what stands where it leads; the phase of the
greatest sum goes. Nothing else is asked: no limit to waiting, no look at what fills up beyond that.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..junction.layout import Phase
from .view import Choice, View


@dataclass(frozen=True)
class MaxPressure:
    """horizon_s: how long each choice is for."""

    horizon_s: float = 5.0

    def decide(self, view: View) -> Choice:
        """The phase under most pressure."""
        found = {one.name: self.pressure(view, one) for one in view.junction.phases}
        best = max(found, key=lambda name: (found[name], name == view.phase))
        return Choice(best, self.horizon_s, f"most pressure: {found[best]:.1f}")

    def pressure(self, view: View, phase: Phase) -> float:
        """Of a phase."""
        total = 0.0
        for one in view.junction.movements:
            if one.name in phase.green:
                before = view.lane(one.lane).vehicles * view.share(one)
                total += before - (view.lane(one.exit).vehicles if one.exit else 0.0)
        return total
