"""The launch files offer the usual arguments and set what they are given, and only that."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from mastra_ros.config import STAGES, parameters_of
from mastra_ros.config.files import load_parameters
from mastra_ros.errors import ConfigError, MastraError
from mastra_ros.nodes.run.compose import ORDER

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(ROOT.glob("launch/*.launch.py"))
USUAL = ["namespace", "params_file", "use_sim_time", "autostart", "use_respawn", "log_level"]
FACTORY = ROOT / "launch/factory_inspection.launch.py"
STAGES_OF_FACTORY = set(ORDER)
EVERY_FILE = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.name))

EVERY_PIPELINE = pytest.mark.parametrize(
    "pipeline", ["factory_inspection", "medical_ultrasound", "traffic"]
)


def stages_calls(path: Path) -> Iterator[ast.Call]:
    """The calls of `stages` in a launch file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "stages":
            yield node


def topics_published() -> set[str]:
    """The topics that the nodes advertise, read from their code."""
    code = "\n".join(p.read_text(encoding="utf-8") for p in ROOT.glob("mastra_ros/nodes/**/*.py"))
    return set(re.findall(r'(?:advertise\(|FramePublisher\()\s*\w+,\s*"([^"]+)"', code))


@EVERY_FILE
def test_what_an_argument_sets_is_declared(path: Path) -> None:
    calls = list(stages_calls(path))
    assert calls
    for call in calls:
        for stage in call.args:
            assert ast.literal_eval(stage) in STAGES
        for keyword in call.keywords:
            stage, _, parameter = ast.literal_eval(keyword.value).partition(".")
            assert parameter in parameters_of(STAGES[stage])


@EVERY_PIPELINE
def test_the_views_show_topics_that_we_publish(pipeline: str) -> None:
    rviz = yaml.safe_load((ROOT / f"config/{pipeline}.rviz").read_text(encoding="utf-8"))
    shown = {display["Topic"]["Value"] for display in rviz["Visualization Manager"]["Displays"]}
    layout = (ROOT / f"config/{pipeline}.foxglove.json").read_text(encoding="utf-8")
    json.loads(layout)
    shown |= set(re.findall(r'"(/[a-z_]+)[."]', layout))
    assert {topic.lstrip("/") for topic in shown} <= topics_published() | {"diagnostics"}
    assert len(shown) >= 7


@pytest.mark.parametrize("pipeline", ["factory_inspection", "traffic"])
def test_rviz_looks_at_the_coordinate_frame_of_the_camera(pipeline: str) -> None:
    rviz = yaml.safe_load((ROOT / f"config/{pipeline}.rviz").read_text(encoding="utf-8"))
    parameters = yaml.safe_load((ROOT / f"config/{pipeline}.yaml").read_text("utf-8"))
    frame_id = parameters["/**/camera"]["ros__parameters"]["frame_id"]
    assert rviz["Visualization Manager"]["Global Options"]["Fixed Frame"] == frame_id


def test_rviz_looks_at_the_reference_of_the_probe() -> None:
    rviz = yaml.safe_load((ROOT / "config/medical_ultrasound.rviz").read_text(encoding="utf-8"))
    frame_id = rviz["Visualization Manager"]["Global Options"]["Fixed Frame"]
    for stage in ("probe", "ultrasound"):
        assert parameters_of(STAGES[stage])["reference_frame"].default == frame_id


def test_frames_are_named_as_rep_103_names_those_of_cameras() -> None:
    parameters = yaml.safe_load((ROOT / "config/factory_inspection.yaml").read_text("utf-8"))
    assert parameters["/**/camera"]["ros__parameters"]["frame_id"].endswith("_optical")
    assert parameters_of(STAGES["camera"])["frame_id"].default.endswith("_optical")


def test_no_view_asks_for_a_calibration_that_nobody_has() -> None:
    for file in ("factory_inspection.foxglove.json", "traffic.foxglove.json", "traffic.rviz"):
        text = (ROOT / "config" / file).read_text("utf-8")
        assert "camera_info" not in text
        assert "calibration" not in text


