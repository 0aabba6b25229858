"""Recorded rates: reading the files, and how bytes use the opportunities up."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mastra_ros.emulation.trace import OPPORTUNITY_BYTES, Trace, TraceCursor, load_trace
from mastra_ros.errors import ConfigError

EVERY_10_MS = Trace("steady", (10, 20, 30, 40))


def test_a_trace_tells_its_length_and_mean_rate(tmp_path: Path) -> None:
    path = tmp_path / "steady.up"
    path.write_text("10\n20\n30\n40\n")
    trace = load_trace(path)
    assert trace == Trace("steady.up", (10, 20, 30, 40))
    assert trace.duration_s == pytest.approx(0.04)
    assert trace.mean_bps == pytest.approx(1500 * 8 / 0.01)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "more than 0 ms"),
        ("0\n0\n", "more than 0 ms"),
        ("1\nx\n", "line 2: expected ms"),
        ("5\n4\n", "line 2: expected at least 5 ms"),
        ("1.5\n", "line 1: expected ms"),
    ],
)
def test_a_file_that_is_no_trace_is_one_clear_error(
    tmp_path: Path, text: str, complaint: str
) -> None:
    path = tmp_path / "bad.up"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"bad\.up") as caught:
        load_trace(path)
    assert complaint in str(caught.value)


def test_bytes_wait_for_an_opportunity() -> None:
    assert TraceCursor().finish_s(EVERY_10_MS, 100, 0.0) == pytest.approx(0.01)
    assert TraceCursor().finish_s(EVERY_10_MS, 100, 0.011) == pytest.approx(0.02)


def test_each_opportunity_carries_1500_bytes() -> None:
    assert TraceCursor().finish_s(EVERY_10_MS, 3 * OPPORTUNITY_BYTES, 0.0) == pytest.approx(0.03)
    assert TraceCursor().finish_s(EVERY_10_MS, 3001, 0.0) == pytest.approx(0.03)


def test_what_follows_at_once_shares_an_opportunity() -> None:
    cursor = TraceCursor()
    assert cursor.finish_s(EVERY_10_MS, 1000, 0.0) == pytest.approx(0.01)
    assert cursor.finish_s(EVERY_10_MS, 500, 0.005) == pytest.approx(0.01)
    assert cursor.finish_s(EVERY_10_MS, 1, 0.01) == pytest.approx(0.02)


def test_opportunities_that_nobody_uses_are_lost() -> None:
    cursor = TraceCursor()
    cursor.finish_s(EVERY_10_MS, 1, 0.0)
    assert cursor.finish_s(EVERY_10_MS, 1499, 0.025) == pytest.approx(0.03)
    assert cursor.finish_s(EVERY_10_MS, 1500, 0.025) == pytest.approx(0.04)


def test_a_trace_starts_again_at_its_end() -> None:
    cursor = TraceCursor()
    assert cursor.finish_s(EVERY_10_MS, 4 * 1500, 0.0) == pytest.approx(0.04)
    assert cursor.finish_s(EVERY_10_MS, 1500, 0.04) == pytest.approx(0.05)
    assert TraceCursor().finish_s(EVERY_10_MS, 1500, 10.0) == pytest.approx(10.01, abs=0.0101)


def test_a_saturated_trace_has_its_mean_rate() -> None:
    trace = Trace("uneven", (0, 3, 3, 4, 90, 100))
    rounds = 50
    size = rounds * len(trace.times_ms) * OPPORTUNITY_BYTES
    assert TraceCursor().finish_s(trace, size, 0.0) == pytest.approx(rounds * 0.1, rel=0.03)


@pytest.mark.parametrize("name", ["ATT-LTE-driving-2016.up", "TMobile-UMTS-driving.down"])
def test_recorded_traces_are_read(name: str) -> None:
    data = os.environ.get("MASTRA_DATA")
    if not data or not (Path(data) / "traces" / name).exists():
        pytest.skip("MASTRA_DATA does not lead to the recorded traces")
    trace = load_trace(Path(data) / "traces" / name)
    assert trace.duration_s > 100
    assert 1e5 < trace.mean_bps < 1e8
