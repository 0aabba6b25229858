"""Records in SQLite: committed in groups by one thread, so that one sync to disk serves many.

Devices take turns in a group, so that one which sends much keeps no other waiting.

A database of its own, beside that of results: write-ahead log, synchronous=FULL. What a future has
reported survives the loss of the process and of power. The folder belongs to one gateway, by the
lock that the store of results holds.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from ...errors import StoreError
from ...private_files import make_private_folder, open_private
from ...records import RecordName
from ...sqlite_files import transaction
from .fair import FairQueue
from .order import Sorted, Source, sort_out
from .store import BatchCommit, KeptRecord, Query, RecordBatch, begin_refusal, epochs_too_many

logger = logging.getLogger(__name__)

FILE_NAME = "records.sqlite3"
SCHEMA_VERSION = 1
GROUP_MAX = 64
"""Most batches in one transaction."""
TRIM_INTERVAL_S = 10.0
HELD_BACK = 2
"""So many times `records_max` are kept for those who still need them, and no more."""
TRIMMED_AT_ONCE = 20_000
"""Most records that one transaction forgets, so that no commit waits long for it."""

_SCHEMA = (
    """
CREATE TABLE source (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    device TEXT NOT NULL,
    stream TEXT NOT NULL,
    kind TEXT NOT NULL,
    epoch TEXT NOT NULL,
    last INTEGER NOT NULL,
    UNIQUE (device, stream, kind, epoch)
)""",
    """
