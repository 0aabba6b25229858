"""The requirements where ROS 2, numpy and OpenCV come from the system."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from scripts.system_requirements import keep_system, lacking

ROOT = Path(__file__).parents[2]

LINES = ["# runtime", "numpy>=1.26", "opencv-python-headless>=4.8,<5", "PyYAML>=6"]


def test_numpy_and_opencv_stay_as_the_system_has_them() -> None:
    assert keep_system(LINES, "1.26.4", True) == ["# runtime", "numpy==1.26.4", "PyYAML>=6"]


def test_what_the_system_lacks_is_installed() -> None:
    assert keep_system(LINES, None, False) == LINES


def test_what_the_system_lacks_in_version_is_said_with_what_becomes_of_it() -> None:
    versions = {"numpy": "1.21.5", "opencv-python-headless": "4.6.0", "PyJWT": "2.7.0"}
    lines = ["# runtime", "", *LINES[1:], "PyJWT>=2.13", "websockets>=15"]
    numpy, opencv, jwt = lacking(lines, lambda name: {**versions, "PyYAML": "6.0.1"}.get(name))
    assert numpy.startswith("python3-numpy of this system is 1.21.5, needed is >=1.26: kept")
    assert opencv.startswith("python3-opencv of this system is 4.6.0, needed is >=4.8,<5: kept")
    assert jwt == (
        "python3-jwt of this system is 2.7.0, needed is >=2.13: this environment gets its own"
    )


def test_nothing_is_said_of_versions_that_will_do_or_are_not_there() -> None:
    assert lacking(LINES, lambda name: {"numpy": "1.26.4", "PyYAML": "6.0.1"}.get(name)) == []


def test_the_script_reads_our_requirements() -> None:
    command = [sys.executable, "scripts/system_requirements.py", "requirements/runtime.txt"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "\nPyJWT>=" in done.stdout
    assert all(line.startswith("setup: python3-") for line in done.stderr.splitlines())
