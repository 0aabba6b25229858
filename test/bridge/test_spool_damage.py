"""What is wrong with a spool is found out and told, and costs what is damaged and nothing else."""

from __future__ import annotations

import errno
import logging
import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from mastra_ros import sqlite_files
from mastra_ros.bridge import SqliteSpool, spool_file
from mastra_ros.errors import SpoolError
from mastra_ros.types import FrameKey, Packet, PacketKind

COUNT = 40


def packet(stamp_ns: int, size: int = 6000) -> Packet:
    payload = stamp_ns.to_bytes(8, "big") * (size // 8)
    return Packet(FrameKey("main", stamp_ns), PacketKind.KEY, payload, 64, 48, "bgr8")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "spool.sqlite"


def fill(path: Path, count: int = COUNT) -> None:
    spool = SqliteSpool(path)
    for n in range(count):
        spool.put([packet(n)])
    spool.close()


def stamps(spool: SqliteSpool) -> list[int]:
    return [p.key.stamp_ns for p in spool.next_batch(1000)]


def aside(path: Path) -> list[Path]:
    return sorted(path.parent.glob(f"{path.name}.damaged-*"))


def flip(path: Path, place: int, bit: int = 0x10) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        (byte,) = file.read(1)
        file.seek(place)
        file.write(bytes([byte ^ bit]))


def check_usable(spool: SqliteSpool) -> None:
    """It takes, gives and forgets as ever."""
    assert spool.put([packet(10**6)]) == [True]
    assert 10**6 in stamps(spool)
    assert spool.acknowledge([FrameKey("main", 10**6)]) == 1
    for stamp in stamps(spool):
        assert spool.acknowledge([FrameKey("main", stamp)]) == 1
    assert stamps(spool) == []
    assert spool.stats().records == 0


HEADER = [*range(20), *range(21, 24), *range(24, 72, 2), *range(68, 72), *range(92, 100)]


@pytest.mark.parametrize("place", HEADER)
def test_a_flip_in_the_header_leaves_it_usable_with_all_records(path: Path, place: int) -> None:
    """Format, schema version, application id: each made it unusable for good."""
    fill(path)
    flip(path, place)
    spool = SqliteSpool(path)
    assert stamps(spool) == list(range(COUNT))
    assert spool.stats().dropped_total == 0
    check_usable(spool)
    spool.close()


@pytest.mark.parametrize(
    "word", ["record", "stamp_ns", "INTEGER", "by_sending", "UNIQUE", "CREATE"]
)
def test_a_flip_in_the_schema_leaves_it_usable_with_all_records(path: Path, word: str) -> None:
    fill(path)
    flip(path, path.read_bytes().index(word.encode()), 0x04)
    spool = SqliteSpool(path)
    assert stamps(spool) == list(range(COUNT))
    check_usable(spool)
    spool.close()


def test_flips_anywhere_leave_it_usable(path: Path) -> None:
    rng = random.Random(2)
    fill(path)
    whole = path.read_bytes()
    for _ in range(25):
        for old in path.parent.iterdir():
            old.unlink()
        path.write_bytes(whole)
        path.chmod(0o600)
        for _ in range(rng.choice([1, 3, 30])):
            flip(path, rng.randrange(len(whole)), 1 << rng.randrange(8))
        spool = SqliteSpool(path)
        found = stamps(spool)
        assert set(found) <= set(range(COUNT))
        assert len(found) == len(set(found)) >= COUNT - 32
        check_usable(spool)
        spool.close()


def page_of_index(path: Path, name: str) -> int:
    with closing(sqlite3.connect(path)) as db:
        row = db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (name,)).fetchone()
        return int(row[0])


def test_an_index_that_names_what_is_not_there_does_not_hand_it_out_for_ever(path: Path) -> None:
    fill(path)
    root = page_of_index(path, "by_sending")
    before = path.read_bytes()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("DELETE FROM record WHERE stamp_ns < 5")
    with path.open("r+b") as file:  # the index as it was
        file.seek((root - 1) * 4096)
        file.write(before[(root - 1) * 4096 : root * 4096])
    spool = SqliteSpool(path)
    assert stamps(spool) == list(range(5, COUNT))
    check_usable(spool)
    spool.close()


def test_an_index_that_lacks_records_hides_none(path: Path) -> None:
    fill(path, 10)
    root = page_of_index(path, "by_sending")
    before = path.read_bytes()
    fill(path, COUNT)
    with path.open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(before[(root - 1) * 4096 : root * 4096])
    spool = SqliteSpool(path)
    assert stamps(spool) == list(range(COUNT))
    check_usable(spool)
    spool.close()


