"""Makes bundles out of trained networks, and says with numbers what they are worth.

Runs on a workstation. Showing, verifying, measuring and judging need what a device has;
converting needs the packages of the extra `convert`, which are imported when used.
"""
