"""What the launch files share: the usual arguments, and a process a stage.

An argument left empty means: as in the parameter file. So no default stands in two places.
Needs `launch` and `launch_ros`, which the ROS wheels of PyPI lack.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from launch import LaunchContext
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from ...config import STAGES, parameters_of
from ...errors import ConfigError
from ...share import share_file

RESPAWN_DELAY_S = 2.0
EVERYWHERE: dict[str, type] = {"use_sim_time": bool, "autostart": bool}
"""Usual arguments that set the parameter of the same name at every node, and their type."""


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
        ("log_level", "info", "debug, info, warn, error or fatal"),
    ]
    return [
        *(DeclareLaunchArgument(n, default_value=v, description=d) for n, v, d in usual),
        *(
            DeclareLaunchArgument(n, default_value="", description=d + as_in_file)
            for n, d in own.items()
        ),
    ]


def stages(*names: str, **overrides: str) -> OpaqueFunction:
    """A process for each of these stages.

    overrides: launch argument -> the `stage.parameter` that it sets unless it is empty.
    """

    def make(context: LaunchContext) -> list[Node]:
        file = LaunchConfiguration("params_file").perform(context)
        if not Path(file).is_file():  # launch would go on without it
            raise ConfigError(f"params_file: expected a parameter file, found none at {file!r}")
        return [_stage(context, name, overrides) for name in names]

    return OpaqueFunction(function=make)


def _stage(context: LaunchContext, name: str, overrides: Mapping[str, str]) -> Node:
    given: dict[str, Any] = {}
    for argument, kind in EVERYWHERE.items():
        if LaunchConfiguration(argument).perform(context):
            given[argument] = ParameterValue(LaunchConfiguration(argument), value_type=kind)
    for argument, target in overrides.items():
        stage, _, parameter = target.partition(".")
        if stage == name and LaunchConfiguration(argument).perform(context):
            kind = parameters_of(STAGES[stage])[parameter].type
            given[parameter] = ParameterValue(LaunchConfiguration(argument), value_type=kind)
    return Node(
        package="mastra_ros",
        executable=name,
        name=name,
        namespace=LaunchConfiguration("namespace"),
        parameters=[LaunchConfiguration("params_file"), *([given] if given else [])],
        ros_arguments=["--log-level", LaunchConfiguration("log_level")],
        respawn=LaunchConfiguration("use_respawn"),
        respawn_delay=RESPAWN_DELAY_S,
        output="screen",
    )
