"""A junction with signals: which movements there are, which phases, and what may never be green.

A *movement* leads from a lane to an exit. A *phase* says which movements have green: `free` ones
need yield to nobody, `permissive` ones give way to others. Told as a map of plain values, so that a
record or a parameter file can carry it: `to_body`, `junction_of`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from mastra_ros.errors import RecordError

MOVEMENTS_MAX, PHASES_MAX = 64, 32
NAME_MAX = 64


@dataclass(frozen=True)
class Movement:
    """A way over the junction: from the lane of this name to the exit of this name.

    lanes: names by which cameras tell what waits for it; several movements may share one.
    """

    name: str
    lane: str
    exit: str = ""

    def __post_init__(self) -> None:
        for what in ("name", "lane", "exit"):
            _check_name(what, getattr(self, what), empty=what == "exit")


@dataclass(frozen=True)
class Phase:
    """Movements that are green together, by name."""

    name: str
    free: tuple[str, ...]
    permissive: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_name("phase", self.name)
        both = set(self.free) & set(self.permissive)
        if both or not self.green:
            raise RecordError(
                f"phase {self.name}: expected movements that are free or permissive, got "
                f"{', '.join(sorted(both)) + ' in both' if both else 'none'}"
            )

    @cached_property
    def green(self) -> frozenset[str]:
        """All movements that may go."""
        return frozenset((*self.free, *self.permissive))


@dataclass(frozen=True)
class Step:
    """A phase of the static plan, and how long it is green."""

    phase: str
    green_s: float

    def __post_init__(self) -> None:
        check_seconds("static: green_s", self.green_s, 1.0, 600.0)


@dataclass(frozen=True)
class Junction:
    """All of it. Raises RecordError where it makes no sense, so one that exists is safe to show.

    conflicts: pairs of movements whose ways cross or join; of such a pair never both are free in
    one phase. never: pairs that may not be green together at all, not even permissive.
    static: the plan that is shown when there is no other; steps in a circle.
    yellow_s, all_red_s: between phases; min_green_s: of each phase; max_wait_s: no movement is red
    for longer while somebody waits there. clear_max_s: all red lasts at most so much longer while
    somebody is seen to stand within the junction.
    """

    name: str
    movements: tuple[Movement, ...]
    phases: tuple[Phase, ...]
    static: tuple[Step, ...]
    conflicts: tuple[tuple[str, str], ...] = ()
    never: tuple[tuple[str, str], ...] = ()
    yellow_s: float = 3.0
    all_red_s: float = 1.0
    min_green_s: float = 5.0
    max_wait_s: float = 120.0
    clear_max_s: float = 10.0
    _phases: dict[str, Phase] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        _check_name("junction", self.name)
        check_seconds("yellow_s", self.yellow_s, 1.0, 10.0)
        check_seconds("all_red_s", self.all_red_s, 0.0, 10.0)
        check_seconds("min_green_s", self.min_green_s, 1.0, 60.0)
        check_seconds("max_wait_s", self.max_wait_s, 10.0, 3600.0)
        check_seconds("clear_max_s", self.clear_max_s, 0.0, 60.0)
        if not 0 < len(self.movements) <= MOVEMENTS_MAX or not 0 < len(self.phases) <= PHASES_MAX:
            raise RecordError(
                f"{self.name}: expected 1 to {MOVEMENTS_MAX} movements and 1 to {PHASES_MAX} "
                f"phases, got {len(self.movements)} and {len(self.phases)}"
            )
        names = {one.name for one in self.movements}
        self._phases.update({one.name: one for one in self.phases})
        if len(names) < len(self.movements) or len(self._phases) < len(self.phases):
            raise RecordError(f"{self.name}: expected names that stand once")
        named = {name for pair in (*self.conflicts, *self.never) for name in pair}
        named.update(*(one.green for one in self.phases))
        if unknown := named - names:
            raise RecordError(f"{self.name}: no movement {', '.join(sorted(unknown)):.200}")
        if not self.static or (missing := {one.phase for one in self.static} - set(self._phases)):
            raise RecordError(
                f"{self.name}: static: expected steps of known phases, got "
                f"{', '.join(sorted(missing)) if self.static else 'none'}"
            )
        for phase in self.phases:
            self._check(phase)
        shown = frozenset().union(*(self._phases[one.phase].green for one in self.static))
        if left_out := {name for one in self.phases for name in one.green} - shown:
            raise RecordError(
                f"{self.name}: static: never gives green to {', '.join(sorted(left_out)):.200}"
            )

    def _check(self, phase: Phase) -> None:
        free = set(phase.free)
        for one, other in self.conflicts:
            if one in free and other in free:
                raise RecordError(
                    f"{self.name}: phase {phase.name}: {one} and {other} conflict, "
                    f"and both are free"
                )
        for one, other in self.never:
            if one in phase.green and other in phase.green:
                raise RecordError(
                    f"{self.name}: phase {phase.name}: {one} and {other} may never both be green"
                )

    def phase(self, name: str) -> Phase:
        """The phase of this name; RecordError where there is none."""
        found = self._phases.get(name)
        if found is None:
            raise RecordError(f"{self.name}: no phase {name!r:.80}")
        return found

    @cached_property
    def lanes(self) -> dict[str, tuple[Movement, ...]]:
        """The movements of each lane."""
        by_lane: dict[str, tuple[Movement, ...]] = {}
        for one in self.movements:
            by_lane[one.lane] = (*by_lane.get(one.lane, ()), one)
        return by_lane

    def to_body(self) -> dict[str, Any]:
        """As a map of plain values; movements are numbers, so that it stays small."""
        number = {one.name: place for place, one in enumerate(self.movements)}

        def pairs(given: tuple[tuple[str, str], ...]) -> list[int]:
            return [number[one] * MOVEMENTS_MAX + number[other] for one, other in given]

        return {
            "junction": self.name,
            "movements": [[one.name, one.lane, one.exit] for one in self.movements],
            "phases": [
                [one.name, [number[m] for m in one.free], [number[m] for m in one.permissive]]
                for one in self.phases
            ],
            "static": [[one.phase, one.green_s] for one in self.static],
            "conflicts": pairs(self.conflicts),
            "never": pairs(self.never),
            **{name: getattr(self, name) for name in _SECONDS},
        }


_SECONDS = ("yellow_s", "all_red_s", "min_green_s", "max_wait_s", "clear_max_s")


def junction_of(body: Mapping[str, Any]) -> Junction:
    """The junction in a map that anybody may have made; RecordError where it is none."""
    try:
        movements = tuple(Movement(*one) for one in body["movements"])
        names = [one.name for one in movements]

        def pairs(given: Any) -> tuple[tuple[str, str], ...]:
            return tuple((names[n // MOVEMENTS_MAX], names[n % MOVEMENTS_MAX]) for n in given)

        return Junction(
            body["junction"],
            movements,
            tuple(
                Phase(name, tuple(names[m] for m in free), tuple(names[m] for m in permissive))
                for name, free, permissive in body["phases"]
            ),
            tuple(Step(*one) for one in body["static"]),
            pairs(body.get("conflicts", ())),
            pairs(body.get("never", ())),
            **{name: body[name] for name in _SECONDS if name in body},
        )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise RecordError(f"junction: {type(error).__name__}: {error!s:.200}") from None


def check_seconds(what: str, value: object, low: float, high: float) -> None:
    """RecordError unless it is a number of seconds within the bounds."""
    good = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not good or not low <= value <= high:  # type: ignore[operator]
        raise RecordError(f"{what}: expected {low:g} to {high:g} s, got {value!r:.40}")


def _check_name(what: str, text: object, *, empty: bool = False) -> None:
    if empty and text == "":
        return
    if type(text) is not str or not 0 < len(text) <= NAME_MAX or not text.isprintable():
        raise RecordError(
            f"{what}: expected a name of 1 to {NAME_MAX} characters, got {text!r:.80}"
        )
