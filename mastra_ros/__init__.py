"""Mastra: hybrid inference between a device and a server, for ROS 2."""
