"""`mastra netem`: the program's status is ours, and what is missing is one line."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mastra_ros.cli.main import main

MASTRA = [sys.executable, "-m", "mastra_ros.cli.main"]
DEADLINE_S = 60.0


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "expected -- and a program"),
        (["--fault", "reset@1s", "--", "true"], "mastra proxy plays it"),
        (["--fault", "flood@1s", "--", "true"], "at position 1"),
    ],
)
def test_wrong_arguments_are_one_line(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["netem", *arguments]) == 2
    shown = capsys.readouterr().err
    assert complaint in shown
    assert shown.count("\n") == 1


def test_the_status_of_the_program_is_handed_on(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["netem", "--", sys.executable, "-c", "raise SystemExit(7)"])
    complaint = capsys.readouterr().err
    if complaint.startswith("mastra: netem: "):
        assert status == 1
        pytest.skip(complaint.strip())
    assert status == 7


def test_a_signal_ends_the_program_and_removes_what_was_made(tmp_path: Path) -> None:
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("only root may make network namespaces, and iproute2 is needed")
    # What is tried here is the end, so a kernel without netem will do: this tc shapes nothing.
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "tc").write_text("#!/bin/sh\nexit 0\n")
    (tools / "tc").chmod(0o755)
    child = "import time; print('inside', flush=True); time.sleep(60)"
    with subprocess.Popen(
        [*MASTRA, "netem", "--fault", "delay=5ms@0s", "--", sys.executable, "-c", child],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"},
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        ready = process.stdout.readline()
        if not ready:
            process.wait(DEADLINE_S)
            pytest.skip(f"no namespaces here: {process.stderr.read().strip()}")
        name = ready.split()[1].rstrip(":")
        assert name in namespaces()
        assert process.stdout.readline() == "inside\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_S) == 143
        assert process.stderr.read() == ""
    assert name not in namespaces()


def namespaces() -> str:
    return subprocess.run(["ip", "netns", "list"], capture_output=True, text=True).stdout
