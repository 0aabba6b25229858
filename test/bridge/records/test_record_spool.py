"""The records that wait on the device: kept once, in order, through damage and a full disk."""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from mastra_ros.bridge.records import RecordSpool
from mastra_ros.bridge.records.sending import Settlement, Stored
from mastra_ros.errors import SpoolError
from mastra_ros.records import Record, unpack_body

Open = Callable[..., RecordSpool]


@pytest.fixture
def open_spool(tmp_path: Path) -> Iterator[Open]:
    with ExitStack() as stack:

        def make(name: str = "records", stream: str = "main", **options: object) -> RecordSpool:
            spool = RecordSpool(tmp_path / name, stream, **options)  # type: ignore[arg-type]
            stack.callback(spool.close)
            return spool

        yield make


def record(number: int, kind: str = "verdict", id_: str = "", size: int = 0) -> Record:
    return Record(kind, number, {"n": number, "fill": bytes(size)}, id_)


def waiting(spool: RecordSpool) -> list[Stored]:
    return spool.next_batch(0, 10_000, 2**30)


def numbers(spool: RecordSpool) -> list[int]:
    return [unpack_body(stored.body)["n"] for stored in waiting(spool)]


def test_records_come_out_in_order_each_kind_with_numbers_of_its_own(open_spool: Open) -> None:
    spool = open_spool()
    assert spool.put([record(1), record(2, "event"), record(3)]) == ["", "", ""]
    names = [(s.kind, s.seq, s.after) for s in waiting(spool)]
    assert names == [("verdict", 1, 0), ("event", 1, 0), ("verdict", 2, 1)]


def test_what_was_put_is_there_when_the_file_is_opened_again(open_spool: Open) -> None:
    spool = open_spool()
    spool.put([record(1), record(2)])
    epoch = waiting(spool)[0].epoch
    spool.close()
    again = open_spool()
    assert numbers(again) == [1, 2]
    again.put([record(3)])
    assert [(s.epoch, s.seq) for s in waiting(again)] == [(epoch, 1), (epoch, 2), (epoch, 3)]


def test_what_is_committed_is_forgotten_and_its_number_is_not_given_again(open_spool: Open) -> None:
    spool = open_spool()
    spool.put([record(1), record(2), record(3, "event")])
    epoch = waiting(spool)[0].epoch
    spool.settle(Settlement(epoch, committed=(("verdict", 2),)))
    assert numbers(spool) == [3]
    spool.close()
    again = open_spool()
    again.put([record(4)])
    assert [(s.kind, s.seq, s.after) for s in waiting(again)] == [
        ("event", 1, 0),
        ("verdict", 3, 2),
    ]
    assert again.stats().waiting == 2


def test_a_record_told_twice_is_kept_once_also_after_it_was_committed(open_spool: Open) -> None:
    spool = open_spool()
    assert spool.put([record(1, id_="a"), record(1, id_="a")]) == ["", ""]
    assert numbers(spool) == [1]
    spool.settle(Settlement(waiting(spool)[0].epoch, committed=(("verdict", 1),)))
    spool.put([record(1, id_="a"), record(2, id_="b"), record(2), record(2)])
    assert numbers(spool) == [2, 2, 2], "without an id every one counts"


def test_a_full_spool_refuses_new_records_and_gives_up_none(open_spool: Open) -> None:
    spool = open_spool(bytes_max=5000)
    answers = spool.put([record(n, size=1000) for n in range(6)])
    assert [bool(answer) for answer in answers] == [False] * 4 + [True] * 2
    assert "full" in answers[-1]
    assert "5000" in answers[-1]
    assert numbers(spool) == [0, 1, 2, 3]
    spool.settle(Settlement(waiting(spool)[0].epoch, committed=(("verdict", 1),)))
    assert spool.put([record(9, size=1000)]) == [""], "there is room again"
    assert [s.seq for s in waiting(spool)] == [2, 3, 4, 5], "those refused took no number"


def test_a_record_refused_for_good_leaves_no_gap_behind(open_spool: Open) -> None:
    spool = open_spool()
    spool.put([record(n) for n in range(1, 4)])
    epoch = waiting(spool)[0].epoch
    spool.settle(Settlement(epoch, committed=(("verdict", 1),), dropped=(("verdict", 2),)))
    assert [(s.seq, s.after) for s in waiting(spool)] == [(3, 1)]
    assert spool.stats().refused_by_gateway == 1


def test_a_gateway_that_knows_less_is_told_from_where_it_goes_on(open_spool: Open) -> None:
    spool = open_spool()
    spool.put([record(n) for n in range(1, 6)])
    epoch = waiting(spool)[0].epoch
    spool.settle(Settlement(epoch, committed=(("verdict", 4),)))
    spool.settle(Settlement(epoch, rebased=(("verdict", 2),)))
    assert [(s.seq, s.after) for s in waiting(spool)] == [(5, 2)]


def test_a_new_epoch_numbers_the_kind_that_needs_it_anew(open_spool: Open) -> None:
    spool = open_spool()
    spool.put([record(1), record(2), record(3, "event"), record(4)])
    epoch = waiting(spool)[0].epoch
    spool.settle(Settlement(epoch, committed=(("verdict", 1),), renumber=("verdict",)))
    spool.put([record(5), record(6, "event")])
    (first,) = waiting(spool)
    (second,) = spool.next_batch(first.number, 10, 2**30)
    rest = spool.next_batch(second.number, 10, 2**30)
    names = [(s.epoch == epoch, s.kind, s.seq, s.after) for s in (first, second, *rest)]
    assert names == [
        (False, "verdict", 1, 0),
        (True, "event", 1, 0),  # may be committed already: it keeps its name
        (False, "verdict", 2, 1),
        (False, "verdict", 3, 2),
        (False, "event", 1, 0),
    ]


