"""`mastra run` as a process: what it says of a camera that is not there, and of a signal."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

COMMAND = [sys.executable, "-m", "mastra_ros.cli.main", "run", "factory_inspection"]
LIMIT_S = 100.0


def test_a_camera_that_is_not_there_is_named_at_the_end() -> None:
    done = subprocess.run(
        [*COMMAND, "--source", "v4l2:/dev/video63", "--gateway", "none", "--duration", "1"],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("mastra: v4l2:/dev/video63: ")
    assert "No such file or directory" in last


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_in_order_and_the_report_tells_of_every_frame(
    tmp_path: Path, number: signal.Signals
) -> None:
    report, log = tmp_path / "report.json", tmp_path / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [*COMMAND, "--rate", "5", "--gateway", "none", "--report", str(report)],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + LIMIT_S
        while not re.search(r"frames +[1-9]", log.read_text()):
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        process.send_signal(number)
        assert process.wait(LIMIT_S) == 0, log.read_text()
    finally:
        process.kill()
    told = json.loads(report.read_text())
    assert told["frames"] > 0
    assert told["missing"] == 0
    assert told["results"] + told["superseded"] == told["frames"]
