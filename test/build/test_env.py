"""`source env.sh`: what a shell has afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
READY = (ROOT / ".venv" / ".stamp").exists() and (ROOT / "build" / ".stamp").exists()
needs_setup = pytest.mark.skipif(not READY, reason="built without `make setup`")
SHELLS = ["bash", *(["zsh"] if shutil.which("zsh") else [])]


def run_shell(shell: str, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": os.environ["HOME"], **environment}
    if "ROS_DISTRO" in os.environ:
        clean = {**os.environ, **environment}
    return subprocess.run(
        [shell, "-c", script], env=clean, capture_output=True, text=True, timeout=60, check=False
    )


@needs_setup
@pytest.mark.parametrize("shell", SHELLS)
def test_mastra_and_python_with_the_messages_work_in_any_folder(shell: str) -> None:
    for folder in ("/", str(ROOT)):
        done = run_shell(
            shell,
            f"set -eu; cd {folder}; . {ROOT}/env.sh; command -v mastra; "
            "python -c 'import rclpy; from mastra_ros.msg import Decision; print(Decision().hard)'",
        )
        assert done.stderr == ""
        assert done.returncode == 0
        assert done.stdout.splitlines() == [f"{ROOT}/install/mastra_ros/bin/mastra", "False"]


@needs_setup
@pytest.mark.parametrize("shell", SHELLS)
def test_sourcing_twice_changes_nothing(shell: str) -> None:
    once = run_shell(shell, f". {ROOT}/env.sh; env | sort")
    twice = run_shell(shell, f". {ROOT}/env.sh; . {ROOT}/env.sh; env | sort")
    assert once.stdout
    assert once.stdout == twice.stdout


@needs_setup
def test_nothing_is_heard_beyond_this_machine_unless_asked() -> None:
    print_range = f". {ROOT}/env.sh; echo $ROS_AUTOMATIC_DISCOVERY_RANGE"
    assert run_shell("bash", print_range).stdout == "LOCALHOST\n"
    asked = run_shell("bash", print_range, ROS_AUTOMATIC_DISCOVERY_RANGE="SUBNET")
    assert asked.stdout == "SUBNET\n"


@needs_setup
def test_a_wider_discovery_range_takes_the_profile_without_the_whitelist() -> None:
    print_profile = f". {ROOT}/env.sh; echo $FASTRTPS_DEFAULT_PROFILES_FILE"
    assert run_shell("bash", print_profile).stdout == f"{ROOT}/config/fastdds.xml\n"
    subnet = run_shell("bash", print_profile, ROS_AUTOMATIC_DISCOVERY_RANGE="SUBNET")
    assert subnet.stdout == f"{ROOT}/config/fastdds_network.xml\n"
    later = run_shell(
        "bash", f". {ROOT}/env.sh; ROS_AUTOMATIC_DISCOVERY_RANGE=SUBNET; {print_profile}"
    )
    assert later.stdout == subnet.stdout
    own = run_shell("bash", print_profile, FASTRTPS_DEFAULT_PROFILES_FILE="/my.xml")
    assert own.stdout == "/my.xml\n"


def test_sourcing_before_the_set_up_says_what_to_run(tmp_path: Path) -> None:
    shutil.copy(ROOT / "env.sh", tmp_path)
    done = run_shell("bash", f". {tmp_path}/env.sh; echo status $?")
    assert done.stdout == "status 1\n"
    assert done.stderr == f"env.sh: not set up yet; please run: make -C {tmp_path} setup\n"


@needs_setup
def test_an_extra_that_is_not_there_is_refused_before_anything_changes() -> None:
    stamp = (ROOT / ".venv" / ".stamp").read_text()
    done = run_shell("bash", f"{ROOT}/scripts/setup.sh", MASTRA_EXTRAS="nonsense")
    assert done.returncode == 1
    assert done.stderr.startswith("setup: MASTRA_EXTRAS names nonsense, but there is no ")
    assert (ROOT / ".venv" / ".stamp").read_text() == stamp
