"""What the launch files share: the usual arguments, and the stages in one process or many.

An argument left empty means: as in the parameter file. So no default stands in two places.
Needs `launch` and `launch_ros`, which the ROS wheels of PyPI lack.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import launch.logging
import yaml
from launch import LaunchContext, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction
from launch.conditions import IfCondition
from launch.event_handlers import OnProcessIO
from launch.events.process import ProcessExited, ProcessIO
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from ...config import STAGES, BridgeConfig, GatewayConfig, build, parameters_of
from ...config.files import KEY, load_parameters
from ...config.parameter import parse_value
from ...errors import ConfigError, MastraError
from ...share import share_file
from ..process import NOT_STARTED
from ..strangers import strangers_in_file
from .compose import FIRST, PIPELINES

log = launch.logging.get_logger("mastra_ros")

RESPAWN_DELAY_S = 2.0
CHOICES = {"log_level": ("debug", "info", "warn", "error", "fatal")}
AUTO = "auto"
PORT_MAX = 65_535
WAYS = (AUTO, "true", "false")
TOGETHER = (
    "all nodes in one process, where frames go by reference; auto: unless use_respawn is true"
)
EVERYWHERE: dict[str, type] = {"use_sim_time": bool, "autostart": bool}
"""Usual arguments that set the parameter of the same name at every node, and their type."""


class LaunchError(MastraError):
    """Ends a launch, and says why."""


def arguments(config: str, **own: str) -> list[DeclareLaunchArgument]:
    """The usual arguments, then a pipeline's own with their texts.

    config: the parameter file in our share that counts when none is given.
    """
    as_in_file = "; empty: as in the parameter file"
    usual = [
        ("namespace", "", "namespace of all the nodes, such as line1"),
        ("params_file", str(share_file(config)), "parameter file"),
        ("use_sim_time", "", "follow /clock: true or false" + as_in_file),
        ("autostart", "", "configure and activate the nodes: true or false" + as_in_file),
        ("use_respawn", "false", f"start a node that died again after {RESPAWN_DELAY_S:g} s"),
        ("log_level", "info", "what is told"),
    ]
    return [
        *(
            DeclareLaunchArgument(n, default_value=v, description=d, choices=CHOICES.get(n))
            for n, v, d in usual
        ),
        *(
            DeclareLaunchArgument(n, default_value="", description=d + as_in_file)
            for n, d in own.items()
        ),
    ]


def dashboard() -> list[LaunchDescriptionEntity]:
    """An argument that starts the dashboard: beside the gateway of the same launch, or that of its
    device's bridge."""
    about = (
        "port of the dashboard beside the gateway, for the people in the folder of keys and with "
        "the key of its client `dashboard`; empty: none"
    )
    return [
        DeclareLaunchArgument("dashboard", default_value="", description=about),
        OpaqueFunction(function=_dashboard),
    ]


def _dashboard(context: LaunchContext) -> list[ExecuteProcess]:
    given = context.launch_configurations
    if not (port := given.get("dashboard", "")):
        return []
    if not (port.isdecimal() and port.isascii() and int(port) <= PORT_MAX):
        raise LaunchError(f"dashboard: expected a port up to {PORT_MAX}, got {port!r:.40}")
    parameters = load_parameters(Path(given["params_file"]))
    if "keys_dir" in given:
        gateway = build(GatewayConfig, parameters.get("gateway", {}))
        url, keys = f"https://127.0.0.1:{gateway.port}", given["keys_dir"] or gateway.keys_dir
    else:
        bridge = build(BridgeConfig, parameters.get("bridge", {}))
        first = (given.get("gateway", "") or bridge.gateway).split(",")[0].strip()
        url, keys = first.replace("wss://", "https://", 1), bridge.keys_dir
        if not url:
            raise LaunchError("dashboard: it shows what a gateway hears, and no gateway is named")
    command = [sys.executable, "-m", "mastra_ros.cli.main", "dashboard", "--port", port]
    command += ["--gateway", url, *(["--keys", keys] if keys else [])]
    return [ExecuteProcess(cmd=command, output="screen")]


def rviz(config: str, *topics: str) -> list[LaunchDescriptionEntity]:
    """An argument that starts rviz2 with the configuration `config` in our share.

    topics: those that it names without a namespace. Comes before the nodes: where rviz2 is
    missing, launch fails before it has started anything.
    """
    return [
        DeclareLaunchArgument("rviz", default_value="false", description="start rviz2"),
        Node(
            package="rviz2",
            executable="rviz2",
            namespace=LaunchConfiguration("namespace"),
            arguments=["-d", str(share_file(config))],
            remappings=[(f"/{topic}", topic) for topic in topics],
            condition=IfCondition(LaunchConfiguration("rviz")),
        ),
    ]


