"""Every store of records counts each once, in order, and answers for what it does not take."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mastra_ros.errors import StoreError
from mastra_ros.gateway.records import RecordBatch, RecordStore, SqliteRecordStore
from mastra_ros.gateway.records.store import EPOCHS_KEPT, SOURCES_MAX, BatchCommit, Query
from mastra_ros.protocol.records import Committed, RecordItem
from mastra_ros.records import pack_body

EPOCH = "0123456789abcdef"
Open = Callable[..., RecordStore]


def item(seq: int, kind: str = "verdict", after: int | None = None, **body: Any) -> RecordItem:
    before = seq - 1 if after is None else after
    return RecordItem(kind, seq, before, seq * 10, pack_body({"n": seq, **body}))


def commit(
    store: RecordStore, *items: RecordItem, device: str = "cam", epoch: str = EPOCH
) -> BatchCommit:
    return store.commit(RecordBatch(device, "main", epoch, items)).result(30)


def seqs(store: RecordStore, **query: Any) -> list[int]:
    return [kept.name.seq for kept in store.page(Query(**query), 0, 1000)]


def codes(done: BatchCommit) -> list[tuple[str, int, str, int]]:
    return [(no.kind, no.seq, no.code, no.last) for no in done.refused]


def await_seqs(store: RecordStore, wanted: range, what: str) -> None:
    """Wait until these are kept and no others: the store forgets in its own time."""
    until_s = time.monotonic() + 30
    while (found := seqs(store)) != list(wanted):
        assert time.monotonic() < until_s, f"{what}: {found}"
        time.sleep(0.01)


def test_records_are_committed_in_order_and_said_so_by_kind(open_store: Open) -> None:
    store = open_store()
    done = commit(store, item(1), item(1, "event"), item(2))
    assert done.committed == [Committed("verdict", 2), Committed("event", 1)]
    assert (done.new, done.duplicates, done.refused) == (3, 0, [])
    kept = store.page(Query(), 0, 10)
    assert [(k.name.kind, k.name.seq) for k in kept] == [
        ("verdict", 1),
        ("event", 1),
        ("verdict", 2),
    ]
    assert kept[0].body == {"n": 1}
    assert kept[0].name[:2] == ("cam", "main")


def test_what_comes_again_counts_no_second_time(open_store: Open) -> None:
    store = open_store()
    commit(store, item(1), item(2))
    done = commit(store, item(1), item(2), item(3))
    assert (done.new, done.duplicates) == (1, 2)
    assert done.committed == [Committed("verdict", 3)]
    assert seqs(store) == [1, 2, 3]


def test_a_record_that_would_leave_a_gap_is_not_taken_nor_those_after_it(open_store: Open) -> None:
    store = open_store()
    commit(store, item(1))
    done = commit(store, item(3), item(4), item(1, "event"))
    assert codes(done) == [("verdict", 3, "gap", 1)]
    assert done.committed == [Committed("event", 1)], "other kinds go on"
    assert seqs(store, kind="verdict") == [1]


def test_a_gap_that_its_device_knows_of_is_counted_and_passed(open_store: Open) -> None:
    store = open_store()
    commit(store, item(1))
    done = commit(store, item(5, after=1))
    assert (done.new, done.missing, done.refused) == (1, 3, [])


def test_a_device_that_the_store_does_not_know_may_begin_anywhere(open_store: Open) -> None:
    done = commit(open_store(), item(500))
    assert (done.new, done.missing) == (1, 0)


def test_a_device_installed_anew_begins_anew(open_store: Open) -> None:
    store = open_store()
    commit(store, item(1), item(2))
    done = commit(store, item(1, x="new"), epoch="f" * 16)
    assert (done.new, done.duplicates) == (1, 0)
    assert seqs(store) == [1, 2, 1]


def test_numbers_that_had_other_records_are_found_out(open_store: Open) -> None:
    """A copy of a device's disk was played back: its new records are no duplicates."""
    store = open_store()
    commit(store, item(1), item(2))
    done = commit(store, item(2, x="other"))
    assert codes(done) == [("verdict", 2, "epoch", 2)]
    done = commit(store, item(3), item(1, "event"))
    assert codes(done) == [("verdict", 3, "epoch", 2)], "what was under way would count twice"
    assert done.committed == [Committed("event", 1)]
    assert commit(store, item(1), item(2)).duplicates == 2
    assert seqs(store, kind="verdict") == [1, 2]


