"""The spool on disk survives what disks and power do; damage costs what is damaged only."""

from __future__ import annotations

import itertools
import logging
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import zlib
from contextlib import closing
from pathlib import Path

import pytest

from mastra_ros.bridge import SqliteSpool
from mastra_ros.errors import SpoolError
from mastra_ros.types import FrameKey, Packet, PacketKind


def packet(stamp_ns: int, size: int = 1000) -> Packet:
    payload = stamp_ns.to_bytes(8, "big") * (size // 8)
    return Packet(FrameKey("main", stamp_ns), PacketKind.KEY, payload, 64, 48, "bgr8")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "spool.sqlite"


def stamps(spool: SqliteSpool) -> list[int]:
    return [p.key.stamp_ns for p in spool.next_batch(1000)]


def fill(path: Path, count: int) -> None:
    spool = SqliteSpool(path)
    spool.put([packet(n) for n in range(count)])
    spool.close()


def test_records_and_their_counts_outlive_the_process(path: Path) -> None:
    fill(path, 5)
    spool = SqliteSpool(path)
    assert stamps(spool) == [0, 1, 2, 3, 4]
    stats = spool.stats()
    assert (stats.records, stats.stored_total) == (5, 0)
    assert stats.bytes > 5000
    spool.close()


def test_only_this_user_can_read_it(path: Path) -> None:
    spool = SqliteSpool(path)
    spool.put([packet(1)])
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}
    spool.close()


def test_the_disk_is_told_to_keep_what_is_committed(path: Path) -> None:
    spool = SqliteSpool(path)
    assert spool._db is not None
    assert spool._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert spool._db.execute("PRAGMA synchronous").fetchone() == (2,)
    spool.close()


def test_a_second_process_is_refused(path: Path) -> None:
    spool = SqliteSpool(path)
    with pytest.raises(SpoolError, match="locked"):
        SqliteSpool(path)
    spool.put([packet(1)])
    spool.close()


WRITER = """
import sys
from pathlib import Path
from mastra_ros.bridge import SqliteSpool
from mastra_ros.types import FrameKey, Packet, PacketKind
spool = SqliteSpool(Path(sys.argv[1]))
for n in range(100_000):
    batch = [
        Packet(FrameKey("main", 3 * n + i), PacketKind.KEY, bytes(20_000), 64, 48, "bgr8")
        for i in range(3)
    ]
    spool.put(batch)
    if n >= 5:
        spool.acknowledge([FrameKey("main", n - 5)])
    print(n, flush=True)
"""


@pytest.mark.parametrize("lines", [1, 7, 30])
def test_what_was_put_survives_sigkill_in_the_middle_of_writing(path: Path, lines: int) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert writer.stdout is not None
    with writer:
        said = [int(line) for line in itertools.islice(writer.stdout, lines)]
        writer.send_signal(signal.SIGKILL)  # wherever it is now
        said += [int(line) for line in writer.stdout]
    done = said[-1]
    spool = SqliteSpool(path)
    found = stamps(spool)
    assert spool.stats().dropped_total == 0
    put = set(range(3 * done + 3))
    acknowledged = set(range(max(0, done - 4)))
    # The commit after the last that was reported may or may not have happened, but whole.
    maybe = {*range(3 * done + 3, 3 * done + 6), max(0, done - 4)}
    assert put - acknowledged - maybe <= set(found) <= (put - acknowledged) | maybe
    assert len(found) % 3 == len(put - acknowledged) % 3 or max(0, done - 4) not in found
    assert spool.put([packet(10**6)]) == [True]
    spool.close()


