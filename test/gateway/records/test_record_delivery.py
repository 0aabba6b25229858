"""Whatever is sent, lost, killed, installed anew or played back: each record counts once, in order.

Both real ends and their files; what lies between them is played by hypothesis.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mastra_ros.bridge.records import RecordSpool
from mastra_ros.bridge.records.sending import PAUSE_NS, RecordSending
from mastra_ros.gateway.records import RecordDesk, SqliteRecordStore
from mastra_ros.gateway.records.store import Query
from mastra_ros.protocol import Records, RecordsAck
from mastra_ros.records import Record

KINDS = ("verdict", "event")


class Ends(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="records-"))
        self.path = self.folder / "spool"
        self.loop = asyncio.new_event_loop()
        self.made = 0
        self.expected: set[int] = set()  # may have counted or must count, once
        self.owed: set[int] = set()  # must count
        self.copy: set[int] | None = None  # what a copy of the device's disk still owed
        self.now_ns = 0
        self._open_gateway()
        self._open_device()

    def _open_device(self) -> None:
        self.spool = RecordSpool(self.path, "main")
        self._cut()

    def _open_gateway(self) -> None:
        self.store = SqliteRecordStore(self.folder / "state")
        self.desk = RecordDesk(self.store)

    def _cut(self) -> None:
        """The connection is lost, and a new one is there: what was under way never arrives."""
        self.up: list[Records] = []
        self.down: list[RecordsAck] = []
        self.sending = RecordSending()

    @rule(kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=4))
    def put(self, kinds: list[str]) -> None:
        records = []
        for kind in kinds:
            self.made += 1
            self.expected.add(self.made)
            self.owed.add(self.made)
            records.append(Record(kind, 5, {"n": self.made}))
        assert self.spool.put(records) == [""] * len(records)

    @rule(size=st.integers(1, 4))
    def send(self, size: int) -> None:
        self.now_ns += PAUSE_NS
        if self.sending.may_send(self.now_ns):
            batch = self.spool.next_batch(self.sending.position, size, 2**20)
            if batch:
                self.up.append(self.sending.message("main", batch, self.now_ns))

    @rule()
    def arrive(self) -> None:
        if self.up:
            self.down.append(
                self.loop.run_until_complete(self.desk.answer("cam", "main", self.up.pop(0)))
            )

    @rule()
    def hear(self) -> None:
        if self.down:
            done = self.sending.answered(self.down.pop(0), self.now_ns)
            if done:
                self.spool.settle(done)

    @rule()
    def cut(self) -> None:
        self._cut()

    @rule()
    def kill_device(self) -> None:
        self.spool.close()
        self._open_device()

    @rule()
    def kill_gateway(self) -> None:
        self.store.close()
        self._open_gateway()
        self._cut()

    @rule()
    def install_anew(self) -> None:
        """What had not been committed is lost with the disk, and nothing else."""
        self.spool.close()
        for path in self.folder.glob("spool*"):
            path.unlink()
        self.owed = self._counted()
        self.copy = None
        self._open_device()

    @rule()
    def copy_disk(self) -> None:
        self.spool.close()
        shutil.copy(self.path, self.folder / "copy")
        self.copy = set(self.owed)
        self._open_device()

    @rule()
    def play_copy_back(self) -> None:
        """What was put since, and not committed, is lost; what is put from now on is not."""
        if self.copy is not None:
            self.spool.close()
            for path in self.folder.glob("spool-*"):
                path.unlink()
            shutil.copy(self.folder / "copy", self.path)
            self.owed = self.copy | self._counted()
            self.copy = set(self.owed)
            self._open_device()

    def _counted(self) -> set[int]:
        return {kept.body["n"] for kept in self.store.page(Query(), 0, 10_000)}

    @invariant()
    def each_counts_once_and_in_order(self) -> None:
        for kind in KINDS:
            numbers = [kept.body["n"] for kept in self.store.page(Query(kind=kind), 0, 10_000)]
            assert len(numbers) == len(set(numbers)), "none twice"
            assert numbers == sorted(numbers), "in order"
            assert set(numbers) <= self.expected

    def teardown(self) -> None:
        try:
            for _ in range(500):
                if not (self.spool.stats().waiting or self.up or self.down):
                    break
                self.send(4)
                self.arrive()
                self.hear()
            assert self.spool.stats().waiting == 0, "all is told in the end"
            assert self._counted() >= self.owed, "none lost"
            self.each_counts_once_and_in_order()
        finally:
            self.spool.close()
            self.store.close()
            self.loop.close()
            shutil.rmtree(self.folder)


TestRecordsThroughTrouble = Ends.TestCase
TestRecordsThroughTrouble.settings = settings(
    max_examples=40, stateful_step_count=40, deadline=None
)
