"""Tracked ultrasound, in one process or many. The gateway has a launch file of its own."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from mastra_ros.nodes.run.launching import arguments, composed, stages
from mastra_ros.share import share_file

VIEWED = ("image_live", "probe", "volume", "volume_markers")
"""Topics that the rviz configuration names without a namespace."""


def generate_launch_description() -> LaunchDescription:
    """Arguments, nodes, and rviz when it is asked for."""
    return LaunchDescription(
        [
            *arguments(
                "config/medical_ultrasound.yaml",
                source="the probe: igs:FILE.igs.mha, igtl://host:port, synthetic:ultrasound?seed=1",
                calibration="PLUS configuration (XML) or YAML of the probe",
                gateway="wss://host:port of the gateway",
            ),
            composed(),
            DeclareLaunchArgument("rviz", default_value="false", description="start rviz2"),
            # First: where rviz2 is missing, launch fails before it has started anything.
            Node(
                package="rviz2",
                executable="rviz2",
                namespace=LaunchConfiguration("namespace"),
                arguments=["-d", str(share_file("config/medical_ultrasound.rviz"))],
                remappings=[(f"/{topic}", topic) for topic in VIEWED],
                condition=IfCondition(LaunchConfiguration("rviz")),
            ),
            stages(
                "ultrasound",
                "bridge",
                "probe",
                source="probe.source",
                calibration="ultrasound.calibration",
                gateway="bridge.gateway",
            ),
        ]
    )
