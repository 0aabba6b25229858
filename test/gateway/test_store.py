"""The contract of the stores of results, and what only the one on disk can do."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from mastra_ros.errors import StoreError
from mastra_ros.gateway.sqlite_store import FILE_NAME, SqliteStore
from mastra_ros.gateway.store import FrameId, MemoryStore, Record, ResultStore

DEADLINE_S = 20.0


def record(stamp_ns: int, data: bytes = b"result", device: str = "cam") -> Record:
    return Record(FrameId(device, "main", stamp_ns), data)


@pytest.fixture(params=["memory", "sqlite"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., ResultStore]]:
    opened: list[ResultStore] = []

    def open_store(**options: object) -> ResultStore:
        store: ResultStore = (
            MemoryStore(**options)  # type: ignore[arg-type]
            if request.param == "memory"
            else SqliteStore(tmp_path, **options)  # type: ignore[arg-type]
        )
        opened.append(store)
        return store

    yield open_store
    for store in opened:
        store.close()


def test_a_committed_result_is_found(make: Callable[..., ResultStore]) -> None:
    store = make()
    assert store.find(record(1).frame) is None
    commit = store.commit(record(1)).result(DEADLINE_S)
    assert not commit.duplicate
    assert store.find(record(1).frame) == record(1)
    assert store.count() == 1
    store.check()


def test_a_frame_counts_once_and_its_first_result_stays(
    make: Callable[..., ResultStore],
) -> None:
    store = make()
    commits = [store.commit(record(1, data)) for data in (b"first", b"second")]
    first, second = (commit.result(DEADLINE_S) for commit in commits)
    assert (first.duplicate, second.duplicate) == (False, True)
    assert second.record.data == b"first"
    assert store.count() == 1


def test_frames_of_different_devices_do_not_meet(make: Callable[..., ResultStore]) -> None:
    store = make()
    for device in ("cam-1", "cam-2"):
        assert not store.commit(record(1, device=device)).result(DEADLINE_S).duplicate
    assert store.count() == 2


def test_stamps_of_any_64_bits_are_kept(make: Callable[..., ResultStore]) -> None:
    store = make()
    for stamp_ns in (-(2**63), 0, 2**63 - 1):
        store.commit(record(stamp_ns)).result(DEADLINE_S)
        assert store.find(record(stamp_ns).frame) is not None


def test_commits_are_reported(make: Callable[..., ResultStore]) -> None:
    groups: list[int] = []
    store = make(on_commit=lambda size, seconds: groups.append(size))
    for commit in [store.commit(record(i)) for i in range(300)]:
        commit.result(DEADLINE_S)
    assert sum(groups) == 300


def test_closing_twice_is_harmless(make: Callable[..., ResultStore]) -> None:
    store = make()
    store.close()
    store.close()


def test_results_survive_a_new_start(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    waiting = [store.commit(record(i)) for i in range(10)]
    store.close()
    assert all(commit.done() for commit in waiting), "what waits is committed before closing"
    again = SqliteStore(tmp_path)
    assert again.count() == 10
    assert again.commit(record(3)).result(DEADLINE_S).duplicate
    again.close()


def test_a_closed_store_refuses(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.commit(record(1)).result(DEADLINE_S)


COMMIT_FOR_EVER = """
import sys
from pathlib import Path
from typing import Any
from mastra_ros.gateway.sqlite_store import SqliteStore
from mastra_ros.gateway.store import FrameId, Record
store = SqliteStore(Path(sys.argv[1]))
for i in range(1_000_000):
    store.commit(Record(FrameId("cam", "main", i), b"result")).result()
    print(i, flush=True)
