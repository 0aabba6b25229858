"""What the samples of the bridge say of the link."""

from __future__ import annotations

import math

from mastra_ros.scheduling.estimates.link import LinkEstimator
from mastra_ros.types import LinkSample

MS = 1_000_000


def up(at_ms: int, heard_ms: int | None = None, rtt_ms: float = 20.0) -> LinkSample:
    heard = at_ms if heard_ms is None else heard_ms
    return LinkSample(at_ms * MS, True, rtt_ms, last_heard_ns=heard * MS)


def down(at_ms: int) -> LinkSample:
    return LinkSample(at_ms * MS, False)


def test_before_any_sample_there_is_no_usable_link() -> None:
    estimate = LinkEstimator(1000).estimate(5)
    assert not estimate.usable
    assert math.isnan(estimate.silence_ms)


def test_a_connected_link_of_unknown_round_trip_is_not_usable() -> None:
    link = LinkEstimator(1000)
    assert not link.update(up(1, rtt_ms=math.nan), 1 * MS).usable
    assert link.update(up(2), 2 * MS).usable


def test_answered_heartbeats_are_counted_and_repeated_reports_are_not() -> None:
    link = LinkEstimator(1000)
    counts = [
        link.update(sample, sample.at_ns).good_in_row
        for sample in (up(100), up(200), up(250, heard_ms=200), up(300), down(400), up(500))
    ]
    assert counts == [1, 2, 2, 3, 0, 1]


def test_distrust_counts_from_zero() -> None:
    link = LinkEstimator(1000)
    link.update(up(100), 100 * MS)
    link.distrust()
    assert link.estimate(150 * MS).good_in_row == 0
    assert link.update(up(200), 200 * MS).good_in_row == 1


def test_silence_makes_a_link_unusable_at_the_limit_even_when_the_bridge_says_nothing() -> None:
    link = LinkEstimator(1000)
    link.update(up(100), 100 * MS)
    assert link.silent_at_ns() == 1100 * MS
    assert link.estimate(1099 * MS).usable
    silent = link.estimate(1100 * MS)
    assert not silent.usable
    assert silent.silence_ms == 1000
    assert silent.good_in_row == 0
    assert link.silent_at_ns() is None


def test_reports_of_a_connected_link_on_which_nothing_is_heard_do_not_end_silence() -> None:
    link = LinkEstimator(1000)
    for at in range(100, 2000, 100):
        estimate = link.update(up(at, heard_ms=100), at * MS)
    assert not estimate.usable


def test_an_answer_counts_as_heard() -> None:
    link = LinkEstimator(1000)
    link.update(up(100), 100 * MS)
    link.heard(900 * MS)
    assert link.estimate(1500 * MS).usable


def test_a_bridge_that_does_not_say_when_it_heard_is_believed() -> None:
    link = LinkEstimator(1000)
    sample = LinkSample(100 * MS, True, 20.0)
    assert link.update(sample, 100 * MS).good_in_row == 1


def test_a_clock_that_steps_backwards_neither_kills_the_link_nor_keeps_it_alive() -> None:
    link = LinkEstimator(1000)
    link.update(up(100_000), 100_000 * MS)
    assert link.estimate(20_000 * MS).usable
    assert link.estimate(20_999 * MS).usable
    assert not link.estimate(21_000 * MS).usable
    assert link.update(up(21_100), 21_100 * MS).usable
