"""Tracked ultrasound, in one process or many. The gateway has a launch file of its own."""

from launch import LaunchDescription

from mastra_ros.nodes.run.launching import arguments, composed, dashboard, rviz, stages


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
            *rviz(
                "config/medical_ultrasound.rviz",
                *("image_live", "probe", "volume", "volume_markers", "coverage"),
            ),
            *dashboard(),
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