"""


def test_nothing_reported_is_lost_when_the_process_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", COMMIT_FOR_EVER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        reported = [int(process.stdout.readline()) for _ in range(20)]
        process.kill()
        reported += [int(line) for line in process.stdout if line.endswith("\n")]
    store = SqliteStore(tmp_path)
    assert all(store.find(record(i).frame) for i in reported)
    assert store.count() in (len(reported), len(reported) + 1)
    store.close()


def test_only_one_gateway_uses_a_folder(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    with pytest.raises(StoreError, match="in use by another gateway"):
        SqliteStore(tmp_path)
    store.close()


def test_a_damaged_file_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"this is not a database" * 100)
    with pytest.raises(StoreError, match="cannot be used"):
        SqliteStore(tmp_path)


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / FILE_NAME) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StoreError, match="expected schema 2 or older, got 99"):
        SqliteStore(tmp_path)


def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be used"):
        SqliteStore(tmp_path / "file" / "state")


def test_the_oldest_results_are_forgotten(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    for commit in [store.commit(record(i)) for i in range(10)]:
        commit.result(DEADLINE_S)
    store.close()
    small = SqliteStore(tmp_path, results_max=4)
    small.commit(record(10)).result(DEADLINE_S)
    small.close()
    reopened = SqliteStore(tmp_path, results_max=4)
    assert [i for i in range(11) if reopened.find(record(i).frame)] == [7, 8, 9, 10]
    reopened.close()


def test_results_past_their_age_are_forgotten(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    store.commit(record(1)).result(DEADLINE_S)
    store.close()
    with sqlite3.connect(tmp_path / FILE_NAME) as db:
        db.execute("UPDATE results SET committed_s = committed_s - 1000")
    db.close()
    aged = SqliteStore(tmp_path, age_max_s=500.0)
    aged.commit(record(2)).result(DEADLINE_S)
    aged.close()
    reopened = SqliteStore(tmp_path)
    assert [i for i in (1, 2) if reopened.find(record(i).frame)] == [2]
    reopened.close()


def test_a_disk_that_cannot_be_written_fails_the_commit_and_shows(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    with sqlite3.connect(tmp_path / FILE_NAME) as db:
        db.execute(
            "CREATE TRIGGER full BEFORE INSERT ON results "
            "BEGIN SELECT RAISE(ABORT, 'disk full'); END"
        )
    with pytest.raises(StoreError, match="disk full"):
        store.commit(record(1)).result(DEADLINE_S)
    with pytest.raises(StoreError, match="disk full"):
        store.check()
    db.execute("DROP TRIGGER full")
    db.commit()
    db.close()
    assert not store.commit(record(1)).result(DEADLINE_S).duplicate
    store.check()
    store.close()


def test_who_no_longer_waits_for_a_commit_harms_no_other(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    given_up = [store.commit(record(n)) for n in range(50)]
    for commit in given_up:
        commit.cancel()
    for n in range(50, 60):
        assert not store.commit(record(n)).result(DEADLINE_S).duplicate
    store.close()


def test_a_listener_at_fault_costs_no_commit(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(results: int, seconds: float) -> None:
        raise ZeroDivisionError("a fault")

    store = SqliteStore(tmp_path, on_commit=broken)
    for n in range(3):
        assert not store.commit(record(n)).result(DEADLINE_S).duplicate
    store.close()
    assert "ZeroDivisionError: a fault" in caplog.text


def test_a_group_is_kept_together_and_each_frame_once(
    make: Callable[..., ResultStore],
) -> None:
    store = make()
    old = Record(FrameId("cam", "main", 1, "a"), b"old")
    store.commit(old).result(DEADLINE_S)
    new = [Record(FrameId("cam", "main", 1, name), b"new") for name in ("a", "b", "b", "c")]
    told: Future[tuple[Any, Any]] = Future()
    store.commit_all(new, lambda commits, error: told.set_result((list(commits), error)))
    commits, error = told.result(DEADLINE_S)
    assert error is None
    assert [commit.duplicate for commit in commits] == [True, False, True, False]
    assert commits[0].record == old
    assert store.count() == 3
    wanted = [record.frame for record in new] + [FrameId("cam", "main", 2, "a")]
    assert store.find_all(wanted) == {old.frame: old, new[1].frame: new[1], new[3].frame: new[3]}
    assert store.find_all([]) == {}
    store.close()


GROUPS_OF_ALL_SIZES = """
import sys
from concurrent.futures import Future
from pathlib import Path
from mastra_ros.gateway.memory import resident_bytes, return_to_system
from mastra_ros.gateway.sqlite_store import SqliteStore
from mastra_ros.gateway.store import FrameId, Record

store = SqliteStore(Path(sys.argv[1]))
sizes, data = range(*map(int, sys.argv[2].split(":"))), bytes(int(sys.argv[3]))

def commit(size, first):
    group = [Record(FrameId("cam", "main", first + n), data) for n in range(size)]
    done = Future()
    store.commit_all(group, lambda commits, error: done.set_result((len(commits), error)))
    assert done.result(60.0) == (size, None)
    assert len(store.find_all([one.frame for one in group])) == size

commit(max(sizes), 0)
return_to_system()
before = resident_bytes()
for n, size in enumerate(sizes, 1):
    commit(size, 1000 * n)
return_to_system()
print(resident_bytes() - before)
"""


@pytest.mark.parametrize(
    ("sizes", "data_bytes", "grown_mib_max"), [("1:257", 300, 8), ("1:33", 262_144, 24)]
)
def test_groups_of_whatever_size_leave_no_memory_behind(
    tmp_path: Path, sizes: str, data_bytes: int, grown_mib_max: int
) -> None:
    """Statements that are kept ready hold their program, and the last values that they had."""
    command = [sys.executable, "-c", GROUPS_OF_ALL_SIZES, str(tmp_path), sizes, str(data_bytes)]
    told = subprocess.run(command, check=True, capture_output=True, text=True)
    assert int(told.stdout) < grown_mib_max * 2**20


def test_groups_of_large_results_are_kept_whole_and_each_frame_once(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    sizes = [1, 300_000, 7, 250_000, 20_000, 0, 600_000, 3]
    group = [record(n, bytes([n]) * size) for n, size in enumerate(sizes)]
    store.commit(group[4]).result(DEADLINE_S)
    told: Future[tuple[Any, Any]] = Future()
    store.commit_all(
        [*group, *group], lambda commits, error: told.set_result((list(commits), error))
    )
    commits, error = told.result(DEADLINE_S)
    assert error is None
    assert [commit.duplicate for commit in commits[:8]] == [n == 4 for n in range(8)]
    assert all(commit.duplicate for commit in commits[8:])
    assert store.find_all([one.frame for one in group]) == {one.frame: one for one in group}
    assert store.count() == len(group)
    store.close()


@pytest.mark.parametrize("count", [*range(1, 20), 33, 100, 255, 256, 257, 600])
def test_a_group_of_any_size_is_kept_and_found(tmp_path: Path, count: int) -> None:
    store = SqliteStore(tmp_path)
    group = [record(n, b"%d" % n) for n in range(count)]
    told: Future[tuple[Any, Any]] = Future()
    store.commit_all(group, lambda commits, error: told.set_result((list(commits), error)))
    commits, error = told.result(DEADLINE_S)
    assert error is None
    assert [commit.record for commit in commits] == group
    assert not any(commit.duplicate for commit in commits)
    assert store.count() == count
    assert store.find_all([one.frame for one in group]) == {one.frame: one for one in group}
    assert store.find_all([record(n).frame for n in range(count, 2 * count)]) == {}
    store.close()
