"""Traffic on the device, in one process or many. The gateway has a launch file of its own."""

from launch import LaunchDescription

from mastra_ros.nodes.run.launching import arguments, composed, dashboard, rviz, stages


def generate_launch_description() -> LaunchDescription:
    """Arguments, nodes, and rviz when it is asked for."""
    return LaunchDescription(
        [
            *arguments(
                "config/traffic.yaml",
                source="where frames come from: synthetic:crossing?seed=1, rtsp://…",
                gateway="wss://host:port of the gateway",
                site="file of lanes, lines, zones and known points",
            ),
            composed(),
            *rviz("config/traffic.rviz", "image_annotated", "markers"),
            *dashboard(),
            stages(
                "inference",
                "scheduling",
                "compression",
                "bridge",
                "traffic",
                "camera",
                source="camera.source",
                gateway="bridge.gateway",
                site="traffic.site",
            ),
        ]
    )
