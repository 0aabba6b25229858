"""The requirements where ROS 2, numpy and OpenCV come from the system."""

from __future__ import annotations

from scripts.system_requirements import keep_system

LINES = ["# runtime", "numpy>=1.26", "opencv-python-headless>=4.8,<5", "PyYAML>=6"]


def test_numpy_and_opencv_stay_as_the_system_has_them() -> None:
    assert keep_system(LINES, "1.26.4", True) == ["# runtime", "numpy==1.26.4", "PyYAML>=6"]


def test_what_the_system_lacks_is_installed() -> None:
    assert keep_system(LINES, None, False) == LINES
