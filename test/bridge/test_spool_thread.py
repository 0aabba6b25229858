"""The spool's thread: everything returns at once, commits are shared, trouble is counted."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Collection, Sequence
from typing import Any

import pytest

from mastra_ros.bridge import MemorySpool
from mastra_ros.bridge import spool_thread as module
from mastra_ros.bridge.spool_thread import SpoolThread, groups_of
from mastra_ros.errors import SpoolError
from mastra_ros.types import FrameKey, Packet, PacketKind


class SlowSpool(MemorySpool):
    """A spool on a disk that may be held up, or refuse."""

    def __init__(self) -> None:
        super().__init__()
        self.free = threading.Event()
        self.free.set()
        self.refuses = False
        self.commits: list[int] = []

    def put(self, packets: Sequence[Packet]) -> list[bool]:
        assert self.free.wait(20.0)
        if self.refuses:
            raise SpoolError("disk full")
        self.commits.append(len(packets))
        return super().put(packets)

    def acknowledge(self, keys: Collection[FrameKey]) -> int:
        if self.refuses:
            raise SpoolError("disk full")
        return super().acknowledge(keys)


@pytest.fixture
def spool() -> SlowSpool:
    return SlowSpool()


@pytest.fixture
def changed() -> threading.Semaphore:
    return threading.Semaphore(0)


def wait(condition: Callable[[], Any], changed: threading.Semaphore) -> None:
    while not condition():
        assert changed.acquire(timeout=20.0), "nothing more happens"


def start(spool: SlowSpool, changed: threading.Semaphore) -> SpoolThread:
    thread = SpoolThread(lambda: spool, changed.release)
    thread.start()
    return thread


def test_packets_that_come_during_a_commit_share_the_next(
    spool: SlowSpool, changed: threading.Semaphore, packet: Any
) -> None:
    thread = start(spool, changed)
    spool.free.clear()
    thread.put(packet(0))
    for n in range(1, 50):
        thread.put(packet(n))
    spool.free.set()
    wait(lambda: thread.stats.records == 50, changed)
    assert sum(spool.commits) == 50
    assert len(spool.commits) <= 3
    assert thread.close(20.0)


def test_what_was_put_before_the_end_is_committed(
    spool: SlowSpool, changed: threading.Semaphore, packet: Any
) -> None:
    thread = start(spool, changed)
    spool.free.clear()
    thread.put(packet(1))
    thread.put(packet(2))
    assert not thread.close(0.0)
    thread.put(packet(3))  # too late
    spool.free.set()
    assert thread.close(20.0)
    assert [p.key.stamp_ns for p in spool.next_batch(9)] == [1, 2]
    assert thread.stats.dropped == {"disk": 1}
    assert thread.next_batch(1, ()).result(20.0) == []


def test_a_disk_that_is_too_slow_costs_packets_and_not_memory(
    spool: SlowSpool, changed: threading.Semaphore, packet: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PENDING_BYTES_MAX", 10_000)
    thread = start(spool, changed)
    spool.free.clear()
    for n in range(100):
        thread.put(packet(n, size=1000))
    assert 80 <= thread.stats.dropped["disk"] <= 90
    spool.free.set()
    wait(lambda: thread.stats.records + thread.stats.dropped_total == 100, changed)
    assert thread.close(20.0)


def test_what_cannot_be_deleted_is_not_handed_out_again(
    spool: SlowSpool, changed: threading.Semaphore, packet: Any
) -> None:
    thread = start(spool, changed)
    thread.put(packet(1))
    thread.put(packet(2))
    wait(lambda: thread.stats.records == 2, changed)
    spool.refuses = True
    thread.acknowledge(packet(1).key)
    (left,) = thread.next_batch(9, ()).result(20.0)
    assert left.key.stamp_ns == 2
    assert thread.stats.error == "disk full"
    spool.refuses = False
    thread.put(packet(3))
    wait(lambda: thread.stats.stored_total == 3, changed)
    assert [p.key.stamp_ns for p in spool.next_batch(9)] == [2, 3]
    assert thread.close(20.0)


def test_a_refused_commit_is_counted_and_reported_until_one_goes_well(
    spool: SlowSpool, changed: threading.Semaphore, packet: Any
) -> None:
    thread = start(spool, changed)
    spool.refuses = True
    thread.put(packet(1))
    wait(lambda: thread.stats.dropped_total == 1, changed)
    assert (thread.stats.dropped, thread.stats.error) == ({"disk": 1}, "disk full")
    spool.refuses = False
    thread.put(packet(2))
    wait(lambda: thread.stats.records == 1, changed)
    assert thread.stats.error == ""
    assert thread.close(20.0)


def test_a_spool_that_cannot_be_opened_is_tried_again(
    spool: SlowSpool, changed: threading.Semaphore, packet: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts: list[int] = []

    def open_at_the_second_time() -> SlowSpool:
        attempts.append(1)
        if len(attempts) == 1:
            raise SpoolError("no such folder")
        return spool

    thread = SpoolThread(open_at_the_second_time, changed.release)
    thread.start()
    thread.put(packet(1))
    thread.put(packet(2))
    wait(lambda: thread.stats.dropped_total == 2, changed)
    assert (len(attempts), thread.stats.error) == (1, "no such folder")  # not for each packet
    monkeypatch.setattr(module, "REOPEN_S", 0.0)
    thread.put(packet(3))
    wait(lambda: thread.stats.records == 1, changed)
    assert thread.stats.error == ""
    assert thread.close(20.0)


def test_a_thread_that_was_never_started_can_be_closed(
    spool: SlowSpool, changed: threading.Semaphore
) -> None:
    assert SpoolThread(lambda: spool, changed.release).close(1.0)


def test_a_packet_that_is_no_message_costs_only_itself(
    spool: SlowSpool,
    changed: threading.Semaphore,
    packet: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    thread = start(spool, changed)
    spool.free.clear()
    thread.put(packet(0))  # held up, so that the others share a commit
    thread.put(dataclasses.replace(packet(1), encoding="x" * 65))
    thread.put(packet(2))
    spool.free.set()
    wait(lambda: thread.stats.records == 2, changed)
    wait(lambda: thread.stats.dropped == {"disk": 1}, changed)
    assert "FrameMessage.encoding: expected at most 64 characters" in caplog.text
    assert [p.key.stamp_ns for p in thread.next_batch(9, ()).result(20.0)] == [0, 2]
    assert thread.close(20.0)


@pytest.mark.parametrize("where", ["put", "acknowledge", "next_batch"])
def test_a_fault_of_ours_is_logged_and_the_spool_goes_on(
    spool: SlowSpool,
    changed: threading.Semaphore,
    packet: Any,
    where: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    thread = start(spool, changed)
    thread.put(packet(0))
    wait(lambda: thread.stats.records == 1, changed)

    def broken(*_: Any) -> Any:
        raise ZeroDivisionError("a fault")

    with monkeypatch.context() as patch:
        patch.setattr(spool, where, broken)
        thread.put(packet(1))
        thread.acknowledge(packet(0).key)
        thread.next_batch(9, ()).result(20.0)
        wait(lambda: "ZeroDivisionError: a fault" in caplog.text, changed)
    thread.put(packet(2))
    wait(lambda: packet(2).key in {p.key for p in thread.next_batch(9, ()).result(20.0)}, changed)
    assert thread.close(20.0)


def test_a_spool_that_could_not_be_opened_is_tried_again_though_nothing_comes(
    changed: threading.Semaphore,
    packet: Callable[..., Packet],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What it held waited until somebody put something."""
    monkeypatch.setattr(module, "REOPEN_S", 0.02)
    spool, tries = MemorySpool(), []
    spool.put([packet(1)])

    def open_spool() -> MemorySpool:
        tries.append(1)
        if len(tries) < 3:
            raise SpoolError("no such disk")
        return spool

    thread = SpoolThread(open_spool, changed.release)
    thread.start()
    try:
        wait(lambda: thread.stats.records == 1, changed)
        assert len(tries) == 3
    finally:
        thread.close(20.0)


def test_what_waits_is_kept_in_order_in_commits_that_the_reserve_can_fold() -> None:
    sizes = [100_000, 100_000, 100_000, 300_000, 1, 262_143, 1]
    packets = [
        Packet(FrameKey("main", n), PacketKind.KEY, bytes(size), 8, 8, "mono8")
        for n, size in enumerate(sizes, 1)
    ]
    groups = list(groups_of(packets))
    assert [packet for group in groups for packet in group] == packets
    assert [len(group) for group in groups] == [2, 1, 1, 2, 1]
    assert list(groups_of([])) == []
