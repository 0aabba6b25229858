"""The contract of a spool, held by every implementation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mastra_ros.bridge import MemorySpool, Spool, SqliteSpool
from mastra_ros.bridge.spool import PLAUSIBLE_S, record_of
from mastra_ros.bridge.spool_clock import STEADY_S, SpoolClock
from mastra_ros.types import FrameKey, Packet, PacketKind

START_S = PLAUSIBLE_S + 1e8


class Clock:
    """A wall clock and a monotonic one that move when told."""

    def __init__(self) -> None:
        self.wall_s = START_S
        self.monotonic_s = 50.0

    def pass_(self, seconds: float) -> None:
        self.wall_s += seconds
        self.monotonic_s += seconds


def packet(
    stamp_ns: int, kind: PacketKind = PacketKind.KEY, *, hard: bool = False, size: int = 1000
) -> Packet:
    return Packet(
        key=FrameKey("main", stamp_ns),
        kind=kind,
        payload=bytes([stamp_ns % 256]) * size,
        width_px=64,
        height_px=48,
        encoding="bgr8",
        reference_ns=1 if kind is PacketKind.DELTA else 0,
        hard=hard,
        meta={"note": "x"},
    )


KEY, DELTA, FEATURES = PacketKind.KEY, PacketKind.DELTA, PacketKind.FEATURES
RECORD_BYTES = len(record_of(packet(1, DELTA)))
"""Of any of the packets here, but for a few bytes."""


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["memory", "sqlite"])
def make(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[Make]:
    made: list[Spool] = []

    def make(bytes_max: int = 10**6, age_max_s: float = 3600.0) -> Spool:
        spool: Spool
        if request.param == "memory":
            spool = MemorySpool(bytes_max, age_max_s, lambda: clock.monotonic_s)
        else:
            steady = SpoolClock(lambda: clock.wall_s, lambda: clock.monotonic_s)
            spool = SqliteSpool(tmp_path / "spool.sqlite", bytes_max, age_max_s, steady)
        made.append(spool)
        return spool

    yield make
    for spool in made:
        spool.close()


Make = Callable[..., Spool]


def stamps(spool: Spool, limit: int = 100) -> list[int]:
    return [p.key.stamp_ns for p in spool.next_batch(limit)]


def test_what_was_put_comes_back_unchanged_but_late(make: Make) -> None:
    spool = make()
    original = packet(5, DELTA, hard=True)
    assert spool.put([original]) == [True]
    (back,) = spool.next_batch(10)
    assert back.late
    assert not original.late
    assert (back.key, back.payload, back.kind, back.reference_ns, back.hard, back.meta) == (
        original.key, original.payload, DELTA, 1, True, {"note": "x"},
    )  # fmt: skip


def test_whole_pictures_go_first_and_the_oldest_of_each_kind(make: Make) -> None:
    spool = make()
    spool.put([packet(4, DELTA), packet(3), packet(1, DELTA), packet(2, FEATURES)])
    spool.put([packet(5, hard=True), packet(0, DELTA, hard=True)])
    assert stamps(spool) == [2, 3, 5, 0, 1, 4]
    assert stamps(spool, limit=2) == [2, 3]


def test_what_is_under_way_is_not_handed_out_again(make: Make) -> None:
    spool = make()
    spool.put([packet(n) for n in range(4)])
    under_way = {FrameKey("main", 0), FrameKey("main", 2), FrameKey("main", 77)}
    assert [p.key.stamp_ns for p in spool.next_batch(1, under_way)] == [1]
    assert [p.key.stamp_ns for p in spool.next_batch(9, under_way)] == [1, 3]


def test_the_same_frame_is_kept_once(make: Make) -> None:
    spool = make()
    assert spool.put([packet(1), packet(1)]) == [True, True]
    assert spool.put([packet(1, DELTA)]) == [True]
    stats = spool.stats()
    assert (stats.records, stats.stored_total, stats.dropped_total) == (1, 1, 0)
    assert spool.next_batch(1)[0].kind is KEY


def test_a_whole_picture_takes_the_place_of_a_delta_of_its_frame(make: Make) -> None:
    spool = make()
    spool.put([packet(1, DELTA, hard=True), packet(2, DELTA)])
    assert spool.put([packet(1, size=1500), packet(1, DELTA)]) == [True, True]
    first, second = spool.next_batch(9)
    assert (first.kind, first.key.stamp_ns, len(first.payload)) == (KEY, 1, 1500)
    assert first.hard, "it stays a hard example"
    assert second.kind is DELTA
    stats = spool.stats()
    assert (stats.records, stats.stored_total, stats.dropped_total) == (2, 2, 0)
    assert abs(stats.bytes - 2 * RECORD_BYTES - 500) < 30


def test_a_delta_stays_where_its_whole_picture_finds_no_room(make: Make) -> None:
    spool = make(bytes_max=RECORD_BYTES + 100)
    spool.put([packet(1, DELTA)])
    assert spool.put([packet(1, size=5000)]) == [True]
    assert spool.next_batch(1)[0].kind is DELTA


def test_what_is_acknowledged_is_forgotten(make: Make) -> None:
    spool = make()
    spool.put([packet(n) for n in range(3)])
    assert spool.acknowledge([FrameKey("main", 1), FrameKey("main", 9)]) == 1
    assert stamps(spool) == [0, 2]
    assert spool.acknowledge([FrameKey("main", 0), FrameKey("main", 2)]) == 2
    stats = spool.stats()
    assert (stats.records, stats.bytes, stats.stored_total, stats.dropped_total) == (0, 0, 3, 0)


def test_what_is_given_up_is_counted_by_its_reason(make: Make) -> None:
    spool = make()
    spool.put([packet(1), packet(2)])
    spool.drop(FrameKey("main", 1), "reference_missing")
    spool.drop(FrameKey("main", 9), "reference_missing")
    assert spool.stats().dropped == {"reference_missing": 1}
    assert stamps(spool) == [2]


def test_deltas_make_room_first_then_key_frames_and_hard_examples_last(make: Make) -> None:
    spool = make(bytes_max=int(4.2 * RECORD_BYTES))
    spool.put([packet(1, hard=True), packet(2), packet(3, DELTA), packet(4)])
    assert spool.put([packet(5)]) == [True]
    assert stamps(spool) == [1, 2, 4, 5]
    assert spool.put([packet(6)]) == [True]  # now the oldest key frame, the hard one stays
    assert stamps(spool) == [1, 4, 5, 6]
    assert spool.put([packet(7, hard=True), packet(8, hard=True), packet(9, hard=True)]) == [
        True, True, True,
    ]  # fmt: skip
    assert stamps(spool) == [1, 7, 8, 9]
    assert spool.put([packet(10, hard=True)]) == [True]  # of hard ones, too, the oldest goes
    assert stamps(spool) == [7, 8, 9, 10]
    assert spool.stats().dropped == {"bytes": 6}


def test_a_packet_never_displaces_one_that_is_worth_more(make: Make) -> None:
    spool = make(bytes_max=int(2.2 * RECORD_BYTES))
    spool.put([packet(1), packet(2)])
    assert spool.put([packet(3, DELTA)]) == [False]
    assert stamps(spool) == [1, 2]
    assert spool.put([packet(4, size=5000)]) == [False]  # larger than all the room
    assert stamps(spool) == [1, 2]
    assert spool.stats().dropped == {"bytes": 2}


def test_bytes_never_exceed_the_bound(make: Make) -> None:
    bound = int(5.5 * RECORD_BYTES)
    spool = make(bytes_max=bound)
    kinds = (DELTA, KEY, DELTA, FEATURES)
    for n in range(40):
        spool.put([packet(n, kinds[n % 4], hard=n % 7 == 0, size=200 + 37 * n % 1500)])
        assert 0 <= spool.stats().bytes <= bound
    kept = spool.next_batch(100)
    assert spool.stats().bytes == sum(len(record_of(p)) for p in kept)
    assert spool.stats().records == len(kept)


def test_old_records_are_given_up(make: Make, clock: Clock) -> None:
    spool = make(age_max_s=1000.0)
    spool.put([packet(1, hard=True)])
    clock.pass_(600)
    spool.put([packet(2)])
    clock.pass_(600)
    assert stamps(spool) == [2]
    assert spool.stats().dropped == {"age": 1}


@pytest.mark.parametrize("jump_s", [1e7, -1e7])
def test_a_clock_that_is_set_makes_nothing_older(make: Make, clock: Clock, jump_s: float) -> None:
    """A jump beyond the age dropped the frames of the outage that was just over."""
    spool = make(age_max_s=2000.0)
    spool.put([packet(1)])
    clock.pass_(700)
    clock.wall_s += jump_s
    assert stamps(spool) == [1]
    spool.put([packet(2)])
    clock.pass_(1200)
    assert stamps(spool) == [1, 2]
    clock.pass_(200)
    assert stamps(spool) == [2]
    clock.pass_(2000)
    assert stamps(spool) == []


def test_a_clock_that_was_not_set_makes_nothing_old(make: Make, clock: Clock) -> None:
    spool = make(age_max_s=1000.0)
    clock.wall_s = 12.0  # a board without a battery wakes up in 1970
    spool.put([packet(1)])
    clock.pass_(5)
    clock.wall_s = START_S
    assert stamps(spool) == [1]


def test_a_clock_that_is_wrong_from_the_start_is_not_believed_at_once(
    tmp_path: Path, clock: Clock
) -> None:
    spool = SqliteSpool(tmp_path / "spool.sqlite", 10**6, 1000.0)
    spool.put([packet(1)])
    spool.close()
    clock.wall_s = 4e9
    ahead = SpoolClock(lambda: clock.wall_s, lambda: clock.monotonic_s)
    spool = SqliteSpool(tmp_path / "spool.sqlite", 10**6, 1000.0, ahead)
    assert stamps(spool) == [1]
    clock.pass_(STEADY_S + 1)
    assert stamps(spool) == []
    spool.close()


def test_closing_twice_does_nothing(make: Make) -> None:
    spool = make()
    spool.close()
    spool.close()
