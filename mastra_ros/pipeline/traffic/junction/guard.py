"""Safety at the edge: what a junction shows, whatever plans come or stay away.

A `SignalGuard` is pure: the clock is an argument, and it is the device's own. Nothing that a plan
says can shorten a minimum green, a yellow or an all-red, or show a phase that the junction does not
have, and the phases of a `Junction` keep to its conflicts. Without a plan that is good *now*, the
static plan runs, from the phase that is shown on.
"""

from __future__ import annotations

from dataclasses import dataclass

from mastra_ros.errors import RecordError

from .layout import Junction, Phase
from .plan import SignalPlan, plan_of

FUTURE_S = 1.0
"""A plan that rests on something later than this from now rests on nothing that this device saw."""
RED, YELLOW, PERMISSIVE, FREE = "r", "y", "g", "G"


@dataclass(frozen=True)
class Shown:
    """What is shown: the phase (or where it is going), and the colour of each movement in order.

    phase: that is green, or that comes after yellow and all-red. green: whether it is green.
    since_ns: when this began. by: "plan" or "static". reason: why, in a few words.
    """

    phase: str
    green: bool
    colours: str  # a letter a movement: r, y, g (gives way), G
    since_ns: int
    by: str
    reason: str


class SignalGuard:
    """Shows one junction. Ask `step` at least once a second; times never go back."""

    def __init__(self, junction: Junction, now_ns: int) -> None:
        self.junction = junction
        self.refused = 0  # plans
        self._plan: SignalPlan | None = None
        self._taken_ns = now_ns
        self._place = 0  # in the static plan
        self._phase = junction.phase(junction.static[0].phase)
        self._leaving: Phase | None = None  # where yellow is shown
        self._since_ns = now_ns  # of green, or of the yellow before it
        self._yellow_s = junction.yellow_s
        self._moved_under: SignalPlan | None = None  # the plan by whose `then` the phase came
        self._latest_ns = now_ns
        self._known: dict[tuple[str, str, bool], str] = {}  # colours, worked out once
        self._why = "no plan has come"

    def offer(self, data: bytes | SignalPlan, now_ns: int) -> str:
        """Take in a plan; why it is refused, or an empty text.

        One that is refused leaves the one before in force, for as long as that is good itself.
        """
        now_ns = self._clock(now_ns)
        try:
            plan = plan_of(data) if isinstance(data, bytes) else data
            self._check(plan, now_ns)
        except RecordError as error:
            self.refused += 1
            self._why = f"plan refused: {error}"[:200]
            return self._why
        self._plan, self._taken_ns = plan, now_ns
        return ""

    def withdraw(self, why: str) -> None:
        """No plan is good any more, as when what the camera sees cannot be trusted."""
        self._plan, self._why = None, why

    def step(self, now_ns: int, *, occupied: bool = False) -> Shown:
        """What to show from now on.

        occupied: somebody stands within the junction, as who turned left and could not go on: all
        red lasts until nobody does, up to `clear_max_s` longer.
        """
        now_ns = self._clock(now_ns)
        plan = self._plan
        if plan is not None and now_ns >= plan.until_ns:
            age_s = (now_ns - plan.stamp_ns) / 1e9
            self.withdraw(f"the plan rests on what was {age_s:.1f} s ago")
            plan = None
        self._turn_green(now_ns, occupied=occupied)
        if self._leaving is None:
            wanted = self._by_plan(plan, now_ns) if plan else self._by_static(now_ns)
            if wanted != self._phase.name and self._green_s(now_ns) >= self.junction.min_green_s:
                self._change(self.junction.phase(wanted), now_ns, plan)
        return Shown(
            self._phase.name,
            self._leaving is None,
            self._colours(now_ns),
            self._since_ns,
            "plan" if plan else "static",
            plan.reason if plan else self._why,
        )

    # -- inside ----------------------------------------------------------------------------

    def _clock(self, now_ns: int) -> int:
        """Never back: a clock that jumps back would make what is red long ago green at once."""
        self._latest_ns = max(self._latest_ns, now_ns)
        return self._latest_ns

    def _check(self, plan: SignalPlan, now_ns: int) -> None:
        junction = self.junction
        if plan.junction != junction.name:
            raise RecordError(f"it is for {plan.junction!r:.80}, not {junction.name}")
        junction.phase(plan.phase)
        if plan.then:
            junction.phase(plan.then)
        if now_ns >= plan.until_ns:
            age_s = (now_ns - plan.stamp_ns) / 1e9
            raise RecordError(f"it rests on what was {age_s:.1f} s ago")
        if plan.stamp_ns > now_ns + int(FUTURE_S * 1e9):
            raise RecordError("it rests on what is in the future by this clock")
        if self._plan is not None and plan.stamp_ns < self._plan.stamp_ns:
            raise RecordError("it is older than the one in force")

    def _green_s(self, now_ns: int) -> float:
        return (now_ns - self._since_ns) / 1e9

    def _by_plan(self, plan: SignalPlan, now_ns: int) -> str:
        if plan.phase != self._phase.name:
            # Where the plan's own phase has been green under it and is over, what follows stays.
            return self._phase.name if self._followed(plan) else plan.phase
        since_ns = max(self._taken_ns, self._since_ns)
        over = plan.then and (now_ns - since_ns) / 1e9 >= plan.green_s
        return plan.then if over else plan.phase

    def _followed(self, plan: SignalPlan) -> bool:
        return bool(plan.then) and self._phase.name == plan.then and self._moved_under is plan

    def _by_static(self, now_ns: int) -> str:
        steps = self.junction.static
        if steps[self._place].phase != self._phase.name:
            places = [n for n, one in enumerate(steps) if one.phase == self._phase.name]
            if not places:
                return steps[self._place].phase
            self._place = places[0]
        if self._green_s(now_ns) < steps[self._place].green_s:
            return self._phase.name
        after = (self._place + 1) % len(steps)
        if steps[after].phase == self._phase.name:
            self._place = after
        return steps[after].phase

    def _change(self, phase: Phase, now_ns: int, plan: SignalPlan | None) -> None:
        self._yellow_s = max(self.junction.yellow_s, plan.yellow_s if plan else 0.0)
        if plan is not None and phase.name == plan.then:
            self._moved_under = plan
        if plan is None:
            steps = self.junction.static
            after = (self._place + 1) % len(steps)
            if steps[after].phase == phase.name:
                self._place = after
        self._leaving = None if seamless(self._phase, phase) else self._phase
        self._phase, self._since_ns = phase, now_ns

    def _turn_green(self, now_ns: int, *, occupied: bool) -> None:
        if self._leaving is not None:
            over_s = self._yellow_s + self.junction.all_red_s
            over_s += self.junction.clear_max_s if occupied else 0.0
            if (now_ns - self._since_ns) / 1e9 >= over_s:
                self._leaving = None
                self._since_ns = now_ns

    def _colours(self, now_ns: int) -> str:
        """Movements that are green before and after a change stay so."""
        letters = []
        to, leaving = self._phase, self._leaving
        yellow = leaving is not None and (now_ns - self._since_ns) / 1e9 < self._yellow_s
        key = (leaving.name if leaving else "", to.name, yellow)
        if key in self._known:
            return self._known[key]
        for one in self.junction.movements:
            name = one.name
            if leaving is None:
                letter = _colour(to, name)
            elif name in leaving.green and name in to.green and keeps(leaving, to, name):
                letter = _colour(leaving, name)
            elif name in leaving.green and yellow:
                letter = YELLOW
            else:
                letter = RED
            letters.append(letter)
        self._known[key] = "".join(letters)
        return self._known[key]


def keeps(leaving: Phase, to: Phase, name: str) -> bool:
    """Whether a movement stays green over a change: not where it had to yield to nobody before."""
    return name in to.free or (name in to.permissive and name in leaving.permissive)


def seamless(leaving: Phase, to: Phase) -> bool:
    """Whether no movement loses anything, so that nobody need be warned or waited for."""
    return all(keeps(leaving, to, name) for name in leaving.green)


def _colour(phase: Phase, name: str) -> str:
    if name in phase.free:
        return FREE
    return PERMISSIVE if name in phase.permissive else RED
