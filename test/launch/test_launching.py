"""The launch file runs: checked by launch_testing in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent


@pytest.mark.timeout(300)
def test_the_factory_inspection_launches_and_stops(ros_domain: int, tmp_path: Path) -> None:
    pytest.importorskip("launch_testing", reason="launch_testing is not installed here")
    pytest.importorskip("launch_ros", reason="launch_ros is not installed here")
    command = [sys.executable, "-m", "launch_testing.launch_test"]
    done = subprocess.run(
        [*command, str(HERE / "factory_inspection_launch.py")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
