"""What pages add to ages is told by slices that take turns, and how sure that is."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

pytest.importorskip("socketio", reason="the extra dashboard is not installed")

from bench.dashboard_ages import PAGES, SETTLE_S, Slice, measure, planned, told
from bench.dashboard_table import tables
from mastra_ros.dashboard.fleet import LOOKED_AT_S

SLICE_S = 5.0


def test_every_number_of_pages_follows_every_other_as_often() -> None:
    order = [pages for turn in planned(12) for pages in turn]
    follows = list(itertools.pairwise(order))
    assert {sorted(turn) == sorted(PAGES) for turn in planned(12)} == {True}
    assert set(follows) >= {(a, b) for a in PAGES for b in PAGES if a != b}


def test_pages_are_only_seen_or_hidden_and_the_first_moments_are_not_counted() -> None:
    now, shown = [0.0], list[int]()

    def wait(seconds: float) -> None:
        now[0] += seconds

    turns = measure(shown.append, wait, lambda: now[0], lambda: {"gateway": now[0] / 2}, 2, SLICE_S)
    assert [one.pages for turn in turns for one in turn] == shown
    first_s = SETTLE_S[shown[0]]
    assert turns[0][0] == Slice(shown[0], first_s, first_s + SLICE_S, {"gateway": SLICE_S / 2})
    assert SETTLE_S[0] > LOOKED_AT_S, "until then the dashboard still asks the gateway"


@pytest.mark.parametrize("more", [0.0, 0.03, 0.5])
def test_three_percent_are_told_on_a_machine_that_swings_by_half(more: float) -> None:
    rng = np.random.default_rng(3)
    turns, frames, at_s = [], [], 0.0
    for turn in planned(24):
        swing = rng.uniform(0.7, 1.4)  # of this machine, then
        slices = []
        for pages in turn:
            factor = swing * (1 + (more if pages == 20 else 0)) * rng.normal(1, 0.02)
            sent = at_s + np.sort(rng.uniform(0, SLICE_S, 8000))
            frames.append(np.column_stack([sent, factor * rng.gamma(2.0, 2.0, 8000)]))
            slices.append(Slice(pages, at_s, at_s + SLICE_S, {"gateway": 1.0}))
            at_s += SLICE_S + SETTLE_S[pages]
        turns.append(slices)
    result = told(np.concatenate(frames), turns, 1600.0)
    assert result["pages_20_percent"] == pytest.approx(100 * more, abs=2.5)
    for pages in (1, 20):
        low, high = result[f"pages_{pages}_interval"]
        assert low <= result[f"pages_{pages}_percent"] <= high
        assert high - low < 6.0 * (1 + more)
    document = {"machine": {"cores": 2, "cpu": "x"}, "bars": [], "ages": result}
    assert f"({result['pages_20_interval'][0]:+} to" in tables(document)


def test_a_slice_without_frames_is_no_measurement() -> None:
    slices = [[Slice(pages, 10.0 * pages, 10.0 * pages + 5) for pages in PAGES]]
    with pytest.raises(RuntimeError, match="no frame was answered in a slice with 1 pages"):
        told(np.array([[1.0, 3.0], [202.0, 3.0]]), slices, 1.0)
