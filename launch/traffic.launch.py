"""Traffic on the device, a process a node. The gateway has a launch file of its own."""

from launch import LaunchDescription

from mastra_ros.nodes.run.launching import arguments, stages


def generate_launch_description() -> LaunchDescription:
    """Arguments and nodes."""
    return LaunchDescription(
        [
            *arguments(
                "config/traffic.yaml",
                source="where frames come from: synthetic:crossing?seed=1, rtsp://…",
                gateway="wss://host:port of the gateway",
                site="file of lanes, lines, zones and known points",
            ),
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