def composed() -> DeclareLaunchArgument:
    """The argument of a pipeline that can run in one process."""
    return DeclareLaunchArgument("composed", default_value=AUTO, description=TOGETHER, choices=WAYS)


def stages(*names: str, **overrides: str) -> OpaqueFunction:
    """These stages, in one process or a process each.

    overrides: launch argument -> the `stage.parameter` that it sets unless it is empty.
    """

    def make(context: LaunchContext) -> list[Node]:
        file = LaunchConfiguration("params_file").perform(context)
        if not Path(file).is_file():  # launch would go on without it
            raise ConfigError(f"params_file: expected a parameter file, found none at {file!r}")
        namespace = LaunchConfiguration("namespace").perform(context).strip("/")
        for line in strangers_in_file(
            file, [f"/{namespace}/{n}".replace("//", "/") for n in names]
        ):
            log.warning(line)
        given = {name: _given(context, name, overrides) for name in names}
        whole = [name for name, (order, _) in PIPELINES.items() if set(order) == set(names)]
        if whole and _together(context):
            which = [] if whole == [FIRST] else ["--pipeline", *whole]
            parameters = [file, *_written(given)]
            return [_process(context, "composed", "", parameters, alone=True, which=which)]
        alone = len(names) == 1
        return [
            _process(context, name, name, [file, *_typed(given[name])], alone=alone)
            for name in names
        ]

    return OpaqueFunction(function=make)


def _together(context: LaunchContext) -> bool:
    """Whether all the nodes are to live in one process."""
    asked = LaunchConfiguration("composed").perform(context)
    if asked != AUTO:
        return bool(asked == "true")
    respawn = LaunchConfiguration("use_respawn").perform(context)
    return not parse_value(None, respawn or "false")


def _given(context: LaunchContext, name: str, overrides: Mapping[str, str]) -> dict[str, Any]:
    """The parameters of a stage that launch arguments set."""
    targets = {argument: (kind, argument) for argument, kind in EVERYWHERE.items()}
    for argument, target in overrides.items():
        stage, _, parameter = target.partition(".")
        if stage == name:
            targets[argument] = (parameters_of(STAGES[stage])[parameter].type, parameter)
    return {
        parameter: ParameterValue(LaunchConfiguration(argument), value_type=kind).evaluate(context)
        for argument, (kind, parameter) in targets.items()
        if LaunchConfiguration(argument).perform(context)
    }


def _written(given: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A parameter file that gives each stage its own; launch writes only files for all nodes."""
    blocks = {f"/**/{n}": {KEY: dict(values)} for n, values in given.items() if values}
    if not blocks:
        return []
    with NamedTemporaryFile("w", prefix="launch_params_", encoding="utf-8", delete=False) as file:
        yaml.safe_dump(blocks, file)
    return [file.name]


def _typed(values: Mapping[str, Any]) -> list[dict[str, ParameterValue]]:
    """So that launch does not take a text for YAML."""
    typed = {name: ParameterValue(v, value_type=type(v)) for name, v in values.items()}
    return [typed] if typed else []


def _process(
    context: LaunchContext,
    executable: str,
    name: str,
    parameters: Sequence[Any],
    *,
    alone: bool,
    which: Sequence[str] = (),
) -> Node:
    """A process that ends the launch, with the reason, when it cannot start.

    alone: also when it fails later and is not started again, since nothing is left then.
    """
    last_error = ""

    def said(event: ProcessIO) -> None:
        nonlocal last_error
        for line in event.text.decode(errors="replace").splitlines():
            if "[ERROR]" in line or "[FATAL]" in line:
                last_error = line.partition("]: ")[2] or line

    def ended(event: ProcessExited, context: LaunchContext) -> None:
        if context.is_shutdown or not event.returncode:
            return
        respawned = alone and parse_value(None, use_respawn.perform(context))
        if event.returncode == NOT_STARTED or (alone and not respawned):
            what = "could not start" if event.returncode == NOT_STARTED else "has died"
            why = last_error or f"exit status {event.returncode}"
            # Raised, where the action `Shutdown` would let `ros2 launch` end with status 0.
            raise LaunchError(f"{executable} {what}: {why}")

    use_respawn = LaunchConfiguration("use_respawn")
    node = Node(
        package="mastra_ros",
        executable=executable,
        name=name or None,
        namespace=LaunchConfiguration("namespace"),
        parameters=parameters,
        arguments=list(which),
        ros_arguments=["--log-level", LaunchConfiguration("log_level")],
        respawn=use_respawn,
        respawn_delay=RESPAWN_DELAY_S,
        output="screen",
        on_exit=ended,
    )
    context.register_event_handler(OnProcessIO(target_action=node, on_stderr=said))
    return node
