"""SUMO itself, one run of it: begun, stepped by a second, asked, and told what signals show.

`libsumo` runs in this process, one simulation at a time. Vehicles are never teleported out of a
jam, so that a jam costs what it costs.
"""

from __future__ import annotations

import math
import tempfile
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from ...errors import DependencyError, MastraError
from .scenario import HOW, Scenario

GRIDLOCK_S = 300.0
"""A run whose mean delay is above it, or half of whose vehicles stand at the end, has jammed."""


@dataclass(frozen=True)
class Outcome:
    """What one run cost. delay_s: mean of time loss and departure delay over all vehicles, also
    those that did not arrive or never departed. unfinished, undeparted: how many of these.
    """

    scenario: str
    policy: str
    sensing: str
    seed: int
    delay_s: float
    vehicles: int
    unfinished: int
    undeparted: int
    worst_s: float  # of any vehicle
    emergencies: int  # brakings at the limit, and collisions

    @property
    def gridlocked(self) -> bool:
        """Whether the traffic came to a stand."""
        return self.delay_s > GRIDLOCK_S or self.undeparted > 0.1 * self.vehicles


class World:
    """A run of a scenario; a context manager. Raises DependencyError, MastraError."""

    def __init__(self, scenario: Scenario, seed: int, additional: str = "") -> None:
        """additional: XML of SUMO, such as programs of signals."""
        try:
            import libsumo
        except ImportError:
            raise DependencyError(f"libsumo is not installed; {HOW}") from None
        self.sumo: Any = libsumo
        self.scenario = scenario
        self.now_s = scenario.begin_s
        self._folder = tempfile.TemporaryDirectory(prefix="mastra-sumo-")
        folder = Path(self._folder.name)
        self._trips = folder / "trips.xml"
        self._figures = folder / "figures.xml"
        options = [
            *("--net-file", str(scenario.network), "--route-files", str(scenario.routes)),
            *("--begin", str(scenario.begin_s), "--end", str(scenario.end_s)),
            *("--seed", str(seed), "--time-to-teleport", "-1"),
            *("--no-warnings", "true", "--no-step-log", "true"),
            *("--tripinfo-output", str(self._trips)),
            *("--statistic-output", str(self._figures)),
            *("--tripinfo-output.write-unfinished", "true"),
            *("--tripinfo-output.write-undeparted", "true"),
        ]
        if additional:
            (folder / "more.xml").write_text(f"<additional>{additional}</additional>")
            options += ["--additional-files", str(folder / "more.xml")]
        try:
            self.sumo.start(["sumo", *options])
        except self.sumo.TraCIException as error:
            self._folder.cleanup()
            raise MastraError(f"{scenario.name}: SUMO does not start: {error}") from None

    def __enter__(self) -> World:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def now_ns(self) -> int:
        """Time of day in the scenario, as a stamp."""
        return self.now_s * 10**9

    def step(self) -> bool:
        """A second passes; False when the scenario is over."""
        self.sumo.simulationStep()
        self.now_s += 1
        return self.now_s < self.scenario.end_s

    def show(self, junction: str, colours: str) -> None:
        """What the signals of a junction show from now on."""
        self.sumo.trafficlight.setRedYellowGreenState(junction, colours)

    def outcome(self, policy: str, sensing: str, seed: int) -> Outcome:
        """End the run, and say what it cost."""
        self.sumo.close()
        trips = ElementTree.parse(self._trips).getroot()  # noqa: S314 - SUMO has just written it
        delays, unfinished, undeparted = [], 0, 0
        for trip in trips.iter("tripinfo"):
            delay_s = float(trip.get("timeLoss", 0)) + float(trip.get("departDelay", 0))
            delays.append(delay_s)
            departed = float(trip.get("depart", -1)) >= 0
            undeparted += not departed
            unfinished += departed and float(trip.get("arrival", -1)) < 0
        safety = ElementTree.parse(self._figures).getroot().find("safety")  # noqa: S314
        assert safety is not None
        emergencies = sum(
            int(safety.get(name, 0))
            for name in ("collisions", "emergencyBraking", "emergencyStops")
        )
        self.close()
        if not delays:
            raise MastraError(f"{self.scenario.name}: there were no vehicles")
        return Outcome(
            *(self.scenario.name, policy, sensing, seed),
            delay_s=math.fsum(delays) / len(delays),
            vehicles=len(delays),
            unfinished=unfinished,
            undeparted=undeparted,
            worst_s=max(delays),
            emergencies=emergencies,
        )

    def close(self) -> None:
        """Closing twice does nothing."""
        if self.sumo.isLoaded():
            self.sumo.close()
        self._folder.cleanup()
