"""Recorded links deliver what they recorded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mastra_ros.errors import ConfigError
from mastra_ros.simulation.load_trace import LoadTrace
from mastra_ros.simulation.trace import Direction, Opportunities, Table, open_trace


def test_a_packet_takes_the_next_opportunity_and_a_large_message_several() -> None:
    trace = Opportunities(np.array([5.0, 5.0, 30.0, 100.0]))
    assert trace.done_ms(100, 0) == 5
    assert trace.done_ms(3000, 0) == 5
    assert trace.done_ms(3001, 0) == 30
    assert trace.done_ms(1500, 5.1) == 30
    assert trace.done_ms(1500, 31) == 100


def test_a_trace_is_repeated_from_its_end() -> None:
    trace = Opportunities(np.array([5.0, 30.0, 100.0]))
    assert trace.done_ms(1500, 101) == 105
    assert trace.done_ms(1500 * 4, 0) == 105
    assert trace.done_ms(1500, 1001) == 1005


def test_messages_queue_behind_each_other_until_the_queue_is_cleared() -> None:
    link = Direction(Opportunities(np.arange(10.0, 1010.0, 10.0)))
    assert [link.send(1500, 0) for _ in range(3)] == [10, 20, 30]
    assert link.send(15_000, 12) == 130
    link.clear(12)
    assert link.send(1500, 12) == 20


def table(**columns: list[float]) -> Table:
    start = np.array(columns.pop("start", [0.0]), np.float64)
    values = {"rate_bps": 1e6, "rtt_ms": 40.0, "loss": 0.0}
    return Table(
        start, *(np.array(columns.get(k, [v] * len(start)), float) for k, v in values.items())
    )


def test_a_table_carries_bits_at_its_rate_across_its_steps() -> None:
    assert table().done_ms(12_500, 50) == pytest.approx(150)
    stepped = table(start=[0.0, 100.0, 200.0], rate_bps=[1e6, 0.0, 2e6])
    assert stepped.done_ms(25_000, 0) == pytest.approx(250)
    assert stepped.rtt_at(150) == 40


def test_a_loss_costs_a_round_trip_and_hangs_on_the_time_alone() -> None:
    lossy = table(loss=[0.5])
    delays = [lossy.done_ms(1500, ms) - ms for ms in range(0, 10_000, 100)]
    assert {round(d) for d in delays} == {12, 52}
    assert 0.35 < np.mean([d > 20 for d in delays]) < 0.65
    assert delays == [lossy.done_ms(1500, ms) - ms for ms in range(0, 10_000, 100)]


def test_files_of_both_kinds_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.up").write_text("1\n3\n3\n")
    (tmp_path / "a.down").write_text("2\n4\n")
    for name in ("a", "a.up", "a.down"):
        link = open_trace(tmp_path / name, 30)
        assert link.name == "a"
        assert link.way_ms(0) == 15
    (tmp_path / "b.csv").write_text("time_s,rtt_ms,loss,rate_bps\n0,50,0,1e6\n10,90,0.1,2e5\n")
    link = open_trace(tmp_path / "b.csv", 30)
    assert (link.way_ms(0), link.way_ms(11_000)) == (25, 45)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("x.up", "5\n3\n", "increasing"),
        ("x.up", "five\n", "not a Mahimahi trace"),
        ("x.csv", "time_s,rtt_ms\n0,1\n", "'loss' is missing"),
        ("x.csv", "time_s,rtt_ms,loss,rate_bps\n", "got none"),
        ("x.csv", "time_s,rtt_ms,loss,rate_bps\n0,1,2,1e6\n", "losses of 0 to below 1"),
        ("x.csv", "time_s,rtt_ms,loss,rate_bps\n0,1,0,0\n", "the last above 0"),
        ("x.csv", "time_s,rtt_ms,loss,rate_bps\n5,1,0,1e6\n", "times from 0 on"),
    ],
)
def test_what_is_no_trace_is_one_clear_error(
    tmp_path: Path, name: str, text: str, says: str
) -> None:
    (tmp_path / name).write_text(text)
    (tmp_path / "x.down").write_text("1\n")
    with pytest.raises(ConfigError, match=says):
        open_trace(tmp_path / name, 30)
    with pytest.raises(ConfigError, match="not found"):
        open_trace(tmp_path / "absent", 30)


def test_the_real_traces_have_their_published_length(traces: Path) -> None:
    link = open_trace(traces / "ATT-LTE-driving-2016", 40)
    assert isinstance(link.up, Opportunities)
    assert link.up.period_ms == 120_002
    assert link.up.mean_bps == pytest.approx(19_101 * 12_000 / 120.002, rel=1e-6)


def test_load_traces_slow_work_down(tmp_path: Path) -> None:
    path = tmp_path / "load.csv"
    path.write_text("time_s,cpu\n0,0\n10,0.5\n20,1\n")
    load = LoadTrace.read(path)
    assert [load.slowdown(ms) for ms in (0, 10_000, 25_000)] == pytest.approx([1, 2, 10])
    assert LoadTrace.bursts(60, 3) == LoadTrace.bursts(60, 3) != LoadTrace.bursts(60, 4)
    path.write_text("time_s,cpu\n0,7\n")
    with pytest.raises(ConfigError, match="shares of 0 to 1"):
        LoadTrace.read(path)
