"""What the tests of the simulation share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mastra_ros.simulation.accuracy import AccuracyTable
from mastra_ros.simulation.stage_times import StageTimes
from mastra_ros.simulation.trace import LinkTrace, Opportunities
from mastra_ros.simulation.world import Scenario

STAGES = StageTimes(
    local_ms=60.0, encode_ms=5.0, cloud_ms=30.0, delta_bytes=6000.0, key_bytes=20_000.0
)


def steady(mbps: float, seconds: float = 60.0) -> Opportunities:
    """Opportunities at even distances."""
    gap_ms = 12.0 / mbps
    return Opportunities(np.arange(gap_ms, seconds * 1e3, gap_ms))


def make_scenario(
    up: Any = None, *, stages: StageTimes = STAGES, rtt_ms: float = 20.0, **values: Any
) -> Scenario:
    """A good link of 10 Mbit/s for 20 s, unless told otherwise."""
    trace = LinkTrace("test", up or steady(10.0), steady(10.0), rtt_ms)
    accuracy = AccuracyTable.from_f_scores(0.92, 0.96, "test")
    return Scenario(trace, stages, **{"accuracy": accuracy, "duration_s": 20.0, **values})


@pytest.fixture
def scenario() -> Callable[..., Scenario]:
    """Makes a scenario."""
    return make_scenario


@pytest.fixture
def traces() -> Path:
    """The folder of real traces."""
    data = os.environ.get("MASTRA_DATA")
    if not data or not (Path(data) / "traces").is_dir():
        pytest.skip("MASTRA_DATA names no folder with traces/")
    return Path(data) / "traces"