def test_a_damaged_record_is_dropped_and_the_others_are_delivered(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill(path, 4)
    database = sqlite3.connect(path)
    data = bytearray(database.execute("SELECT data FROM record WHERE stamp_ns = 2").fetchone()[0])
    data[500] ^= 1
    database.execute("UPDATE record SET data = ? WHERE stamp_ns = 2", (bytes(data),))
    database.execute("UPDATE record SET data = 'text' WHERE stamp_ns = 3")
    database.commit()
    database.close()
    spool = SqliteSpool(path)
    with caplog.at_level(logging.ERROR):
        assert stamps(spool) == [0, 1]
    assert "record 2 ns was damaged" in caplog.text
    assert spool.stats().dropped == {"damaged": 2}
    assert spool.stats().records == 2
    assert "damaged" in spool.stats().error
    assert stamps(spool) == [0, 1]
    spool.close()


def test_a_record_under_the_name_of_another_is_damaged(path: Path) -> None:
    fill(path, 2)
    database = sqlite3.connect(path)
    database.execute("UPDATE record SET stamp_ns = 77 WHERE stamp_ns = 1")
    database.commit()
    database.close()
    spool = SqliteSpool(path)
    assert stamps(spool) == [0]
    assert spool.stats().dropped == {"damaged": 1}
    spool.close()


@pytest.mark.parametrize(
    ("damage", "left"), [("rubbish", 0), ("header", 50), ("middle", 0), ("first page", 50)]
)
def test_a_damaged_file_is_moved_aside_and_a_fresh_one_begun(
    path: Path, damage: str, left: int, caplog: pytest.LogCaptureFixture
) -> None:
    fill(path, 50)
    content = bytearray(path.read_bytes())
    if damage == "rubbish":
        content[:] = b"not a database at all. " * 400
    elif damage == "header":
        content[:100] = bytes(100)
    elif damage == "first page":
        content[:4096] = bytes(4096)
    else:
        content[4096:] = b"\xa5" * (len(content) - 4096)
    path.write_bytes(content)
    with caplog.at_level(logging.ERROR):
        spool = SqliteSpool(path)
        assert stamps(spool) == list(range(left))
    assert spool.stats().dropped.get("damaged", 0) == 50 - left
    assert caplog.text.count("a fresh one begun") == 1
    assert "a fresh one begun" in spool.stats().error
    (aside,) = path.parent.glob("spool.sqlite.damaged-*")
    assert aside.read_bytes() == content
    assert spool.put([packet(100)]) == [True]
    assert stamps(spool) == [*range(left), 100]
    spool.close()


def test_damage_while_it_is_open_costs_nothing_of_what_comes_after(path: Path) -> None:
    spool = SqliteSpool(path)
    spool.put([packet(n, size=40_000) for n in range(30)])
    assert spool._db is not None
    spool._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    spool._db.execute("PRAGMA cache_size = 0")
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (path.stat().st_size - 4096))
    for n in range(100, 110):
        assert spool.put([packet(n)]) == [True]
    assert set(range(100, 110)) <= set(stamps(spool))
    assert spool.stats().dropped.get("damaged", 0) == 30
    assert spool.acknowledge([FrameKey("main", 100)]) == 1
    assert list(path.parent.glob("spool.sqlite.damaged-*"))
    spool.close()


def test_a_database_of_something_else_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE invoice (number)")
    database.commit()
    database.close()
    before = path.read_bytes()
    with pytest.raises(SpoolError, match="not a spool"):
        SqliteSpool(path)
    assert path.read_bytes() == before


def test_a_path_that_cannot_be_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpoolError, match=r"file/spool\.sqlite: "):
        SqliteSpool(tmp_path / "file" / "spool.sqlite")
    with pytest.raises(SpoolError, match="directory"):
        SqliteSpool(tmp_path)


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from mastra_ros.bridge import SqliteSpool
from mastra_ros.errors import SpoolError
from mastra_ros.types import FrameKey, Packet, PacketKind
def packet(n):
    return Packet(FrameKey("main", n), PacketKind.KEY, bytes(50_000), 64, 48, "bgr8")
spool = SqliteSpool(Path(sys.argv[1]))
spool.put([packet(0), packet(1)])
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
kept = 2
try:
    for kept in range(2, 100):
        spool.put([packet(kept)])
except SpoolError as error:
    print("refused", error)
assert spool.stats().records == kept, (spool.stats(), kept)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert spool.put([packet(200)]) == [True]
assert len(spool.next_batch(500)) == kept + 1
spool.close()
"""


def test_a_full_disk_is_an_error_and_costs_nothing_that_was_kept(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    )
    assert done.returncode == 0, done.stderr
    assert "refused" in done.stdout


def test_a_closed_spool_says_so(path: Path) -> None:
    spool = SqliteSpool(path)
    spool.close()
    with pytest.raises(SpoolError, match="closed"):
        spool.put([packet(1)])


def test_a_record_that_is_whole_but_says_nothing_we_know_is_dropped(path: Path) -> None:
    """As one of another version may be: it is not read again and again."""
    fill(path, 3)
    data = b"\x92\x63\x80"  # an envelope of an unknown type without a field
    with closing(sqlite3.connect(path)) as database, database:
        checksum = zlib.crc32(data, zlib.crc32(b"main/1"))
        database.execute(
            "UPDATE record SET data = ?, checksum = ? WHERE stamp_ns = 1", (data, checksum)
        )
        rubbish = b"\xc1rubbish"
        checksum = zlib.crc32(rubbish, zlib.crc32(b"main/2"))
        database.execute(
            "UPDATE record SET data = ?, checksum = ? WHERE stamp_ns = 2", (rubbish, checksum)
        )
    spool = SqliteSpool(path)
    assert stamps(spool) == [0]
    stats = spool.stats()
    assert (stats.records, stats.dropped) == (1, {"damaged": 2})
    spool.close()
