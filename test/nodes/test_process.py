"""A node as a process of its own: how it starts, fails and ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

MAIN = "from mastra_ros.nodes.camera import main; raise SystemExit(main())"


def start(log: Path, *arguments: str) -> subprocess.Popen[bytes]:
    with log.open("w") as output:
        return subprocess.Popen(
            [sys.executable, "-c", MAIN, "--ros-args", *arguments],
            stdout=output,
            stderr=subprocess.STDOUT,
        )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_however_many_end_a_node_in_order(
    tmp_path: Path, wait_until: Callable[..., None], number: signal.Signals
) -> None:
    log = tmp_path / "log"
    process = start(log)
    wait_until(lambda: "capturing" in log.read_text(), "the camera to start")

    def ended() -> bool:
        process.send_signal(number)
        return process.poll() is not None

    wait_until(ended, "the process to end")
    assert process.returncode == 0, log.read_text()
    assert "Traceback" not in log.read_text()


def test_a_wrong_parameter_is_one_line_and_a_status(tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = start(log, "-p", "rate_hz:=-1.0", "-p", "ratte:=1")
    assert process.wait(60) == 1
    (line,) = [text for text in log.read_text().splitlines() if "[ERROR]" in text]
    assert "ratte: unknown parameter" in line
    assert "rate_hz: expected 0 to 1000 Hz, got -1.0" in line
