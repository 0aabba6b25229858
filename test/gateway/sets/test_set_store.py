"""What the gateway keeps of sets: as it was sent, once, in order, until the set is closed."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mastra_ros.errors import StoreError
from mastra_ros.gateway.sets import SetBatch, SqliteSetStore
from mastra_ros.gateway.sets.rows import SetQuery
from mastra_ros.protocol.records import Committed, NotTaken, RecordItem

EPOCH = "0" * 16


def batch(
    seq: int,
    *,
    name: str = "sweep-1",
    after: int | None = None,
    data: bytes | None = None,
    epoch: str = EPOCH,
    sequence: int = 0,
    device: str = "cam",
) -> SetBatch:
    data = b"frame %d" % seq if data is None else data
    before = seq - 1 if after is None else after
    item = RecordItem(name, seq, before, seq * 10, hashlib.sha256(data).digest())
    return SetBatch(device, "main", epoch, item, sequence or seq, data)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteSetStore]:
    made = SqliteSetStore(tmp_path)
    yield made
    made.close()


def commit(store: SqliteSetStore, one: SetBatch) -> Committed | NotTaken:
    return store.commit(one).result(60)


def sequences(store: SqliteSetStore, name: str = "sweep-1", after: int = -1) -> list[int]:
    return [kept.sequence for kept in store.frames("cam", "main", name, after)]


def test_frames_are_read_as_they_were_sent_in_order_also_by_the_next_store(
    store: SqliteSetStore, tmp_path: Path
) -> None:
    for seq, sequence in ((1, 3), (2, 1), (3, 2)):
        assert commit(store, batch(seq, sequence=sequence)) == Committed("sweep-1", seq)
    assert sequences(store) == [1, 2, 3]
    assert sequences(store, after=1) == [2, 3]
    store.close()
    again = SqliteSetStore(tmp_path)
    assert sequences(again) == [1, 2, 3]
    assert [one.data for one in again.committed(0, 10)] == [b"frame 1", b"frame 2", b"frame 3"]
    assert commit(again, batch(3, sequence=2)) == Committed("sweep-1", 3), "sent again"
    assert again.sets()[0].frames == 3
    again.close()


def test_a_gap_is_refused_and_says_where_to_go_on(store: SqliteSetStore) -> None:
    commit(store, batch(1))
    refused = commit(store, batch(5))
    assert isinstance(refused, NotTaken)
    assert (refused.code, refused.last) == ("gap", 1)


def test_a_number_that_had_another_frame_is_found_out(store: SqliteSetStore) -> None:
    commit(store, batch(1))
    commit(store, batch(2))
    refused = commit(store, batch(1, data=b"another"))
    assert isinstance(refused, NotTaken)
    assert refused.code == "epoch"


def test_a_device_installed_anew_adds_to_its_set_what_is_not_there(store: SqliteSetStore) -> None:
    commit(store, batch(1))
    again = commit(store, batch(1, epoch="f" * 16))
    assert again == Committed("sweep-1", 1)
    commit(store, batch(2, epoch="f" * 16))
    assert sequences(store) == [1, 2]


def test_a_device_has_so_many_bytes_and_no_more_and_others_have_their_own(tmp_path: Path) -> None:
    store = SqliteSetStore(tmp_path, device_bytes_max=10_000)
    outcomes = [commit(store, batch(n, data=bytes(3000))) for n in (1, 2, 3)]
    assert [isinstance(one, Committed) for one in outcomes] == [True, True, False]
    assert isinstance(outcomes[2], NotTaken)
    assert outcomes[2].code == "overloaded"
    assert "10000" in outcomes[2].text
    assert isinstance(commit(store, batch(1, device="other")), Committed)
    store.close_set("cam", "main", "sweep-1")
    until_s = time.monotonic() + 60
    while store.bytes_of("cam"):
        assert time.monotonic() < until_s, "the frames of a closed set are forgotten"
        time.sleep(0.01)
    assert isinstance(commit(store, batch(1, name="sweep-2", data=bytes(3000))), Committed)
    store.close()


def test_what_comes_for_a_closed_set_is_refused_for_good_also_after_a_restart(
    store: SqliteSetStore, tmp_path: Path
) -> None:
    for seq in range(1, 500):
        store.commit(batch(seq))
    store.close_set("cam", "main", "sweep-1")
    assert commit(store, batch(499)) == Committed("sweep-1", 499), "it was committed before"
    refused = commit(store, batch(500))
    assert isinstance(refused, NotTaken)
    assert refused.code == "forbidden"
    store.close()
    again = SqliteSetStore(tmp_path)
    until_s = time.monotonic() + 60
    while again.frames("cam", "main", "sweep-1"):
        assert time.monotonic() < until_s, "what a closing store had not forgotten yet"
        time.sleep(0.01)
    assert again.sets(SetQuery("cam"))[0].closed
    again.close()


def test_the_end_of_a_set_is_told(store: SqliteSetStore) -> None:
    commit(store, batch(1))
    assert not store.sets(SetQuery("cam"))[0].ended
    commit(store, batch(2, data=b""))
    (kept,) = store.sets(SetQuery("cam"))
    assert (kept.ended, kept.frames) == (True, 1)


def test_a_store_that_is_closed_says_so(tmp_path: Path) -> None:
    store = SqliteSetStore(tmp_path)
    store.close()
    with pytest.raises(StoreError, match="closed"):
        commit(store, batch(1))
