"""What is wrong with a record costs it one refusal, and nobody else anything."""

from __future__ import annotations

import asyncio
from collections import Counter
from concurrent.futures import Future
from typing import Any

import pytest

from mastra_ros.errors import StoreError
from mastra_ros.gateway.records import MemoryRecordStore, RecordBatch, RecordDesk
from mastra_ros.gateway.records.desk import IN_WORK_MAX
from mastra_ros.gateway.records.store import BatchCommit, Query
from mastra_ros.protocol.records import Committed, RecordItem, Records, RecordsAck
from mastra_ros.records import pack_body

EPOCH = "0123456789abcdef"


def item(seq: int, kind: str = "verdict") -> list[Any]:
    return RecordItem(kind, seq, seq - 1, 5, pack_body({"n": seq})).to_list()


class Desk:
    def __init__(self, store: Any = None) -> None:
        self.store = store or MemoryRecordStore()
        self.outcomes: Counter[str] = Counter()
        self.desk = RecordDesk(self.store, lambda what, count: self.outcomes.update({what: count}))

    def answer(self, *records: Any, stream: str = "main", epoch: Any = EPOCH) -> RecordsAck:
        message = Records(7, stream, epoch, records)
        return asyncio.run(self.desk.answer("cam", "main", message))

    def codes(self, *records: Any, **options: Any) -> list[tuple[str, int, str]]:
        ack = self.answer(*records, **options)
        assert ack.number == 7
        return [(no.kind, no.seq, no.code) for no in ack.all_refused()]


def test_good_records_are_acknowledged_after_their_commit() -> None:
    desk = Desk()
    ack = desk.answer(item(1), item(2))
    assert list(ack.all_committed()) == [Committed("verdict", 2)]
    assert desk.store.count() == 2
    assert desk.outcomes == {"committed": 2}


@pytest.mark.parametrize(
    "raw",
    [
        None,
        "text",
        [],
        ["verdict"],
        ["verdict", "2", 1, 5, b"\x80"],
        ["verdict", 2, 1, 5, b"\xc1"],
        ["verdict", 2, 1, 5, b"\x90"],
        ["verdict", 2, 1, 5, bytes(100_000)],
        [{}, 2, 1, 5, b"\x80"],
    ],
)
def test_a_record_that_is_none_is_refused_alone(raw: Any) -> None:
    desk = Desk()
    ack = desk.answer(item(1), raw, item(1, "event"))
    (refused,) = ack.all_refused()
    assert refused.code == "corrupt"
    assert {(c.kind, c.seq) for c in ack.all_committed()} == {("verdict", 1), ("event", 1)}


def test_what_comes_after_a_bad_one_of_its_kind_waits_for_it() -> None:
    desk = Desk()
    bad = ["verdict", 2, 1, 5, b"\x90"]
    assert desk.codes(item(1), bad, item(3), item(4)) == [("verdict", 2, "corrupt")]
    assert desk.store.count() == 1


def test_another_stream_s_records_are_refused() -> None:
    desk = Desk()
    assert desk.codes(item(1), item(2), item(1, "event"), stream="other") == [
        ("verdict", 1, "forbidden"),
        ("event", 1, "forbidden"),
    ]
    assert desk.store.count() == 0


@pytest.mark.parametrize("epoch", ["", "xyz", "0" * 15, "0" * 65, None, 7, ["0" * 16], "é" * 16])
def test_an_epoch_that_is_none_is_refused(epoch: Any) -> None:
    assert Desk().codes(item(1), epoch=epoch) == [("verdict", 1, "corrupt")]


class Failing(MemoryRecordStore):
    def commit(self, batch: RecordBatch) -> Future[BatchCommit]:
        done: Future[BatchCommit] = Future()
        done.set_exception(StoreError("the disk is full"))
        return done


def test_what_cannot_be_kept_stays_with_its_device() -> None:
    desk = Desk(Failing())
    assert desk.codes(item(1), item(2)) == [("verdict", 1, "overloaded")]


class Slow(MemoryRecordStore):
    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[tuple[RecordBatch, Future[BatchCommit]]] = []

    def commit(self, batch: RecordBatch) -> Future[BatchCommit]:
        done: Future[BatchCommit] = Future()
        self.waiting.append((batch, done))
        return done

    def work(self) -> None:
        for batch, done in self.waiting:
            done.set_result(super().commit(batch).result())


def test_a_device_has_so_many_messages_in_work_and_another_one_its_own() -> None:
    store = Slow()
    desk = RecordDesk(store)

    async def act() -> list[RecordsAck]:
        tasks = [
            asyncio.ensure_future(
                desk.answer("cam", "main", Records(n, "main", EPOCH, (item(n + 1),)))
            )
            for n in range(IN_WORK_MAX + 1)
        ]
        other = asyncio.ensure_future(
            desk.answer("two", "main", Records(0, "main", EPOCH, (item(1),)))
        )
        while len(store.waiting) < IN_WORK_MAX + 1:
            await asyncio.sleep(0)
        store.work()
        return [await task for task in [*tasks, other]]

    acks = asyncio.run(act())
    assert [no.code for no in acks[IN_WORK_MAX].all_refused()] == ["overloaded"]
    assert [list(ack.all_committed())[-1].seq for ack in acks[:IN_WORK_MAX]] == list(
        range(1, IN_WORK_MAX + 1)
    ), "in the order in which they came"
    assert list(acks[-1].all_committed()) == [Committed("verdict", 1)]
    assert [kept.name.device for kept in store.page(Query(device="two"), 0, 9)] == ["two"]
