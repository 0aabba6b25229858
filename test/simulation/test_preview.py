"""What policies would have done on a device's last minutes, by its statuses."""

from __future__ import annotations

import math
from typing import Any

import pytest

from mastra_ros.errors import ConfigError
from mastra_ros.simulation.compare import CHOICES
from mastra_ros.simulation.preview import preview


def status(**changes: Any) -> dict[str, Any]:
    told: dict[str, Any] = {
        "route": {"now": "cloud", "results": {"local": 2, "cloud": 8}},
        "models": {
            "local": {"inference_ms": {"p50": 60.0, "p99": 90.0}},
            "cloud": {"inference_ms": {"p50": 10.0, "p99": 20.0}},
        },
        "link": {"connected": True, "rtt_ms": 8.0, "loss": 0.0, "goodput_bps": 50e6},
        "load": {"cpu": 0.3, "memory": 0.4},
        "codecs": {"jpeg": {"packets": 8, "bytes": 160_000}},
    }
    for section, values in changes.items():
        told[section] = {**told[section], **values}
    return told


CUT = {"connected": False}


def rows_of(samples: list[dict[str, Any]], changes: dict[str, Any], **now: Any) -> dict[str, Any]:
    rows = preview(samples, [100.0 + n for n in range(len(samples))], changes, now)
    return {row["policy"]: row for row in rows}


def test_every_policy_is_told_before_and_after_and_the_same_again() -> None:
    samples = [status() for _ in range(20)]
    rows = rows_of(samples, {"scheduling.load_high": 0.6})
    assert list(rows) == list(CHOICES)
    assert rows == rows_of(samples, {"scheduling.load_high": 0.6})
    assert [name for name, row in rows.items() if row["in_use"]] == ["dta"]
    for row in rows.values():
        for when in ("before", "after"):
            assert 0 <= row[when]["in_time"] <= 1
            assert sum(row[when]["shares"].values()) <= 1 + 1e-9
            assert row[when]["frames"] == 190


def test_a_tighter_deadline_is_met_less_often_by_the_slower_model() -> None:
    rows = rows_of([status() for _ in range(20)], {"deadline_ms": 40.0})
    assert rows["always-local"]["before"]["in_time"] > 0.95
    assert rows["always-local"]["after"]["in_time"] < 0.1
    assert rows["always-cloud"]["before"]["shares"]["cloud"] > 0.9


def test_in_a_cut_frames_are_answered_here_and_the_route_changes() -> None:
    samples = [status() for _ in range(10)] + [status(link=CUT) for _ in range(10)]
    samples += [status() for _ in range(10)]
    rows = rows_of(samples, {"policy": "fixed", "route": "local"}, policy="dta")
    before = rows["dta"]["before"]
    assert before["shares"]["local"] > 0.25
    assert before["shares"]["cloud"] > 0.25
    assert before["switches"] >= 2
    assert rows["always-local"]["in_use"]
    assert rows["always-local"]["after"]["switches"] == 0


def test_a_threshold_of_load_moves_the_share_of_the_cloud() -> None:
    busy = [status(load={"cpu": 0.9}, route={"results": {"local": 0, "cloud": 10}})] * 30
    rows = rows_of(busy, {"load_high": 1.0, "load_low": 0.99}, load_high=0.5, load_low=0.2)
    assert rows["dta"]["before"]["shares"]["cloud"] > rows["dta"]["after"]["shares"]["cloud"] + 0.3


def test_what_is_not_told_comes_from_the_table() -> None:
    rows = rows_of([{"at_ns": 1} for _ in range(6)], {})
    assert rows["always-local"]["before"]["in_time"] > 0.5
    assert rows["dta"]["before"]["shares"]["cloud"] == 0, "no link was told of"
    rows_of([status(link={"connected": True, "goodput_bps": 0.0})] * 6, {})
    rows_of([status(link=CUT)] * 6, {})


ABSURD = (1e308, -1e308, 9e11, 1e-7, 5e-324, math.inf, math.nan, 10**400)
PACKETS = ("packets", "bytes")


@pytest.mark.parametrize("absurd", ABSURD, ids=[*map("{:.0e}".format, ABSURD[:-1]), "endless"])
def test_what_nobody_can_have_measured_counts_for_nothing(absurd: float) -> None:
    """Wherever it stands, the preview is reckoned, and without a warning of an overflow."""
    p50 = {"inference_ms": {"p50": absurd}}
    one = status(
        route={"results": {"local": absurd, "cloud": absurd}, "superseded": absurd},
        models={"local": p50, "cloud": p50},
        link={"rtt_ms": absurd, "loss": absurd, "goodput_bps": absurd},
        load={"cpu": absurd, "memory": absurd},
        codecs={"jpeg": {"packets": absurd, "bytes": absurd}},
    )
    for samples in ([one] * 6, [status(), status(), one, one, status(), status()]):
        for row in rows_of(samples, {}).values():
            assert 0 <= row["before"]["in_time"] <= 1
    for section, told in (
        *(("link", {name: absurd}) for name in ("rtt_ms", "goodput_bps", "loss")),
        *(("codecs", {"jpeg": {"packets": 1, "bytes": 1, name: absurd}}) for name in PACKETS),
    ):
        rows_of([status(), *[status(**{section: told})] * 5], {})


@pytest.mark.parametrize(
    ("count", "changes", "complaint"),
    [
        (2, {}, "5 statuses"),
        (6, {"load_high": 2.0}, "expected 0 to 1"),
        (6, {"local_in_flight": 4}, "live parameter"),
        (6, {"scheduling.nonsense": 4}, "live parameter"),
    ],
)
def test_what_makes_no_sense_is_refused(count: int, changes: Any, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        rows_of([status()] * count, changes)
    with pytest.raises(ConfigError, match="rise"):
        preview([status()] * 6, [1.0] * 6, {})
    with pytest.raises(ConfigError, match="a time for each"):
        preview([status()] * 6, [1.0] * 5, {})
