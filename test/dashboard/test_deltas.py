"""A chart that is told only what is new shows the same as one that is told all."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bench.dashboard_scene import status
from mastra_ros.dashboard import views
from mastra_ros.dashboard.deltas import delta
from mastra_ros.dashboard.fleet import Sample


def applied(before: dict[str, Any], told: dict[str, Any]) -> tuple[Any, ...]:
    """What the page's script makes of it: axis, points and bands."""
    if "options" in told:
        return shown(told["options"])
    series = [
        {
            "data": [*was["data"][one["drop"] :], *one.get("add", [])],
            "markArea": one.get("markArea", was.get("markArea")),
        }
        for was, one in zip(before["series"], told["series"], strict=True)
    ]
    return told["min"], told["max"], series


def shown(options: dict[str, Any]) -> tuple[Any, ...]:
    series = [{"data": one["data"], "markArea": one.get("markArea")} for one in options["series"]]
    return options["xAxis"]["min"], options["xAxis"]["max"], series


def samples(moments: list[float], down: set[int]) -> list[Sample]:
    return [
        Sample(at_s, status(at_s, cut=place in down)) for place, at_s in enumerate(sorted(moments))
    ]


MOMENTS = st.lists(st.floats(0, 700).map(lambda at_s: round(at_s, 1)), unique=True, max_size=40)


@given(MOMENTS, MOMENTS, st.sets(st.integers(0, 60)), st.floats(0, 400), st.floats(0, 400))
def test_whatever_comes_the_chart_shows_what_is_known(
    first: list[float], more: list[float], down: set[int], now_s: float, later_s: float
) -> None:
    before = views.device_charts(samples(first, down), now_s, "en")
    known = samples(sorted({*first, *more}), down)
    after = views.device_charts(known, now_s + later_s, "en", silent=True)
    for old, new in zip(before, after, strict=False):
        assert applied(old, delta(old, new)) == shown(new)


def test_a_second_later_one_point_a_line_is_told() -> None:
    now_s = 10_000.0
    moments = [now_s - 299.5 + n for n in range(300)]
    before = views.device_charts(samples(moments, set()), now_s, "en")
    moments.append(now_s + 0.5)
    after = views.device_charts(samples(moments, set()), now_s + 1.0, "en")
    for old, new in zip(before, after, strict=True):
        told = delta(old, new)
        assert [len(one["add"]) for one in told["series"]] == [1] * len(new["series"])
        assert [one["drop"] for one in told["series"]] == [1] * len(new["series"])


def test_other_lines_and_a_past_that_was_told_late_are_drawn_anew() -> None:
    bare = {"route": {"now": "local"}}
    before = views.device_charts([Sample(1.0, bare), Sample(9.0, bare)], 10.0, "en")
    late = [Sample(1.0, bare), Sample(5.0, {"route": {"age_ms": {"p50": 1.0}}}), Sample(9.0, bare)]
    assert "options" in delta(before[0], views.device_charts(late, 10.0, "en")[0])
    full = views.device_charts([Sample(9.5, status(9.5))], 10.0, "en")
    assert "options" in delta(before[1], full[1])
