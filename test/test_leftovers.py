"""What a killed process leaves goes at the next start; what is in use stays."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mastra_ros.leftovers import (
    SHARED_MEMORY,
    YOUNG_S,
    clear_folders,
    clear_shared_memory,
    temporary_folder,
)

LATER_S = YOUNG_S + 5.0

HOLDER = """
import sys
from mastra_ros.leftovers import temporary_folder
with temporary_folder("test-") as folder:
    (folder / "spool.sqlite").write_text("something")
    print(folder, flush=True)
    sys.stdin.read()
"""

SEGMENT = """
import sys
from pathlib import Path
import rclpy
rclpy.init()
node = rclpy.create_node("holder")
print("up", flush=True)
sys.stdin.read()
"""


def start(code: str, **environment: str) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)


def test_a_temporary_folder_ends_with_its_block() -> None:
    with temporary_folder() as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "file").write_text("x")
    assert not folder.exists()


def test_the_folder_of_a_killed_process_goes_and_that_of_a_living_one_stays(
    tmp_path: Path,
) -> None:
    dead, left = start(HOLDER, TMPDIR=str(tmp_path))
    alive, used = start(HOLDER, TMPDIR=str(tmp_path))
    kill(dead)
    try:
        assert Path(left).exists()
        assert clear_folders(tmp_path) == 0  # too young to tell
        assert clear_folders(tmp_path, time.time() + LATER_S) == 1
        assert not Path(left).exists()
        assert (Path(used) / "spool.sqlite").exists()
    finally:
        kill(alive)


def test_the_next_start_clears_away_by_itself(tmp_path: Path) -> None:
    dead, left = start(HOLDER, TMPDIR=str(tmp_path))
    kill(dead)
    os.utime(left, (1.0, 1.0))
    alive, _ = start(HOLDER, TMPDIR=str(tmp_path))
    kill(alive)
    assert not Path(left).exists()


def test_folders_of_others_stay(tmp_path: Path) -> None:
    (tmp_path / "mastra-mine").mkdir()  # without a lock: not made here
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / ".lock").touch()
    (tmp_path / "mastra-link").symlink_to(victim)
    assert clear_folders(tmp_path, time.time() + LATER_S) == 0
    assert (victim / ".lock").exists()
    if os.geteuid() == 0:
        foreign = tmp_path / "mastra-foreign"
        foreign.mkdir()
        (foreign / ".lock").touch()
        os.chown(foreign, 4242, 4242)
        assert clear_folders(tmp_path, time.time() + LATER_S) == 0


def test_segments_that_nobody_holds_are_counted_and_removed(tmp_path: Path) -> None:
    segment = tmp_path / "fastrtps_0123456789abcdef"
    segment.write_bytes(bytes(1000))
    lock_file = tmp_path / "fastrtps_0123456789abcdef_el"
    lock_file.touch()
    other = tmp_path / "fastrtps_port7000_el"
    other.touch()
    assert clear_shared_memory(tmp_path) == 0  # young
    assert clear_shared_memory(tmp_path, time.time() + LATER_S) == 1000
    assert list(tmp_path.iterdir()) == [other]


def test_the_segments_of_a_killed_node_go_and_those_of_a_living_one_stay() -> None:
    pytest.importorskip("rclpy", reason="ROS 2 is not sourced")
    if not os.access(SHARED_MEMORY, os.W_OK):
        pytest.skip("no shared memory here")
    dead, _ = start(SEGMENT)
    alive, _ = start(SEGMENT)
    try:
        left, used = segments_of(dead), segments_of(alive)
        kill(dead)
        if not left:
            pytest.skip("Fast DDS uses no shared memory here")
        for path in left:
            os.utime(path.with_name(f"{path.name}_el"), (1.0, 1.0))
        clear_shared_memory()
        assert not any(path.exists() for path in left)
        assert used
        assert all(path.exists() for path in used)
    finally:
        kill(alive)


def segments_of(process: subprocess.Popen[str]) -> set[Path]:
    """The segments of its own: those whose locks this process holds."""
    open_files = Path(f"/proc/{process.pid}/fd").iterdir()
    targets = [str(file.readlink()) for file in open_files if file.is_symlink()]
    found = {re.fullmatch(r"(/dev/shm/fastrtps_[0-9a-z]{16})_el", target) for target in targets}
    return {Path(match.group(1)) for match in found if match}