@EVERY_PIPELINE
def test_the_layout_of_foxglove_shows_each_panel_once(pipeline: str) -> None:
    layout = json.loads((ROOT / f"config/{pipeline}.foxglove.json").read_text("utf-8"))

    def panels(part: Any) -> list[str]:
        return [part] if isinstance(part, str) else panels(part["first"]) + panels(part["second"])

    assert sorted(panels(layout["layout"])) == sorted(layout["configById"])


def described(path: Path) -> Any:
    pytest.importorskip("launch_ros", reason="launch is not installed here")
    spec = importlib.util.spec_from_file_location("launch_file", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.generate_launch_description()


def commands(path: Path, **given: str) -> dict[str, str]:
    """The command line of each process of the stages, by executable, given these arguments."""
    pytest.importorskip("launch_ros", reason="launch is not installed here")
    from launch import LaunchContext
    from launch.actions import DeclareLaunchArgument, OpaqueFunction

    context = LaunchContext()
    context.launch_configurations.update(given)
    found = {}
    for entity in described(path).entities:
        if isinstance(entity, DeclareLaunchArgument):
            entity.visit(context)
        elif isinstance(entity, OpaqueFunction):
            for node in entity.visit(context) or []:
                node._perform_substitutions(context)
                node_name, namespace = node.node_name, node.expanded_node_namespace
                if node.node_executable != "composed":  # there each node keeps its own name
                    assert node_name == f"{namespace.rstrip('/')}/{node.node_executable}"
                context.extend_locals({"ros_specific_arguments": {"name": "", "ns": namespace}})
                line = " ".join(
                    "".join(part.perform(context) for part in word) for word in node.cmd
                )
                found[node.node_executable] = line
    return found


def parameters_in(line: str) -> dict[str, Any]:
    """What the parameter files written by launch hold; the one given is left out."""
    values: dict[str, Any] = {}
    for file in re.findall(r"--params-file (\S+)", line):
        if "launch_params" in file:
            for block in yaml.safe_load(Path(file).read_text(encoding="utf-8")).values():
                values.update(block["ros__parameters"])
    return values


@EVERY_FILE
def test_a_pipeline_offers_one_process_and_rviz(path: Path) -> None:
    called = {
        one.func.id
        for one in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(one, ast.Call) and isinstance(one.func, ast.Name)
    }
    assert path.name == "gateway.launch.py" or {"composed", "rviz", "stages"} <= called


@EVERY_FILE
def test_every_argument_is_described_and_the_usual_are_there(path: Path) -> None:
    arguments = described(path).get_launch_arguments()
    assert [argument.name for argument in arguments][: len(USUAL)] == USUAL
    assert all(len(argument.description) > 8 for argument in arguments)


@EVERY_FILE
@pytest.mark.parametrize("composed", ["true", "false"])
def test_nothing_given_sets_nothing(path: Path, composed: str) -> None:
    for executable, line in commands(path, composed=composed).items():
        assert executable in (*STAGES, "composed")
        of_pipeline = Path(f"config/{path.name.split('.')[0]}.yaml")
        own = of_pipeline if (ROOT / of_pipeline).is_file() else "config/factory_inspection.yaml"
        assert str(own) in line
        assert parameters_in(line) == {}


@pytest.mark.parametrize(
    ("given", "processes"),
    [
        ({}, {"composed"}),
        ({"use_respawn": "true"}, STAGES_OF_FACTORY),
        ({"composed": "true", "use_respawn": "true"}, {"composed"}),
        ({"composed": "false"}, STAGES_OF_FACTORY),
    ],
)
def test_the_nodes_share_a_process_unless_they_are_to_be_started_again_one_by_one(
    given: dict[str, str], processes: set[str]
) -> None:
    assert set(commands(FACTORY, **given)) == processes


@EVERY_FILE
def test_a_parameter_file_that_is_not_there_is_an_error(path: Path) -> None:
    with pytest.raises(ConfigError, match=r"params_file: expected .* at '/nowhere.yaml'"):
        commands(path, params_file="/nowhere.yaml")


GIVEN = {
    "namespace": "line1",
    "source": "folder:/data",
    "gateway": "wss://gateway:8443",
    "autostart": "false",
    "use_sim_time": "true",
    "log_level": "debug",
}


def test_what_is_given_reaches_the_nodes_that_it_is_for() -> None:
    lines = commands(FACTORY, composed="false", **GIVEN)
    assert set(lines) == STAGES_OF_FACTORY
    for executable, line in lines.items():
        assert "-r /line1" in line
        assert "--log-level debug" in line
        expected: dict[str, Any] = {"autostart": False, "use_sim_time": True}
        if executable == "camera":
            expected["source"] = "folder:/data"
        if executable == "bridge":
            expected["gateway"] = "wss://gateway:8443"
        assert parameters_in(line) == expected


def test_in_one_process_too() -> None:
    line = commands(FACTORY, composed="true", **GIVEN)["composed"]
    assert "-r /line1" in line
    assert "--log-level debug" in line
    (file,) = re.findall(r"--params-file (\S*launch_params\S*)", line)
    blocks = load_parameters(file)
    assert set(blocks) == STAGES_OF_FACTORY
    for stage, values in blocks.items():
        expected: dict[str, Any] = {"autostart": False, "use_sim_time": True}
        if stage == "camera":
            expected["source"] = "folder:/data"
        if stage == "bridge":
            expected["gateway"] = "wss://gateway:8443"
        assert values == expected


@pytest.mark.parametrize("composed", ["true", "false"])
def test_a_text_that_looks_like_a_number_stays_a_text(composed: str) -> None:
    lines = commands(FACTORY, composed=composed, source="123")
    line = lines["composed" if composed == "true" else "camera"]
    (file,) = re.findall(r"--params-file (\S*launch_params\S*)", line)
    (block,) = yaml.safe_load(Path(file).read_text(encoding="utf-8")).values()
    assert block["ros__parameters"] == {"source": "123"}


def test_a_level_of_logging_that_is_none_is_refused_with_those_there_are() -> None:
    with pytest.raises(RuntimeError, match=r"log_level.*loud.*debug.*info.*warn.*error.*fatal"):
        commands(FACTORY, log_level="loud")


def test_a_node_that_a_parameter_file_misspells_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "line.yaml"
    file.write_text("/**/camra:\n  ros__parameters: {rate_hz: 5.0}\n")
    commands(FACTORY, params_file=str(file))
    (line,) = [record.getMessage() for record in caplog.records]
    assert "**/camra: ignored, there is no node '**/camra' here, only /inference, /sched" in line


def dashboard_line(**given: str) -> list[str]:
    """The command of the dashboard, or nothing."""
    pytest.importorskip("launch_ros", reason="launch is not installed here")
    from launch import LaunchContext

    from mastra_ros.nodes.run import launching

    context = LaunchContext()
    context.launch_configurations.update(given)
    return [
        "".join(part.perform(context) for part in word)
        for process in launching._dashboard(context)
        for word in process.cmd
    ]


@EVERY_FILE
def test_every_launch_file_can_start_the_dashboard(path: Path) -> None:
    names = [argument.name for argument in described(path).get_launch_arguments()]
    assert "dashboard" in names


def test_the_dashboard_asks_the_gateway_of_its_launch_or_that_of_the_bridge() -> None:
    file = str(ROOT / "config/factory_inspection.yaml")
    assert dashboard_line(params_file=file, gateway="wss://far:8443") == []
    line = dashboard_line(params_file=file, gateway="wss://far:9443,wss://b:1", dashboard="0")
    assert line[1:7] == ["-m", "mastra_ros.cli.main", "dashboard", "--port", "0", "--gateway"]
    assert line[7] == "https://far:9443"
    line = dashboard_line(params_file=file, keys_dir="/keys", dashboard="8480")
    assert line[7:] == ["https://127.0.0.1:8443", "--keys", "/keys"]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"gateway": "", "dashboard": "8480"}, "no gateway is named"),
        ({"keys_dir": "", "dashboard": "x; reboot"}, "expected a port"),
        ({"keys_dir": "", "dashboard": "70000"}, "expected a port"),
    ],
)
def test_a_dashboard_that_cannot_be_is_one_line(
    tmp_path: Path, given: dict[str, str], why: str
) -> None:
    file = tmp_path / "line.yaml"
    file.write_text("/**/bridge:\n  ros__parameters: {gateway: ''}\n")
    with pytest.raises(MastraError, match=why):
        dashboard_line(params_file=str(file), **given)
