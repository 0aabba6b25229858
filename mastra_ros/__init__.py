"""Mastra: hybrid inference between a device and a server, for ROS 2."""

from pkgutil import extend_path

# Python that starts in the repository imports this file from the sources, while the messages
# (`mastra_ros.msg`) lie where colcon installs them: both folders are this package.
__path__ = extend_path(__path__, __name__)
