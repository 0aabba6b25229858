"""While the gate of privacy is shut no frame is sent away, and no frame is without its result."""

from __future__ import annotations

from mastra_ros.config import SchedulingConfig
from mastra_ros.types import GateState, Route

from .test_scheduler import MS, Simulation

SHUT = GateState("faces_and_plates", "its model is not here", False, "")
OPEN = GateState("faces_and_plates", "", False, "faces_and_plates:0")


def told(simulation: Simulation, state: GateState) -> None:
    simulation._do(simulation.scheduler.on_gate(state, int(simulation.now_ms * MS)))


def origins(simulation: Simulation, since_ms: float) -> set[Route]:
    return {
        result.origin
        for key, result in simulation.finals.items()
        if simulation.captured_ms[key] >= since_ms
    }


def test_a_shut_gate_closes_the_route_and_says_so_and_an_open_one_gives_it_back() -> None:
    simulation = Simulation(SchedulingConfig())
    simulation.run(3000.0)
    assert Route.CLOUD in origins(simulation, 2000.0)
    told(simulation, SHUT)
    archived = len(simulation.archived)
    simulation.run(6000.0)
    assert origins(simulation, 3000.0) == {Route.LOCAL}
    reasons = {
        r.reason for k, r in simulation.finals.items() if simulation.captured_ms[k] >= 3000.0
    }
    assert any("its model is not here" in reason for reason in reasons)
    assert len(simulation.archived) == archived  # what may not leave is not worth keeping
    told(simulation, OPEN)
    simulation.run(12000.0)
    assert Route.CLOUD in origins(simulation, 10000.0)
    entered = {key for key, ms in simulation.captured_ms.items() if ms < 11_500.0}
    assert entered <= set(simulation.finals)


def test_features_that_may_not_leave_close_the_route_split_alone() -> None:
    simulation = Simulation(SchedulingConfig(), Route.SPLIT)
    told(simulation, OPEN)
    simulation.run(3000.0)
    assert origins(simulation, 0.0) == {Route.LOCAL}
    reasons = {result.reason for result in simulation.finals.values()}
    assert "privacy: features may not leave" in reasons
