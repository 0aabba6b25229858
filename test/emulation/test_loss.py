"""What losses cost a TCP stream, thrown with seeded dice."""

from __future__ import annotations

import random

import pytest

from mastra_ros.emulation.loss import RTO_MIN_S, SEGMENT_BYTES, Losses


class Dice(random.Random):
    """Throws what it was told, then 1.0: nothing more is lost."""

    def __new__(cls, *throws: float) -> Dice:
        return super().__new__(cls)

    def __init__(self, *throws: float) -> None:
        super().__init__(0)
        self._throws = list(throws)

    def random(self) -> float:
        return self._throws.pop(0) if self._throws else 1.0


LOST, KEPT = 0.0, 1.0


def test_without_losses_a_burst_stays_whole() -> None:
    assert list(Losses(0.0, 0.1, 0.0, Dice()).pieces(b"data")) == [(b"data", 0.0)]


def test_every_byte_comes_once_and_in_order() -> None:
    data = random.Random(5).randbytes(100_000)
    losses = Losses(0.3, 0.05, 0.01, random.Random(6))
    pieces = list(losses.pieces(data))
    assert b"".join(piece for piece, _ in pieces) == data
    assert len(pieces) > 5


def test_a_loss_with_three_segments_behind_it_costs_one_round_trip() -> None:
    data = bytes(5 * SEGMENT_BYTES)
    losses = Losses(0.5, 0.08, 0.0, Dice(KEPT, LOST, KEPT))
    (_, before_s), (late, late_s) = losses.pieces(data)
    assert before_s == 0.0
    assert len(late) == 4 * SEGMENT_BYTES, "all that follows waits with it"
    assert late_s == pytest.approx(0.08)


def test_a_loss_at_the_end_costs_a_time_out_of_at_least_200_ms() -> None:
    ((_, late_s),) = Losses(0.5, 0.08, 0.0, Dice(LOST, KEPT)).pieces(b"short")
    assert late_s == pytest.approx(RTO_MIN_S)


def test_a_loss_at_the_end_is_noticed_when_more_follows() -> None:
    ((_, late_s),) = Losses(0.5, 0.08, 0.0, Dice(LOST, KEPT)).pieces(b"short", more=True)
    assert late_s == pytest.approx(0.08)


def test_the_time_out_grows_with_the_round_trip_and_its_deviation() -> None:
    ((_, late_s),) = Losses(0.5, 0.3, 0.05, Dice(LOST, KEPT)).pieces(b"short")
    assert late_s == pytest.approx(0.3 + 4 * 0.05)


def test_a_lost_repetition_doubles_the_time_out() -> None:
    ((_, late_s),) = Losses(0.5, 0.0, 0.0, Dice(LOST, LOST, LOST, KEPT)).pieces(b"short")
    assert late_s == pytest.approx(0.2 + 0.4 + 0.8)


def test_the_share_of_late_bursts_is_that_of_the_losses() -> None:
    losses = Losses(0.02, 0.05, 0.0, random.Random(1))
    late = sum(any(late_s for _, late_s in losses.pieces(b"x")) for _ in range(20_000))
    assert late / 20_000 == pytest.approx(0.02, rel=0.15)
