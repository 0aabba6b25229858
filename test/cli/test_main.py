"""The command line: every verb is documented, errors are one line, statuses are right."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mastra_ros.cli import main as cli
from mastra_ros.errors import ConfigError, MastraError, ModelError

DEADLINE_S = 30.0


def mastra(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mastra_ros.cli.main", *arguments],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


@pytest.mark.parametrize("verb", cli.VERBS)
def test_every_verb_is_documented_and_has_help_and_an_example(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    module = cli.verb_module(verb)
    assert module.__doc__
    assert module.EXAMPLE.startswith(f"mastra {verb}")
    parser = cli.verb_parser(verb)
    undocumented = [action.dest for action in parser._actions if not action.help]
    assert not undocumented
    with pytest.raises(SystemExit) as stopped:
        cli.main([verb, "--help"])
    assert stopped.value.code == 0
    shown = capsys.readouterr().out
    assert module.HELP.split()[0] in shown
    assert "example: mastra" in shown


def test_help_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["--help"])
    assert stopped.value.code == 0
    shown = capsys.readouterr().out
    for verb, doc in cli.VERBS.items():
        assert verb in shown
        assert doc in shown


def test_every_module_of_a_verb_is_in_the_table() -> None:
    folder = Path(cli.__file__).parent
    files = [*folder.glob("*.py"), *folder.glob("*/__init__.py")]
    modules = {
        path.stem if path.parent == folder else path.parent.name
        for path in files
        if "\nEXAMPLE = " in path.read_text("utf-8")
    }
    assert modules == set(cli.VERBS)


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("mastra 0.")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "expected a verb"),
        (["dance"], "got 'dance'"),
        (["keys"], "ACTION"),
        (["keys", "dance"], "dance"),
        (["proxy"], "--upstream"),
        (["--loud"], "--loud"),
        (["proxy", "--upstream", "a:1", "--log-level", "loud"], "loud"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_status_2(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    assert stopped.value.code == 2
    shown = capsys.readouterr().err
    assert shown.startswith("mastra: ")
    assert shown.count("\n") == 1
    assert complaint in shown


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ConfigError("two\nlines"), 2),
        (ModelError("broken"), 1),
        (MastraError("failed"), 1),
        (PermissionError(13, "Permission denied"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_errors_become_one_line_and_a_status(
    error: BaseException,
    status: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(_: object) -> int:
        raise error

    monkeypatch.setattr("mastra_ros.cli.proxy.run", fail)
    assert cli.main(["proxy", "--upstream", "localhost:1"]) == status
    shown = capsys.readouterr().err
    assert shown.count("\n") == (0 if status == 130 else 1)


def test_light_verbs_do_not_import_heavy_packages() -> None:
    code = (
        "import sys; from mastra_ros.cli.main import verb_parser; "
        "verb_parser('keys'); verb_parser('gateway'); "
        "heavy = {'numpy', 'cv2', 'onnxruntime', 'granian', 'rclpy'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=DEADLINE_S, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_module_runs_as_a_program() -> None:
    done = mastra("--version")
    assert done.returncode == 0
    assert done.stdout.startswith("mastra ")
    assert mastra("nonsense").returncode == 2


def test_ctrl_c_ends_quietly_with_130() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "mastra_ros.cli.main", "proxy", "--upstream", "127.0.0.1:9"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("ready 127.0.0.1:")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 130
    assert errors == ""


def test_a_reader_that_has_gone_is_no_traceback(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    assert mastra("keys", "init", str(keys)).returncode == 0
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "mastra_ros.cli.main", "keys", "show", str(keys)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        errors = process.stderr.read()
        process.wait(DEADLINE_S)
    assert "Traceback" not in errors
    assert process.returncode == 1
