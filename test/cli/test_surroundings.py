"""Surroundings that nobody foresaw: each is one line and a status, or does no harm."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mastra_ros.cli.main import VERBS

MASTRA = [sys.executable, "-m", "mastra_ros.cli.main"]
LIMIT_S = 120.0
RUN = ("run", "factory_inspection", "--gateway", "none", "--frames", "2", "--quiet")


def mastra(
    *arguments: str,
    cwd: Path | None = None,
    shell: str = "",
    unset: tuple[str, ...] = (),
    files_max: int = 0,
    **environment: str,
) -> subprocess.CompletedProcess[str]:
    """Run it; `shell` is what a shell does with its output, such as >&-."""
    env = {name: value for name, value in os.environ.items() if name not in unset}
    command = [*MASTRA, *arguments]
    if shell:
        command = ["sh", "-c", f'exec "$@" {shell}', "sh", *command]

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files_max, files_max))

    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        timeout=LIMIT_S,
        check=False,
        cwd=cwd,
        env={**env, "PYTHONUNBUFFERED": "", **environment},
        preexec_fn=limit if files_max else None,
    )


def complaint(done: subprocess.CompletedProcess[str]) -> str:
    """The one line in which it complained."""
    assert "Traceback" not in done.stderr, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("mastra: ")]
    assert len(lines) == 1, done.stderr
    return lines[0]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_tells_what_it_does_on_an_output_that_knows_ascii_alone(verb: str) -> None:
    done = mastra(verb, "--help", PYTHONIOENCODING="ascii", LC_ALL="C", HOME="/nonexistent")
    assert done.returncode == 0, done.stderr
    assert "example: mastra" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"LC_ALL": "xx_YY.nonsense", "LANG": "?"},
        {"PYTHONIOENCODING": "latin-1"},
    ],
)
def test_an_output_that_lacks_a_character_shows_another(environment: dict[str, str]) -> None:
    done = mastra("params", "--set", "camera.frame_id=kamera-é密", **environment)
    assert done.returncode == 0, done.stderr
    assert "frame_id: kamera-" in done.stdout
    failed = mastra("params", "--set", "camera.é密=1", **environment)
    assert failed.returncode == 2
    complaint(failed)


@pytest.mark.parametrize(
    ("arguments", "shell", "status", "said"),
    [
        (("--version",), ">&-", 0, ""),
        (("params",), ">&- 2>&-", 0, ""),
        (("--version",), ">/dev/full", 1, "standard output: No space left on device"),
        (("params",), ">/dev/full", 1, "No space left on device"),
        (("params", "--help"), ">/dev/full", 1, "No space left on device"),
        (("params", "--set", "a"), ">&- <&-", 2, "expected stage.parameter=value"),
    ],
)
def test_an_output_that_is_closed_or_full(
    arguments: tuple[str, ...], shell: str, status: int, said: str
) -> None:
    done = mastra(*arguments, shell=shell)
    assert done.returncode == status, done.stderr
    if said:
        assert said in complaint(done)
    else:
        assert done.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--report", "/proc/none/r.json"), "--report: cannot write /proc/none/r.json"),
        (("--report", "FOLDER"), "--report: cannot write FOLDER: Is a directory"),
        (("--report", "FOLDER/file/r.json"), "--report: cannot write"),
        (("--pictures", "FOLDER/file"), "--pictures: cannot make the folder FOLDER/file"),
        (("--params-file", "FOLDER"), "FOLDER: cannot be read"),
        (("--params-file", "/proc/self/mem"), "/proc/self/mem: cannot be read"),
        (("--namespace", "a b"), "Invalid namespace"),
        (("--namespace", "/1line"), "Invalid namespace"),
        (("--namespace", "a//b"), "Invalid namespace"),
        (("--source", "file:\udcff.mp4"), "camera.source: expected text in UTF-8"),
        (("--pictures", "~nobody-of-this-name/x"), "there is no such home folder"),
    ],
)
def test_what_a_run_could_not_do_at_its_end_is_said_before_it_begins(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    pytest.importorskip("rclpy", reason="ROS 2 is not installed")
    (tmp_path / "file").write_text("kept")
    given = [text.replace("FOLDER", str(tmp_path)) for text in arguments]
    done = mastra(*RUN, *given, cwd=tmp_path)
    assert done.returncode in (1, 2), done.stderr
    assert said.replace("FOLDER", str(tmp_path)) in complaint(done)
    assert "capturing" not in done.stderr + done.stdout
    assert (tmp_path / "file").read_text() == "kept"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        *[
            ({"ROS_DOMAIN_ID": text}, f"expected a whole number of 0 to 232, got {text!r}")
            for text in ("abc", "233")
        ],
    ],
)
def test_variables_of_ros_that_make_no_sense_are_named(
    environment: dict[str, str], said: str
) -> None:
    pytest.importorskip("rclpy", reason="ROS 2 is not installed")
    done = mastra(*RUN, **environment)
    assert done.returncode == 2
    assert said in complaint(done)


@pytest.mark.parametrize("home", [None, "/proc"])
def test_a_home_that_is_missing_or_read_only_costs_a_warning(
    home: str | None, tmp_path: Path
) -> None:
    pytest.importorskip("rclpy", reason="ROS 2 is not installed")
    given = {} if home is None else {"HOME": home}
    unset = ("ROS_LOG_DIR", "ROS_HOME", "XDG_STATE_HOME", "HOME")
    done = mastra(*RUN, unset=unset, TMPDIR=str(tmp_path), **given)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "ROS_LOG_DIR names another folder" in done.stderr


def test_a_run_without_output_folder_of_work_or_temporary_folder_goes_on(tmp_path: Path) -> None:
    pytest.importorskip("rclpy", reason="ROS 2 is not installed")
    gone = tmp_path / "gone"
    gone.mkdir()
    command = f'cd {gone} && rmdir {gone} && exec "$@" >&- 2>{tmp_path}/log'
    done = subprocess.run(
        ["sh", "-c", command, "sh", *MASTRA, *RUN],
        timeout=LIMIT_S,
        check=False,
        env={
            **os.environ,
            "TMPDIR": "/nonexistent",
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        },
    )
    told = (tmp_path / "log").read_text()
    assert done.returncode == 0, told
    assert "Traceback" not in told


def test_too_few_open_files_are_named() -> None:
    pytest.importorskip("rclpy", reason="ROS 2 is not installed")
    done = mastra(*RUN, files_max=32)
    assert done.returncode == 2
    assert "open files: expected a limit of at least" in complaint(done)


def test_a_full_disk_loses_the_report_but_not_the_summary() -> None:
    pytest.importorskip("rclpy", reason="ROS 2 is not installed")
    done = mastra(*RUN, "--report", "/dev/full")
    assert done.returncode == 1
    assert "cannot write /dev/full: No space left on device" in complaint(done)
    assert "frames in" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        lambda port, folder: ("proxy", "--upstream", "127.0.0.1:9", "--port", str(port)),
        lambda port, folder: ("gateway", "--keys", str(folder), "--port", str(port)),
    ],
)
def test_a_port_that_is_taken_is_one_line(
    arguments: Callable[[int, Path], tuple[str, ...]], tmp_path: Path
) -> None:
    keys = tmp_path / "keys"
    assert mastra("keys", "init", str(keys)).returncode == 0
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = mastra(*arguments(taken.getsockname()[1], keys))
    assert done.returncode in (1, 2), done.stderr
    assert "in use" in complaint(done)
