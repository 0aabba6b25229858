"""`mastra run` with the engine `auto`: no frame is lost while engines are measured and changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

RUN = ("--source", "synthetic:pcb?seed=3", "--rate", "10", "--gateway", "none")
AUTO = ("--set", "inference.engine=auto")


def test_every_frame_is_answered_while_engines_are_measured_and_the_report_names_the_engine(
    start: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`auto` stands in parameter files from before, and goes on being understood."""
    monkeypatch.delenv("MASTRA_ENGINE")
    choices = tmp_path / "choices"
    where = ("--set", f"inference.choices_dir={choices}")
    told = start(*RUN, "--frames", "120", *AUTO, *where).finish()["engine"]
    assert told.split(" on ")[0] in ("litert", "openvino")
    if choices.exists():  # measured in time: the next run begins with the choice
        (kept,) = [json.loads(path.read_text()) for path in choices.iterdir()]
        again = start(*RUN, "--frames", "20", *AUTO, *where).finish()["engine"]
        assert again.startswith(f"{kept['engine']} on local (")


def test_a_named_engine_is_the_one_that_runs(start: Callable[..., Any]) -> None:
    report = start(*RUN, "--frames", "10", "--set", "inference.engine=litert").finish()
    assert report["engine"] == "litert on local"
