"""Parts of bench.dashboard are measured apart, and stand beside each other in one result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("argon2", reason="the extra dashboard is not installed")
from bench.bars import judged
from bench.dashboard import read, write
from bench.dashboard_table import tables

GREW = {"mib": 100.0, "growth_30_min_percent": 3.0}


def bars(report: dict[str, Any]) -> dict[str, Any]:
    return {bar["name"].partition(":")[0]: bar for bar in judged("dashboard", report)["bars"]}


def test_a_part_that_is_measured_alone_leaves_the_others_as_they_are(tmp_path: Path) -> None:
    out = tmp_path / "dashboard.json"
    write(out, "heap", {"seconds": 1800.0, "process": GREW, "page": GREW})
    write(out, "live", {"devices": 50, "core_percent": 2.0})
    told = read(out)
    assert (told["heap"]["process"], told["live"]["core_percent"]) == (GREW, 2.0)
    held = {name: bar["holds"] for name, bar in bars(told).items()}
    assert held["process"]
    assert held["page"]
    assert held["50 live devices"]
    assert not held["1,000 devices listed"], "not measured"
    assert len(told["bars"]) == 9
    assert "not measured" in tables(told)


def test_only_a_memory_that_was_watched_for_half_an_hour_is_held_against_its_bar() -> None:
    short = {"heap": {"seconds": 120.0, "process": GREW, "page": GREW}}
    assert bars(short)["process"]["value"] is None
    assert bars({**short, "heap": {**short["heap"], "seconds": 1800.0}})["page"]["value"] == 3.0
