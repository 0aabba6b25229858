"""`mastra netem`: the program's status is ours, and what is missing is one line."""

from __future__ import annotations

import sys

import pytest

from mastra_ros.cli.main import main


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
