"""The closed loop on SUMO: the same seed gives the same, however the plans come."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from mastra_ros.cli.main import main
from mastra_ros.errors import ConfigError, MastraError
from mastra_ros.pipeline.traffic.cloud.application import TrafficCloud
from mastra_ros.pipeline.traffic.signals.fullest import Fullest
from mastra_ros.simulation.traffic.closed import Recorded, Watched, run_closed
from mastra_ros.simulation.traffic.programs import actuated, fixed, run_own, run_programs
from mastra_ros.simulation.traffic.scenario import Scenario, find_scenario, read_scenario
from mastra_ros.simulation.traffic.sensing import CAMERA, PERFECT, Sensing, layout_for


@pytest.fixture(scope="session")
def scenario(sumocfg: Path) -> Scenario:
    return read_scenario(sumocfg)


def test_a_network_becomes_a_layout_that_is_safe_to_show(scenario: Scenario) -> None:
    (signals,) = scenario.signals
    junction = signals.junction
    assert len(junction.lanes) == 4
    assert len(junction.movements) == 16  # right, straight, left and back, of each side
    assert len(junction.conflicts) > 10
    assert all(len(one.green) > 1 for one in junction.phases)
    assert {one.phase for one in junction.static} == {one.name for one in junction.phases}


@pytest.mark.parametrize("sensing", [CAMERA, PERFECT], ids=lambda one: one.name)
def test_records_and_the_application_decide_as_the_timing_alone_does(
    scenario: Scenario, sensing: Sensing
) -> None:
    alone = run_closed(scenario, lambda _: Fullest(), 1, sensing)
    junctions = [layout_for(one, sensing) for one in scenario.signals]
    cloud, watched = Recorded(junctions, begin_ns=scenario.begin_s * 10**9), Watched()
    recorded = run_closed(scenario, None, 1, sensing, cloud=cloud, watched=watched)
    assert recorded == alone
    late_s = 5 * sensing.late_s  # until the first plan
    assert (watched.by_plan_s, watched.by_static_s) == (200 - late_s, late_s)
    assert watched.refused == 0
    assert 0 < alone.delay_s < 60
    assert (alone.vehicles, alone.emergencies) == (47, 0)
    again = TrafficCloud()
    for record in cloud.records:
        list(again.on_record(record))
    assert again.snapshot() == cloud.application.snapshot()


def test_when_the_camera_sees_nothing_any_more_the_static_plan_runs(scenario: Scenario) -> None:
    watched = Watched()
    blind = run_closed(scenario, lambda _: Fullest(), 1, CAMERA, sees=(0.0, 60.0), watched=watched)
    # News come in seconds 5 to 55, the last of what was a second before, and is good for 15 s.
    assert (watched.by_plan_s, watched.by_static_s) == (64, 136)
    assert not blind.gridlocked
    never = run_closed(scenario, lambda _: Fullest(), 1, CAMERA, sees=(0.0, 0.0))
    (signals,) = scenario.signals
    greens = [one.green_s for one in signals.junction.static]
    static = run_programs(scenario, "fixed", 1, fixed(signals.junction, greens))
    assert never.delay_s == pytest.approx(static.delay_s, rel=0.15)


def test_vehicles_that_never_depart_are_counted(scenario: Scenario) -> None:
    (signals,) = scenario.signals
    junction = signals.junction
    red = fixed(junction, [600.0, *(0.0 for _ in junction.phases[1:])])
    jammed = run_programs(scenario, "fixed", 1, red)
    free = run_own(scenario, "actuated", 1)
    assert jammed.vehicles == free.vehicles == 47
    assert jammed.unfinished > 10
    assert jammed.delay_s > 2 * free.delay_s


def test_actuated_programs_are_taken_by_sumo(scenario: Scenario) -> None:
    (signals,) = scenario.signals
    count = len(signals.junction.phases)
    xml = actuated(signals.junction, [5.0] * count, [20.0] * count, {"max-gap": 2.0})
    assert run_programs(scenario, "actuated", 1, xml).delay_s > 0
    with pytest.raises(MastraError, match="SUMO does not start"):
        run_programs(scenario, "actuated", 1, "<nonsense")


def test_the_command_says_what_it_cost(
    sumocfg: Path, capfd: pytest.CaptureFixture[str], scenario: Scenario
) -> None:
    arguments = ["traffic", "simulate", str(sumocfg), "--direct", "--policy", "fullest"]
    assert main([*arguments, "--seed", "1", "--format", "json"]) == 0
    told = json.loads(capfd.readouterr().out)
    alone = run_closed(scenario, lambda _: Fullest(), 1, CAMERA, name="fullest")
    assert {name: told[name] for name in dataclasses.asdict(alone)} == dataclasses.asdict(alone)


def test_what_cannot_be_simulated_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], sumocfg: Path
) -> None:
    for arguments, says in (
        (["nowhere"], "expected cologne1, cologne3, ingolstadt1"),
        ([str(tmp_path / "no.sumocfg")], "no such file"),
        (["cologne1", "--scenarios", str(tmp_path)], "there is no cologne1/cologne1.sumocfg"),
        ([str(sumocfg), "--set", "stay=much"], "PARAMETER=NUMBER"),
        ([str(sumocfg), "--set", "nothing=1"], "expected numbers for"),
        ([str(sumocfg), "--runs", "0"], "at least 1"),
    ):
        assert main(["traffic", "simulate", *arguments]) == 2
        error = capsys.readouterr().err
        assert says in error
        assert error.count("\n") == 1


def test_a_scenario_is_read_from_a_folder_of_choice(tmp_path: Path) -> None:
    path = tmp_path / "cologne1" / "cologne1.sumocfg"
    path.parent.mkdir()
    path.write_text("<configuration/>")
    assert find_scenario("cologne1", tmp_path) == path
    with pytest.raises(ConfigError):
        find_scenario("cologne3", tmp_path)
