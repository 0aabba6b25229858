"""Carries the entry points of setup.cfg into `lib/mastra_ros`; the code is in `mastra_ros`.

The messages already install a Python package named `mastra_ros`, and ament accepts a name
only once, so the executables need a package of their own.
"""