def test_two_devices_with_one_epoch_are_two(open_store: Open) -> None:
    store = open_store()
    commit(store, item(1), device="one")
    assert commit(store, item(1), device="two").new == 1
    assert seqs(store, device="two") == [1]


def test_kinds_and_epochs_of_one_device_are_bounded(open_store: Open) -> None:
    store = open_store()
    items = [item(1, f"kind-{n}") for n in range(SOURCES_MAX + 2)]
    done = commit(store, *items[:200])
    done = commit(store, *items[200:])
    assert [(no.code) for no in done.refused] == ["overloaded"] * 2
    assert commit(store, item(1), device="another").new == 1
    for n in range(EPOCHS_KEPT + 3):
        commit(store, item(1), item(2), device="often", epoch=f"{n:016x}")
    newest = f"{EPOCHS_KEPT + 2:016x}"
    assert commit(store, item(2), device="often", epoch=newest).duplicates == 1
    assert len(seqs(store, device="often")) == 2 * (EPOCHS_KEPT + 3)


def test_records_are_found_by_device_stream_kind_and_time(open_store: Open) -> None:
    store = open_store()
    commit(store, item(1), item(2), item(3), item(1, "event"))
    commit(store, item(1), device="two")
    assert seqs(store, device="cam", kind="verdict", from_ns=20, to_ns=30) == [2]
    assert seqs(store, stream="other") == []
    first = store.page(Query(), 0, 2)
    second = store.page(Query(), first[-1].id, 100)
    assert [k.id for k in first + second] == [k.id for k in store.page(Query(), 0, 100)]


def test_who_listens_hears_of_what_is_new(open_store: Open) -> None:
    heard: list[int] = []
    store = open_store(on_commit=heard.append)
    commit(store, item(1), item(2))
    commit(store, item(1))
    store.close()
    assert sum(heard) == 2


def test_what_was_committed_is_there_after_a_restart(tmp_path: Path) -> None:
    store = SqliteRecordStore(tmp_path)
    commit(store, item(1), item(2))
    store.close()
    again = SqliteRecordStore(tmp_path)
    assert seqs(again) == [1, 2]
    assert commit(again, item(2), item(3)).duplicates == 1
    assert seqs(again) == [1, 2, 3]
    again.close()


def test_the_oldest_are_forgotten_and_still_count_once(tmp_path: Path) -> None:
    store = SqliteRecordStore(tmp_path, records_max=10, trim_interval_s=0.01)
    store.keep_from("application", 16)
    commit(store, *(item(n) for n in range(1, 31)))
    await_seqs(store, range(16, 31), "as far as nobody needs them")
    store.keep_from("application", None)
    await_seqs(store, range(21, 31), "what is more than is kept")
    assert commit(store, item(3)).duplicates == 1
    assert commit(store, item(31)).new == 1
    store.close()


def test_old_ones_are_forgotten_by_age(tmp_path: Path) -> None:
    store = SqliteRecordStore(tmp_path, age_max_s=-1.0, trim_interval_s=0.01)
    commit(store, item(1), item(2))
    await_seqs(store, range(0), "all are too old")
    assert commit(store, item(3)).missing == 0
    store.close()


def test_a_store_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    store = SqliteRecordStore(tmp_path)
    store._writer.execute("PRAGMA user_version = 9")
    store.close()
    with pytest.raises(StoreError, match="expected schema 1, got 9"):
        SqliteRecordStore(tmp_path)


def test_a_commit_that_failed_is_unknown_and_the_next_one_goes_well(tmp_path: Path) -> None:
    store = SqliteRecordStore(tmp_path)
    commit(store, item(1))
    (pages,) = store._writer.execute("PRAGMA page_count").fetchone()
    store._writer.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreError, match="full"):
        commit(store, item(2, fill=bytes(60_000)))
    with pytest.raises(StoreError):
        store.check()
    store._writer.execute("PRAGMA max_page_count = 1000000")
    assert commit(store, item(2)).new == 1
    assert seqs(store) == [1, 2]
    store.check()
    store.close()