CREATE TABLE record (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    source INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    stamp_ns INTEGER NOT NULL,
    committed_s REAL NOT NULL,
    body BLOB NOT NULL,
    UNIQUE (source, seq)
)""",
)
_COLUMNS = (
    "record.id, device, stream, kind, epoch, seq, stamp_ns, committed_s, body"
    " FROM record JOIN source ON source.id = record.source"
)

_Job = tuple[RecordBatch, "Future[BatchCommit]"]


class SqliteRecordStore:
    """A `RecordStore` in `folder`, which only one process may use at a time.

    Records beyond `records_max`, and those older than `age_max_s`, are forgotten, oldest first, as
    far as nobody needs them (`keep_from`). `on_commit(records)` hears of every transaction, in the
    thread of the store.
    """

    def __init__(
        self,
        folder: Path,
        *,
        records_max: int = 1_000_000,
        age_max_s: float = 7_776_000.0,
        on_commit: Callable[[int], None] | None = None,
        trim_interval_s: float = TRIM_INTERVAL_S,
    ) -> None:
        """Raises StoreError when the database cannot be opened."""
        self._path = folder / FILE_NAME
        self._records_max = records_max
        self._age_max_s = age_max_s
        self._on_commit = on_commit
        self._trim_interval_s = trim_interval_s
        self._sources: dict[Source, int] = {}  # number of the last record, oldest source first
        self._ids: dict[Source, int] = {}
        self._closed_sources: set[Source] = set()  # a lost connection asks again: need not be kept
        self._holders: dict[str, int] = {}
        self._problem = ""
        self._closed = False
        self._jobs = FairQueue[_Job]()
        self._read_lock = threading.Lock()
        self._open(folder)
        self._thread = threading.Thread(target=self._work, name="records", daemon=True)
        self._thread.start()

    def commit(self, batch: RecordBatch) -> Future[BatchCommit]:
        done: Future[BatchCommit] = Future()
        if self._closed:
            done.set_exception(StoreError(f"{self._path}: closed"))
        else:
            self._jobs.put(batch.device, (batch, done))
        return done

    def page(self, query: Query, after_id: int, records_max: int) -> list[KeptRecord]:
        where: list[str] = ["record.id > ?"]
        values: list[Any] = [after_id]
        for column, value in (
            ("device = ?", query.device),
            ("stream = ?", query.stream),
            ("kind = ?", query.kind),
            ("stamp_ns >= ?", query.from_ns),
            ("stamp_ns < ?", query.to_ns),
        ):
            if value not in ("", None):
                where.append(column)
                values.append(value)
        sql = f"SELECT {_COLUMNS} WHERE {' AND '.join(where)} ORDER BY record.id LIMIT ?"
        rows = self._read(sql, (*values, records_max))
        return [KeptRecord(row[0], RecordName(*row[1:6]), *row[6:]) for row in rows]

    def count(self) -> int:
        return int(self._read("SELECT count(*) FROM record", ())[0][0])

    def keep_from(self, holder: str, first_id: int | None) -> None:
        if first_id is None:
            self._holders.pop(holder, None)
        else:
            self._holders[holder] = first_id

    def check(self) -> None:
        """Raise StoreError when nothing can be kept any more."""
        if self._problem:
            raise StoreError(self._problem)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._jobs.close()
        self._thread.join()
        self._reader.close()
        self._writer.close()

    def _read(self, sql: str, values: tuple[object, ...]) -> list[Any]:
        try:
            with self._read_lock:
                return self._reader.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise StoreError(f"{self._path}: {error}") from error

    def _open(self, folder: Path) -> None:
        try:
            make_private_folder(folder)
            os.close(open_private(self._path))  # the database and what lies beside it: 0600
            db = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None)
            try:
                db.execute("PRAGMA journal_mode = WAL")
                db.execute("PRAGMA synchronous = FULL")
                with transaction(db):
                    self._prepare(db)
                for id_, *name, last in db.execute(
                    "SELECT id, device, stream, kind, epoch, last FROM source ORDER BY id"
                ):
                    self._sources[Source(*name)] = last
                    self._ids[Source(*name)] = id_
                self._reader = sqlite3.connect(self._path, check_same_thread=False)
            except BaseException:
                db.close()
                raise
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"{self._path}: cannot be used: {error}") from error
        self._writer = db

    def _prepare(self, db: sqlite3.Connection) -> None:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version not in (0, SCHEMA_VERSION):
            raise StoreError(f"{self._path}: expected schema {SCHEMA_VERSION}, got {version}")
        if version == 0:
            for statement in _SCHEMA:
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    # -- in the thread ---------------------------------------------------------------------

    def _work(self) -> None:
        next_trim_s = time.monotonic()
        stop = False
        while not stop:
            group, stop = self._jobs.take(GROUP_MAX, self._trim_interval_s)
            if group:
                self._commit_group(group)
            if time.monotonic() >= next_trim_s:
                busy = self._trim()
                next_trim_s = time.monotonic() + (0 if busy else self._trim_interval_s)

    def _commit_group(self, group: list[_Job]) -> None:
        group = [job for job in group if job[1].set_running_or_notify_cancel()]
        try:
            commits = self._insert([batch for batch, _ in group])
        except Exception as error:  # whatever it is: the thread goes on, and who waits hears of it
            self._problem = f"{self._path}: cannot be written: {error}"
            expected = isinstance(error, sqlite3.Error)
            logger.error("%s", self._problem, exc_info=None if expected else error)
            for _, done in group:
                done.set_exception(StoreError(self._problem))
            return
        self._problem = ""
        for (_, done), commit in zip(group, commits, strict=True):
            done.set_result(commit)
        new = sum(commit.new for commit in commits)
        if self._on_commit is not None and new:
            try:
                self._on_commit(new)
            except Exception:
                logger.exception("%s: the listener to commits failed", self._path)

    def _insert(self, batches: list[RecordBatch]) -> list[BatchCommit]:
        """Insert in one transaction; on an error nothing of it is kept, nor known."""
        sources, ids = dict(self._sources), dict(self._ids)
        commits = []
        with transaction(self._writer):
            for batch in batches:
                out = sort_out(
                    *(batch.device, batch.stream, batch.epoch, batch.items),
                    last_of=sources.get,
                    kept=lambda source, seq: self._kept(ids[source], seq),
                    closed=self._closed_sources,
                    may_begin=lambda source, begun: begin_refusal(sources, source, begun),
                )
                self._closed_sources |= out.closed
                self._write(out, sources, ids)
                commits.append(BatchCommit.of(out))
        self._sources, self._ids = sources, ids
        return commits

    def _write(self, out: Sorted, sources: dict[Source, int], ids: dict[Source, int]) -> None:
        now_s = time.time()
        for source, last in out.last.items():
            if source in ids:
                self._writer.execute("UPDATE source SET last = ? WHERE id = ?", (last, ids[source]))
                sources[source] = last
                continue
            cursor = self._writer.execute(
                "INSERT INTO source (device, stream, kind, epoch, last) VALUES (?, ?, ?, ?, ?)",
                (*source, last),
            )
            ids[source] = int(cursor.lastrowid or 0)
            sources[source] = last
            for old in epochs_too_many(sources, source):
                # Its records stay until their time comes; only new ones of it would count anew.
                self._writer.execute(
                    "UPDATE source SET epoch = epoch || '/' || id WHERE id = ?", (ids[old],)
                )
                del sources[old], ids[old]
        self._writer.executemany(
            "INSERT INTO record (source, seq, stamp_ns, committed_s, body) VALUES (?, ?, ?, ?, ?)",
            [(ids[source], i.seq, i.stamp_ns, now_s, i.body) for source, i in out.taken],
        )

    def _kept(self, source_id: int, seq: int) -> tuple[int, bytes] | None:
        row: tuple[int, bytes] | None = self._writer.execute(
            "SELECT stamp_ns, body FROM record WHERE source = ? AND seq = ?", (source_id, seq)
        ).fetchone()
        return row

    def _trim(self) -> bool:
        """Forget some of the oldest records; whether there are more to be forgotten."""
        db = self._writer
        try:
            with transaction(db):
                (held,) = db.execute("SELECT count(*) FROM record").fetchone()
                cutoff_s = time.time() - self._age_max_s
                young = "SELECT id FROM record WHERE committed_s >= ? ORDER BY id LIMIT 1"
                row = db.execute(young, (cutoff_s,)).fetchone()
                (newest,) = db.execute("SELECT coalesce(max(id), 0) FROM record").fetchone()
                before = newest + 1 if row is None else row[0]
                excess = held - self._records_max
                if excess > 0:
                    nth = "SELECT id FROM record ORDER BY id LIMIT 1 OFFSET ?"
                    row = db.execute(nth, (excess,)).fetchone()
                    before = max(before, newest + 1 if row is None else row[0])
                # Who needs them for ever must not fill the disk.
                held_back = min([before, *self._holders.values()])
                before = max(held_back, newest + 1 - HELD_BACK * self._records_max)
                gone = db.execute(
                    "DELETE FROM record WHERE id IN "
                    "(SELECT id FROM record WHERE id < ? ORDER BY id LIMIT ?)",
                    (before, TRIMMED_AT_ONCE),
                ).rowcount
                return gone >= TRIMMED_AT_ONCE
        except sqlite3.Error as error:
            logger.warning("%s: old records could not be forgotten: %s", self._path, error)
            return False
