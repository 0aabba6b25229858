"""The spool on disk: one SQLite file in WAL mode, synchronous=FULL, a checksum per record.

What `put` has returned for survives SIGKILL and power loss. A damaged record is dropped and
counted; a damaged file is moved aside as NAME.damaged-TIMESTAMP and a fresh one begun.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import sqlite3
import time
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from ..errors import ProtocolError, SpoolError
from ..private_files import make_private_folder, open_private
from ..protocol import FrameMessage, decode
from ..types import FrameKey, Packet
from .spool import PLAUSIBLE_S, SpoolStats, rank_of, record_of, sending_class

log = logging.getLogger(__name__)
T = TypeVar("T")

APPLICATION_ID = 0x4D535452  # "MSTR"
SCHEMA_VERSION = 2
"""In `user_version`; 0 in files from before frames had ids, which are migrated when opened."""
SCHEMA = """
CREATE TABLE record (
    stream TEXT NOT NULL,
    stamp_ns INTEGER NOT NULL,
    frame_id TEXT NOT NULL DEFAULT '',
    sending INTEGER NOT NULL,
    rank INTEGER NOT NULL,
    put_s REAL NOT NULL,
    bytes INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    data BLOB NOT NULL,
    UNIQUE (stream, stamp_ns, frame_id)
);
CREATE INDEX by_sending ON record (sending, stamp_ns);
CREATE INDEX by_rank ON record (rank, stamp_ns, bytes);
CREATE INDEX by_age ON record (put_s);
"""
# SQLite cannot change the columns that a table's UNIQUE names, so the records are copied; they
# have the empty id, with which they were sent and will be sent again.
BEFORE_SCHEMA = """
DROP INDEX IF EXISTS by_sending;
DROP INDEX IF EXISTS by_rank;
DROP INDEX IF EXISTS by_age;
ALTER TABLE record RENAME TO record_0;
"""
AFTER_SCHEMA = """
INSERT INTO record (stream, stamp_ns, sending, rank, put_s, bytes, checksum, data)
    SELECT stream, stamp_ns, sending, rank, put_s, bytes, checksum, data FROM record_0;
