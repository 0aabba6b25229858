"""The estimate of the link follows RFC 6298, and its losses a window."""

from __future__ import annotations

import math

import pytest

from mastra_ros.protocol import LinkEstimate
from mastra_ros.protocol.link import WINDOW

MS = 1_000_000


def test_nothing_is_known_before_the_first_round_trip() -> None:
    link = LinkEstimate(ceiling_ns=500 * MS)
    assert math.isnan(link.srtt_ns)
    assert link.loss == 0.0
    assert link.rto_ns == 500 * MS


def test_the_first_round_trip_is_taken_as_it_is() -> None:
    link = LinkEstimate()
    link.measured(80 * MS)
    assert (link.srtt_ns, link.rttvar_ns) == (80 * MS, 40 * MS)
    assert link.rto_ns == 240 * MS


def test_the_second_is_smoothed_with_an_eighth_and_a_quarter() -> None:
    link = LinkEstimate()
    link.measured(80 * MS)
    link.measured(160 * MS)
    assert link.rttvar_ns == pytest.approx(0.75 * 40 * MS + 0.25 * 80 * MS)
    assert link.srtt_ns == pytest.approx(0.875 * 80 * MS + 0.125 * 160 * MS)


def test_the_time_out_stays_within_its_bounds() -> None:
    link = LinkEstimate(floor_ns=100 * MS, ceiling_ns=400 * MS)
    link.measured(1 * MS)
    assert link.rto_ns == 100 * MS
    link.measured(3000 * MS)
    assert link.rto_ns == 400 * MS


def test_losses_are_a_share_of_the_window() -> None:
    link = LinkEstimate()
    for in_time in (True, False, False, True):
        link.count(in_time)
    assert link.loss == 0.5
    for _ in range(WINDOW):
        link.count(True)
    assert link.loss == 0.0
