"""The launch file runs: checked by launch_testing, and by `ros2 launch` as a user starts it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
FACTORY = HERE.parents[1] / "launch/factory_inspection.launch.py"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("composed", ["true", "false"])
def test_the_factory_inspection_launches_and_stops(
    ros_domain: int, tmp_path: Path, composed: str
) -> None:
    pytest.importorskip("launch_testing", reason="launch_testing is not installed here")
    pytest.importorskip("launch_ros", reason="launch_ros is not installed here")
    command = [sys.executable, "-m", "launch_testing.launch_test"]
    done = subprocess.run(
        [*command, str(HERE / "factory_inspection_launch.py"), f"composed:={composed}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]


class Launched:
    """`ros2 launch` of the factory inspection, and what it has said so far."""

    def __init__(self, log: Path, *arguments: str) -> None:
        self.log = log
        with log.open("w") as output:
            self.process = subprocess.Popen(
                ["ros2", "launch", str(FACTORY), "source:=synthetic:pcb?seed=5", *arguments],
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def text(self) -> str:
        return self.log.read_text()

    def pids(self, executable: str) -> list[int]:
        """Of each start of a process, in their order."""
        return [
            int(p) for p in re.findall(rf"\[{executable}-\d+\]: .*with pid \[(\d+)\]", self.text)
        ]

    def until(self, condition: Callable[[], object], what: str, timeout_s: float = 60.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert self.process.poll() is None, f"ended before {what}: {self.text}"
            assert time.monotonic() < deadline, f"waited in vain for {what}: {self.text}"
            time.sleep(0.05)

    def ended(self) -> int:
        return self.process.wait(60)


@pytest.fixture
def launched(fresh_ros_domain: int, tmp_path: Path) -> Iterator[Callable[..., Launched]]:
    if shutil.which("ros2") is None:
        pytest.skip("ros2 is not installed here")
    made: list[Launched] = []

    def make(*arguments: str) -> Launched:
        made.append(Launched(tmp_path / f"log{len(made)}", *arguments))
        return made[-1]

    yield make
    for one in made:
        if one.process.poll() is None:
            one.process.send_signal(signal.SIGINT)
            one.ended()


@pytest.mark.parametrize("how", ["composed:=true", "composed:=false", "use_respawn:=true"])
def test_a_node_that_cannot_start_ends_the_launch_with_its_reason(
    launched: Callable[..., Launched], tmp_path: Path, how: str
) -> None:
    file = tmp_path / "line.yaml"
    file.write_text("/**/compression:\n  ros__parameters: {jpeg_qualty: 5}\n")
    launch = launched(how, f"params_file:={file}")
    assert launch.ended() == 1
    reason = launch.text.splitlines()
    assert any(
        "could not start: compression: jpeg_qualty: unknown parameter" in r for r in reason
    ), launch.text


@pytest.mark.parametrize(
    ("arguments", "executable"),
    [
        (("use_respawn:=true",), "scheduling"),
        (("use_respawn:=true", "composed:=true"), "composed"),
    ],
)
def test_what_is_killed_comes_back_with_use_respawn(
    launched: Callable[..., Launched], arguments: tuple[str, ...], executable: str
) -> None:
    launch = launched(*arguments)
    launch.until(lambda: launch.text.count("policy dta") == 1, "the start of scheduling")
    os.kill(launch.pids(executable)[0], signal.SIGKILL)
    launch.until(lambda: launch.text.count("policy dta") == 2, "its start anew")
    assert len(launch.pids(executable)) == 2


def test_the_one_process_killed_without_respawn_ends_the_launch_with_a_status(
    launched: Callable[..., Launched],
) -> None:
    launch = launched("composed:=true")
    launch.until(lambda: "capturing" in launch.text, "the start")
    os.kill(launch.pids("composed")[0], signal.SIGKILL)
    assert launch.ended() == 1
    assert "composed has died: exit status -9" in launch.text
