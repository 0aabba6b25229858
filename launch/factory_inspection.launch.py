"""The factory inspection, in one process or many. The gateway has a launch file of its own."""

from launch import LaunchDescription

from mastra_ros.nodes.run.launching import arguments, composed, dashboard, rviz, stages


def generate_launch_description() -> LaunchDescription:
    """Arguments, nodes, and rviz when it is asked for."""
    return LaunchDescription(
        [
            *arguments(
                "config/factory_inspection.yaml",
                source="where frames come from: synthetic:pcb?seed=1, folder:DIR, v4l2:/dev/video0",
                gateway="wss://host:port of the gateway",
            ),
            composed(),
            *rviz("config/factory_inspection.rviz", "image_annotated", "markers"),
            *dashboard(),
            stages(
                "inference",
                "scheduling",
                "compression",
                "bridge",
                "pipeline",
                "camera",
                source="camera.source",
                gateway="bridge.gateway",
            ),
        ]
    )
