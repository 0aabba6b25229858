"""The gateway on a machine with ROS; without ROS it is `mastra gateway`."""

from launch import LaunchDescription

from mastra_ros.nodes.run.launching import arguments, dashboard, stages


def generate_launch_description() -> LaunchDescription:
    """Arguments and the node."""
    return LaunchDescription(
        [
            *arguments(
                "config/factory_inspection.yaml",
                host="address to listen on",
                keys_dir="folder with the server's key and the devices' public keys",
            ),
            *dashboard(),
            stages("gateway", host="gateway.host", keys_dir="gateway.keys_dir"),
        ]
    )
