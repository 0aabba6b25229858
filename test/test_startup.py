"""What a program looks at before it begins."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from mastra_ros.cli import main as cli


@pytest.mark.parametrize(
    "arguments", [("run", "factory_inspection"), ("gateway", "--keys", "nothing")]
)
def test_a_clock_before_1970_is_one_line(
    arguments: Sequence[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(time, "time", lambda: -86400.0 * 7)
    assert cli.main(arguments) == 2
    told = capsys.readouterr().err
    assert "mastra: clock: expected a time after 1970, it is 7 days before; set it" in told
    assert told.count("\n") == 1