DROP TABLE record_0;
"""
_OF_KEY = "stream = ? AND stamp_ns = ? AND frame_id = ?"


class SqliteSpool:
    """A `Spool` in the file `path`, which no other process may have open.

    bytes_max: of the records together; the file is a little larger. age_max_s: by `clock`,
    seconds since 1970. Raises SpoolError when the file cannot be used.
    """

    def __init__(
        self,
        path: Path,
        bytes_max: int = 2**29,
        age_max_s: float = 604_800.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._path = path
        self._bytes_max = bytes_max
        self._age_max_s = age_max_s
        self._clock = clock
        self._dropped: Counter[str] = Counter()
        self._stored = 0
        self._error = ""
        self._records = 0
        self._bytes_by_rank = [0, 0, 0]
        self._closed = False
        self._db: sqlite3.Connection | None = None
        self._guarded(self._ensure_open)

    # -- the interface ---------------------------------------------------------------------

    def put(self, packets: Sequence[Packet]) -> list[bool]:
        """See Spool."""
        rows = [(packet, record_of(packet)) for packet in packets]
        return self._guarded(lambda: self._put(rows))

    def next_batch(self, limit: int, exclude: Collection[FrameKey] = ()) -> list[Packet]:
        """See Spool."""
        return self._guarded(lambda: self._next_batch(limit, exclude))

    def acknowledge(self, keys: Collection[FrameKey]) -> int:
        """See Spool."""
        return self._guarded(lambda: self._delete(keys))

    def drop(self, key: FrameKey, reason: str) -> None:
        """See Spool."""
        self._guarded(lambda: self._delete([key], reason))

    def stats(self) -> SpoolStats:
        """See Spool."""
        total = sum(self._bytes_by_rank)
        return SpoolStats(self._records, total, self._stored, dict(self._dropped), self._error)

    def close(self) -> None:
        """See Spool."""
        self._closed = True
        if self._db is not None:
            self._db.close()
            self._db = None

    # -- the file --------------------------------------------------------------------------

    def _ensure_open(self) -> sqlite3.Connection:
        if self._closed:
            raise SpoolError(f"{self._path}: closed")
        if self._db is None:
            db = self._connect()
            try:
                self._prepare(db)
            except BaseException:
                db.close()
                raise
            self._db = db
        return self._db

    def _connect(self) -> sqlite3.Connection:
        try:
            make_private_folder(self._path.parent)
            os.close(open_private(self._path))
            for suffix in ("-wal", "-shm"):  # of an older version that let others read them
                beside = Path(f"{self._path}{suffix}")
                if beside.exists():
                    os.close(open_private(beside))
        except OSError as error:
            where = "" if str(error.filename) == str(self._path) else f"{error.filename}: "
            raise SpoolError(f"{self._path}: {where}{error.strerror}") from None
        # No statement needs the lock for long, as no other process may have it at all.
        return sqlite3.connect(
            self._path, timeout=0.5, isolation_level=None, check_same_thread=False
        )

    def _prepare(self, db: sqlite3.Connection) -> None:
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        # Looked at before anything is changed: it may be somebody else's.
        (application,) = db.execute("PRAGMA application_id").fetchone()
        (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if application != APPLICATION_ID and (application != 0 or tables != 0):
            raise SpoolError(f"{self._path}: a database of something else, not a spool")
        if version not in (0, SCHEMA_VERSION):
            raise SpoolError(
                f"{self._path}: expected a spool of version {SCHEMA_VERSION} or 0, got {version}"
            )
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA journal_size_limit = 16777216")
        with _transaction(db) as cursor:
            if version != SCHEMA_VERSION:
                steps = BEFORE_SCHEMA + SCHEMA + AFTER_SCHEMA if application else SCHEMA
                for statement in steps.split(";"):
                    cursor.execute(statement)
                cursor.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                cursor.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            cursor.execute("SELECT rank, count(*), sum(bytes) FROM record GROUP BY rank")
            self._records, self._bytes_by_rank = 0, [0, 0, 0]
            for rank, count, total in cursor.fetchall():
                if rank not in (0, 1, 2) or type(total) is not int:
                    raise sqlite3.DatabaseError("records of an unknown kind")
                self._records += count
                self._bytes_by_rank[rank] = total

    def _begin_anew(self, error: sqlite3.DatabaseError) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        aside = self._path.with_name(f"{self._path.name}.damaged-{stamp}")
        count = 0
        while aside.exists():
            count += 1
            aside = self._path.with_name(f"{self._path.name}.damaged-{stamp}-{count}")
        self._error = f"{self._path}: damaged ({error}); moved to {aside.name}, a fresh one begun"
        log.error("spool %s", self._error)
        self._path.replace(aside)
        for suffix in ("-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                Path(f"{self._path}{suffix}").replace(f"{aside}{suffix}")
        self._dropped["damaged"] += self._records
        self._records, self._bytes_by_rank = 0, [0, 0, 0]
        self._ensure_open()

    def _guarded(self, action: Callable[[], T]) -> T:
        """Do it, on a fresh file where this one is damaged; SpoolError for all other trouble."""
        try:
            try:
                return action()
            except sqlite3.DatabaseError as error:
                if not _is_damage(error):
                    raise
                self._begin_anew(error)
                return action()
        except (sqlite3.Error, OSError) as error:
            self._error = f"{self._path}: {error}"
            raise SpoolError(self._error) from error

    # -- records ---------------------------------------------------------------------------

    def _put(self, rows: Sequence[tuple[Packet, bytes]]) -> list[bool]:
        self._forget_old()
        totals, dropped = list(self._bytes_by_rank), Counter[str]()
        added = removed = 0
        kept = []
        with _transaction(self._ensure_open()) as cursor:
            for packet, data in rows:
                rank = rank_of(packet)
                before = _held(cursor, packet.key)
                if before is not None:
                    row, sending, old_rank, size, put_s = before
                    grown = sum(totals) - size + len(data)
                    if sending_class(packet) < sending and grown <= self._bytes_max:
                        if old_rank > rank:  # it was a hard example, and stays one
                            packet, rank = dataclasses.replace(packet, hard=True), old_rank
                            data = record_of(packet)
                        cursor.execute("DELETE FROM record WHERE rowid = ?", (row,))
                        _insert(cursor, packet, data, put_s)
                        totals[old_rank] -= size
                        totals[rank] += len(data)
                    kept.append(True)
                    continue
                missing = sum(totals) + len(data) - self._bytes_max
                if missing > sum(totals[: rank + 1]):
                    dropped["bytes"] += 1
                    kept.append(False)
                    continue
                evicted = _evict(cursor, missing, totals)
                dropped["bytes"] += evicted
                removed += evicted
                _insert(cursor, packet, data, self._clock())
                totals[rank] += len(data)
                added += 1
                kept.append(True)
        self._bytes_by_rank = totals
        self._records += added - removed
        self._stored += added
        self._dropped += dropped
        return kept

    def _next_batch(self, limit: int, exclude: Collection[FrameKey]) -> list[Packet]:
        self._forget_old()
        with _transaction(self._ensure_open()) as cursor:
            cursor.execute(
                "SELECT rowid, stream, stamp_ns, frame_id FROM record"
                " ORDER BY sending, stamp_ns LIMIT ?",
                (limit + len(exclude),),
            )
            rows = [(row, FrameKey(*key)) for row, *key in cursor]
        packets: list[Packet] = []
        for row, key in rows:
            if key in exclude or len(packets) == limit:
                continue
            packet = self._read(row, key)
            if packet is not None:
                packets.append(packet)
        return packets

    def _read(self, row: int, key: FrameKey) -> Packet | None:
        """The packet of a record; None when it was damaged, and dropped."""
        with _transaction(self._ensure_open()) as cursor:
            cursor.execute("SELECT checksum, data FROM record WHERE rowid = ?", (row,))
            checksum, data = cursor.fetchone() or (0, None)
        if type(data) is bytes and checksum == _checksum(key, data):
            with contextlib.suppress(ProtocolError):  # of another version, perhaps
                message = decode(data, bytes_max=len(data))
                if isinstance(message, FrameMessage):
                    return message.to_packet()
        self._error = f"{self._path}: record {key.stamp_ns} ns was damaged and is dropped"
        log.error("spool %s", self._error)
        self._delete_where([("rowid = ?", (row,))], "damaged")
        return None

    def _delete(self, keys: Collection[FrameKey], reason: str = "") -> int:
        """Delete records in one commit; with a reason they count as dropped."""
        return self._delete_where([(_OF_KEY, key) for key in keys], reason)

    def _delete_where(
        self, conditions: Sequence[tuple[str, tuple[object, ...]]], reason: str
    ) -> int:
        totals, count = list(self._bytes_by_rank), 0
        with _transaction(self._ensure_open()) as cursor:
            for where, values in conditions:
                cursor.execute(f"SELECT rowid, rank, bytes FROM record WHERE {where}", values)  # noqa: S608
                found = cursor.fetchone()
                if found is not None:
                    row, rank, size = found
                    cursor.execute("DELETE FROM record WHERE rowid = ?", (row,))
                    totals[rank] -= size
                    count += 1
        self._bytes_by_rank = totals
        self._records -= count
        if reason and count:
            self._dropped[reason] += count
        return count

    def _forget_old(self) -> None:
        oldest_s = self._clock() - self._age_max_s
        with _transaction(self._ensure_open()) as cursor:
            cursor.execute(
                "SELECT stream, stamp_ns, frame_id FROM record WHERE put_s >= ? AND put_s < ?",
                (PLAUSIBLE_S, oldest_s),
            )
            keys = [FrameKey(*row) for row in cursor]
        if keys:
            self._delete(keys, "age")


@contextlib.contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[sqlite3.Cursor]:
    """All or nothing, on disk when left."""
    cursor = db.cursor()
    cursor.execute("BEGIN IMMEDIATE")
    try:
        yield cursor
        cursor.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # SQLite itself rolls back on some errors
            with contextlib.suppress(sqlite3.Error):
                cursor.execute("ROLLBACK")
        raise
    finally:
        cursor.close()


def _held(cursor: sqlite3.Cursor, key: FrameKey) -> tuple[int, int, int, int, float] | None:
    """rowid, sending class, rank, bytes and time of the record of a frame."""
    cursor.execute(
        f"SELECT rowid, sending, rank, bytes, put_s FROM record WHERE {_OF_KEY}",  # noqa: S608
        key,
    )
    row: tuple[int, int, int, int, float] | None = cursor.fetchone()
    return row


def _insert(cursor: sqlite3.Cursor, packet: Packet, data: bytes, put_s: float) -> None:
    key = packet.key
    cursor.execute(
        "INSERT INTO record"
        " (stream, stamp_ns, frame_id, sending, rank, put_s, bytes, checksum, data)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *key,
            sending_class(packet),
            rank_of(packet),
            put_s,
            len(data),
            _checksum(key, data),
            data,
        ),
    )


def _evict(cursor: sqlite3.Cursor, missing: int, totals: list[int]) -> int:
    """Delete the least worthy records until `missing` bytes are free; how many went."""
    count = 0
    while missing > 0:
        cursor.execute("SELECT rowid, rank, bytes FROM record ORDER BY rank, stamp_ns LIMIT 1")
        row, rank, size = cursor.fetchone()
        cursor.execute("DELETE FROM record WHERE rowid = ?", (row,))
        totals[rank] -= size
        missing -= size
        count += 1
    return count


def _checksum(key: FrameKey, data: bytes) -> int:
    """Of the bytes and their frame; without an id the same as in older versions."""
    name = f"{key.stream}/{key.stamp_ns}" + (f"/{key.id}" if key.id else "")
    return zlib.crc32(data, zlib.crc32(name.encode()))


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    """SQLITE_CORRUPT and SQLITE_NOTADB come as the base class, all else as a subclass."""
    return type(error) is sqlite3.DatabaseError