@pytest.mark.parametrize(
    "said",
    [
        sqlite3.DatabaseError("database disk image is malformed"),
        sqlite3.DatabaseError("file is not a database"),
        sqlite3.OperationalError("no such column: stamp_ns"),
        sqlite3.OperationalError("disk I/O error"),
    ],
    ids=str,
)
@pytest.mark.parametrize("times", [1, 2, 50])
def test_an_error_in_reading_is_no_damage(
    path: Path, said: sqlite3.Error, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """400 good records were moved aside because a page was read badly."""
    fill(path)
    spool = SqliteSpool(path)
    real, left = SqliteSpool._next_batch, [times]

    def faulty(self: Any, *given: Any) -> Any:
        if left[0]:
            left[0] -= 1
            raise said
        return real(self, *given)

    with monkeypatch.context() as patch:
        patch.setattr(SqliteSpool, "_next_batch", faulty)
        for _ in range(times):
            with suppress(SpoolError):
                spool.next_batch(100)
    assert aside(path) == []
    assert stamps(spool) == list(range(COUNT))
    assert spool.stats().dropped_total == 0
    spool.close()


def test_what_the_disk_does_not_give_is_not_moved_aside(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite called a file malformed whose pages could not be read, and it was given up."""
    fill(path)
    flip(path, path.read_bytes().index(b"stamp_ns"), 0x04)
    real = os.pread

    def failing(descriptor: int, size: int, place: int) -> bytes:
        if size == sqlite_files.READ_BYTES:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(descriptor, size, place)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pread", failing)
        with pytest.raises(SpoolError, match="Input/output error"):
            SqliteSpool(path)
    assert aside(path) == []
    spool = SqliteSpool(path)
    assert stamps(spool) == list(range(COUNT))
    spool.close()


def test_damaged_files_do_not_pile_up(path: Path) -> None:
    for n in range(6):
        fill(path)
        flip(path, 100 + n, 0xFF)
        path.write_bytes(path.read_bytes()[:4096] + random.Random(n).randbytes(40_000))
        spool = SqliteSpool(path)
        spool.close()
    assert 1 <= len(aside(path)) <= spool_file.ASIDE_MAX


WRITER = """
import os, signal, sys
from pathlib import Path
from mastra_ros.bridge import SqliteSpool
from mastra_ros.types import FrameKey, Packet, PacketKind
spool = SqliteSpool(Path(sys.argv[1]))
for n in range(150):
    spool.put([Packet(FrameKey("main", n), PacketKind.KEY, bytes(2000), 64, 48, "bgr8")])
os.kill(os.getpid(), signal.SIGKILL)
"""


WAL_HEADER, FRAME = 32, 24 + 4096


def frames_in_use(wal: Path) -> int:
    """Frames of the log's present generation: those behind are left from before."""
    data = wal.read_bytes()
    count = 0
    while data[WAL_HEADER + count * FRAME + 8 :][:8] == data[16:24]:
        count += 1
    return count


@pytest.mark.parametrize("damage", ["cut", "cut at a frame", "flipped", "gone"])
def test_records_that_a_damaged_log_has_lost_are_counted_and_told(
    path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    """SQLite takes a log up to its first bad frame, and says nothing: 69 of 150 were lost."""
    done = subprocess.run([sys.executable, "-c", WRITER, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    wal = Path(f"{path}-wal")
    half = frames_in_use(wal) // 2
    assert half > 5
    if damage == "cut":
        os.truncate(wal, WAL_HEADER + half * FRAME + 100)
    elif damage == "cut at a frame":
        os.truncate(wal, WAL_HEADER + half * FRAME)
    elif damage == "flipped":
        flip(wal, WAL_HEADER + half * FRAME + 100)
    else:
        wal.unlink()
    with caplog.at_level(logging.ERROR):
        spool = SqliteSpool(path)
        found = stamps(spool)
    lost = 150 - len(found)
    assert lost > 0
    assert spool.stats().dropped == {"damaged": lost}
    assert f"{lost} records that were kept are missing" in caplog.text
    check_usable(spool)
    spool.close()
    again = SqliteSpool(path)
    assert again.stats().dropped == {}
    again.close()


def test_a_spool_that_somebody_removed_is_no_damage(path: Path) -> None:
    fill(path)
    path.unlink()
    spool = SqliteSpool(path)
    assert spool.stats().dropped == {}
    check_usable(spool)
    spool.close()


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of its own that is soon full; the test is skipped where there is none."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("no small disk can be made here: mount is not permitted")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


def test_a_spool_that_has_filled_its_disk_forgets_what_was_delivered(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    folder.mkdir(mode=0o700)
    with small_disk(folder, "6m"):
        path = folder / "spool.sqlite"
        spool = SqliteSpool(path)
        kept = put_until_full(spool)
        with (folder / "other").open("wb", buffering=0) as other, suppress(OSError):
            while other.write(bytes(4096)):
                pass
        found = stamps(spool)
        assert len(found) == kept
        for stamp in found[: kept - 3]:
            assert spool.acknowledge([FrameKey("main", stamp)]) == 1
        assert stamps(spool) == found[kept - 3 :]
        assert spool.put([packet(10**6, 20_000)]) == [True]
        spool.close()


@pytest.mark.parametrize("size", ["3m", "4m", "5m", "6m"])
def test_a_full_disk_forgets_however_much_its_log_held(tmp_path: Path, size: str) -> None:
    folder = tmp_path / "disk"
    folder.mkdir(mode=0o700)
    with small_disk(folder, size):
        spool = SqliteSpool(folder / "spool.sqlite")
        kept = put_until_full(spool)
        with (folder / "other").open("wb", buffering=0) as other, suppress(OSError):
            while other.write(bytes(4096)):
                pass
        spool.close()
        spool = SqliteSpool(folder / "spool.sqlite")
        found = stamps(spool)
        assert len(found) == kept
        assert spool.acknowledge([FrameKey("main", stamp) for stamp in found]) == kept
        assert stamps(spool) == []
        spool.close()


def put_until_full(spool: SqliteSpool) -> int:
    """How many records were kept before the disk was full."""
    for kept in range(2000):
        try:
            spool.put([packet(kept, 20_000)])
        except SpoolError as error:  # noqa: PERF203
            assert "full" in str(error)  # noqa: PT017
            return kept
    raise AssertionError("the disk was never full")