def test_a_device_installed_anew_has_another_epoch(open_spool: Open) -> None:
    first, second = open_spool("one"), open_spool("two")
    first.put([record(1)])
    second.put([record(1)])
    assert waiting(first)[0].epoch != waiting(second)[0].epoch


def test_batches_are_bounded_and_hold_one_record_at_least(open_spool: Open) -> None:
    spool = open_spool()
    spool.put([record(n, size=1000) for n in range(6)])
    assert len(spool.next_batch(0, 10, 10)) == 1
    assert len(spool.next_batch(0, 10, 3500)) == 3
    assert len(spool.next_batch(0, 2, 10**6)) == 2
    assert [s.number for s in spool.next_batch(3, 10, 10**6)] == [4, 5, 6]


def test_another_stream_s_records_stay_where_they_are(open_spool: Open) -> None:
    spool = open_spool()
    spool.put([record(1)])
    spool.close()
    other = open_spool(stream="other")
    other.put([record(2)])
    assert numbers(other) == [2]
    other.close()
    assert numbers(open_spool()) == [1]


def test_a_damaged_record_costs_itself_alone(open_spool: Open, tmp_path: Path) -> None:
    spool = open_spool()
    spool.put([record(n) for n in range(1, 4)])
    spool.close()
    with sqlite3.connect(tmp_path / "records") as db:
        db.execute("UPDATE record SET body = x'80' WHERE seq = 2")
    db.close()
    again = open_spool()
    numbers(again)
    assert numbers(again) == [1, 3]
    assert [(s.seq, s.after) for s in waiting(again)] == [(1, 0), (3, 1)]
    assert "damaged" in again.stats().error


def test_a_damaged_file_is_put_aside_and_what_is_good_of_it_goes_on(
    open_spool: Open, tmp_path: Path
) -> None:
    spool = open_spool()
    spool.put([record(n, size=3000) for n in range(1, 40)])
    epoch = waiting(spool)[0].epoch
    spool.close()
    path = tmp_path / "records"
    data = bytearray(path.read_bytes())
    middle = len(data) // 2 // 4096 * 4096
    data[middle : middle + 4096] = b"\xff" * 4096
    path.write_bytes(data)
    again = open_spool()
    good = numbers(again)
    assert again.put([record(99)]) == [""]
    assert list(tmp_path.glob("records.damaged-*"))
    assert good == sorted(set(good))
    assert len(good) >= 20
    named = waiting(again)
    assert {s.epoch for s in named} == {epoch}, "those that were kept keep their names"
    (last,) = again.next_batch(named[-1].number, 10, 2**30)
    assert (unpack_body(last.body)["n"], last.seq, last.after) == (99, 1, 0)
    assert last.epoch != epoch, "numbers begin anew, in an epoch of their own"
    assert "damaged" in again.stats().error


def test_what_the_disk_does_not_give_is_not_put_aside(
    open_spool: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = open_spool()
    spool.put([record(n, size=3000) for n in range(1, 40)])
    spool.close()
    path = tmp_path / "records"
    good = path.read_bytes()
    bad = bytearray(good)
    bad[4096:8192] = b"\xff" * 4096  # as read from a bad sector, which gives an error at last
    path.write_bytes(bad)

    def failing(descriptor: int, size: int, place: int) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "pread", failing)
        with pytest.raises(SpoolError, match="Input/output error"):
            numbers(open_spool())
    assert not list(tmp_path.glob("records.damaged-*"))
    path.write_bytes(good)
    assert numbers(open_spool()) == list(range(1, 40))


def test_a_file_of_something_else_is_left_alone(open_spool: Open, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "records") as db:
        db.execute("CREATE TABLE mine (a)")
    db.close()
    with pytest.raises(SpoolError, match="something else"):
        open_spool()
    db = sqlite3.connect(tmp_path / "records")
    assert db.execute("SELECT count(*) FROM mine").fetchone() == (0,)
    db.close()


def test_the_file_is_closed_to_others(open_spool: Open, tmp_path: Path) -> None:
    spool = open_spool()
    spool.put([record(1)])
    for path in tmp_path.glob("records*"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_on_a_full_disk_the_room_that_was_kept_is_used(tmp_path: Path) -> None:
    """A limit on the pages of the file stands for a disk without room."""
    spools: list[RecordSpool] = []

    class Room:
        kept = True

        def keep(self) -> None:
            pass

        def release(self) -> bool:
            was, Room.kept = Room.kept, False
            db = spools[0]._db
            assert db is not None
            db.execute("PRAGMA max_page_count = 1000000")
            return was

    spool = RecordSpool(tmp_path / "records", "main", room=Room())
    spools.append(spool)
    assert spool._db is not None
    (pages,) = spool._db.execute("PRAGMA page_count").fetchone()
    spool._db.execute(f"PRAGMA max_page_count = {pages}")
    assert spool.put([record(1, size=20_000)]) == [""]
    assert not Room.kept
    assert numbers(spool) == [1]
    spool.close()
