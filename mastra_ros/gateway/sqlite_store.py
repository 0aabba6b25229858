"""Results in SQLite: committed in groups by one thread, so that one sync to disk serves many.

The database uses a write-ahead log with synchronous=FULL: what a future has reported survives
the loss of the process and of power (https://www.sqlite.org/wal.html).
"""

from __future__ import annotations

import logging
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path

from ..errors import StoreError
from ..private_files import lock, make_private_folder, open_private
from ..sqlite_files import transaction
from .sqlite_rows import insertions, searches
from .store import Commit, Committed, FrameId, Record

logger = logging.getLogger(__name__)

FILE_NAME = "results.sqlite3"
SCHEMA_VERSION = 2
"""1, until frames had ids: the key was (device, stream, stamp_ns). It is migrated when opened."""
GROUP_MAX = 256
"""Most results in one transaction."""
TRIM_INTERVAL_S = 30.0

_SCHEMA = """
CREATE TABLE results (
    id INTEGER PRIMARY KEY,
    device TEXT NOT NULL,
    stream TEXT NOT NULL,
    stamp_ns INTEGER NOT NULL,
    frame_id TEXT NOT NULL DEFAULT '',
    committed_s REAL NOT NULL,
    data BLOB NOT NULL,
    UNIQUE (device, stream, stamp_ns, frame_id)
)
"""
# SQLite cannot change the columns that a table's UNIQUE names, so the rows are copied. They keep
# their numbers, by which the oldest are forgotten first, and have the empty id of older devices.
_FROM_1 = (
    "ALTER TABLE results RENAME TO results_1",
    _SCHEMA,
    """
    INSERT INTO results (id, device, stream, stamp_ns, committed_s, data)
    SELECT id, device, stream, stamp_ns, committed_s, data FROM results_1
    """,
    "DROP TABLE results_1",
)
_FIND = "SELECT data FROM results WHERE device = ? AND stream = ? AND stamp_ns = ? AND frame_id = ?"
_FIND_WHEN = _FIND.replace("data", "data, committed_s", 1)

_Job = tuple[Sequence[Record], Committed]


class SqliteStore:
    """A `ResultStore` in `folder`, which only one process may use at a time.

    Results beyond `results_max`, and those older than `age_max_s`, are forgotten, oldest first.
    `on_commit(results, seconds)` hears of every transaction.
    """

    def __init__(
        self,
        folder: Path,
        *,
        results_max: int = 1_000_000,
        age_max_s: float = 1_209_600.0,
        on_commit: Callable[[int, float], None] | None = None,
        beside: bool = False,
    ) -> None:
        """Raises StoreError when the folder is in use or the database cannot be opened.

        beside: for a process of the gateway that has the folder.
        """
        self._writing = threading.Lock()
        self._next_trim_s = time.monotonic()
        self._path = folder / FILE_NAME
        self._results_max = results_max
        self._age_max_s = age_max_s
        self._on_commit = on_commit
        self._listeners: list[Callable[[int], None]] = []
        self._problem = ""
        self._closed = False
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._read_lock = threading.Lock()
        try:
            make_private_folder(folder)
            locked = -1 if beside else lock(folder / "lock")
        except OSError as error:
            where = error.filename or folder
            raise StoreError(f"{where}: cannot be used: {error.strerror}") from error
        if locked is None:
            raise StoreError(f"{folder}: in use by another gateway")
        self._folder_lock = locked
        try:
            self._writer = self._open()
            self._reader = sqlite3.connect(self._path, check_same_thread=False)
        except BaseException:
            self._unlock()
            raise
        self._thread = threading.Thread(target=self._work, name="results", daemon=True)
        self._thread.start()

    def find(self, frame: FrameId) -> Record | None:
        try:
            with self._read_lock:
                row = self._reader.execute(_FIND, frame).fetchone()
        except sqlite3.Error as error:
            raise StoreError(f"{self._path}: {error}") from error
        return None if row is None else Record(frame, row[0])

    def find_all(self, frames: Sequence[FrameId]) -> dict[FrameId, Record]:
        found: dict[FrameId, Record] = {}
        try:
            for statement, values in searches(frames):
                with self._read_lock:
                    rows = self._reader.execute(statement, values).fetchall()
                for *key, data in rows:
                    frame = FrameId(*key)
                    found[frame] = Record(frame, data)
        except sqlite3.Error as error:
            raise StoreError(f"{self._path}: {error}") from error
        return found

    def commit_all(
        self, records: Sequence[Record], done: Committed, *, at_once: bool = False
    ) -> None:
        if self._closed:
            done((), StoreError(f"{self._path}: closed"))
        elif at_once and self._jobs.empty() and self._writing.acquire(blocking=False):
            try:
                self._commit_and_trim([(records, done)])
            finally:
                self._writing.release()
        else:
            self._jobs.put((records, done))

    def commit(self, record: Record) -> Future[Commit]:
        future: Future[Commit] = Future()

        def done(commits: Sequence[Commit], error: Exception | None) -> None:
            if not future.set_running_or_notify_cancel():
                return  # nobody waits for it any more
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(commits[0])

        self.commit_all([record], done)
        return future

    def count(self) -> int:
        try:
            with self._read_lock:
                return int(self._reader.execute("SELECT count(*) FROM results").fetchone()[0])
        except sqlite3.Error as error:
            raise StoreError(f"{self._path}: {error}") from error

    def listen(self, listener: Callable[[int], None]) -> None:
        """Tell of every transaction how many results there were, in the thread of the store."""
        self._listeners.append(listener)

    def check(self) -> None:
        if self._problem:
            raise StoreError(self._problem)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._jobs.put(None)
        self._thread.join()
        self._reader.close()
        self._writer.close()
        self._unlock()

    @property
    def folder(self) -> Path:
        """Where the database is."""
        return self._path.parent

    @property
    def problem(self) -> str:
        """Why the latest transaction failed; empty when it did not."""
        return self._problem

    def committed_beside(self, results: int, seconds: float) -> None:
        """A process beside this one has committed so many."""
        self._problem = ""
        self._tell_listeners(results, seconds)

    def failed_beside(self, problem: str) -> None:
        """A process beside this one could not commit."""
        self._problem = problem

    def _unlock(self) -> None:
        if self._folder_lock >= 0:
            os.close(self._folder_lock)

    def _open(self) -> sqlite3.Connection:
        try:
            os.close(open_private(self._path))  # the database and what lies beside it: 0600
            db = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None)
            try:
                db.execute("PRAGMA journal_mode = WAL")
                db.execute("PRAGMA synchronous = FULL")
                with transaction(db):
                    self._prepare(db)
            except BaseException:
                db.close()
                raise
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"{self._path}: cannot be used: {error}") from error
        return db

    def _prepare(self, db: sqlite3.Connection) -> None:
        """Bring the tables to our schema: all of it, or nothing where an error comes between."""
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, 1, SCHEMA_VERSION):
            raise StoreError(
                f"{self._path}: expected schema {SCHEMA_VERSION} or older, got {version}"
            )
        if version == SCHEMA_VERSION:
            return
        # A gateway that was killed at its first start may have left the table without a version.
        tables = db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'results'")
        if tables.fetchone()[0]:
            (rows,) = db.execute("SELECT count(*) FROM results").fetchone()
            logger.info("%s: giving an id to the frames of %d results", self._path, rows)
            for statement in _FROM_1:
                db.execute(statement)
        else:
            db.execute(_SCHEMA)
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            group, size = [job], len(job[0])
            stop = False
            while size < GROUP_MAX and not self._jobs.empty():
                more = self._jobs.get()
                if more is None:
                    stop = True
                    break
                group.append(more)
                size += len(more[0])
            with self._writing:
                self._commit_and_trim(group)
            if stop:
                return

    def _commit_and_trim(self, group: list[_Job]) -> None:
        self._commit_group(group)
        if time.monotonic() >= self._next_trim_s:
            self._trim()
            self._next_trim_s = time.monotonic() + TRIM_INTERVAL_S

    def _commit_group(self, group: list[_Job]) -> None:
        started_s = time.perf_counter()
        records = [record for some, _ in group for record in some]
        try:
            commits = self._insert(records)
        except Exception as error:  # whatever it is: the thread goes on, and who waits hears of it
            self._problem = f"{self._path}: cannot be written: {error}"
            expected = isinstance(error, sqlite3.Error)
            logger.error("%s", self._problem, exc_info=None if expected else error)
            for _, done in group:
                self._tell(done, (), StoreError(self._problem))
            return
        self._problem = ""
        self._tell_listeners(len(records), time.perf_counter() - started_s)
        at = 0
        for some, done in group:
            self._tell(done, commits[at : at + len(some)], None)
            at += len(some)

    def _tell_listeners(self, results: int, seconds: float) -> None:
        try:
            if self._on_commit is not None:
                self._on_commit(results, seconds)
            for tell in self._listeners:
                tell(results)
        except Exception:
            logger.exception("%s: the listener to commits failed", self._path)

    def _tell(self, done: Committed, commits: Sequence[Commit], error: Exception | None) -> None:
        try:
            done(commits, error)
        except Exception:
            logger.exception("%s: who waited for a commit failed", self._path)

    def _insert(self, records: list[Record]) -> list[Commit]:
        """Insert in one transaction; on an error nothing of it is kept."""
        now_s = time.time()
        first, *more = insertions(records, now_s)
        if not more:
            new = self._writer.execute(*first).rowcount
        else:
            with transaction(self._writer) as cursor:
                new = sum(cursor.execute(*one).rowcount for one in (first, *more))
        if new == len(records):
            return [Commit(record, duplicate=False) for record in records]
        return self._with_older(records, now_s)

    def _with_older(self, records: list[Record], now_s: float) -> list[Commit]:
        """What is kept of each; those just inserted bear this time and these very bytes."""
        commits = []
        seen: set[FrameId] = set()
        for record in records:
            row = self._writer.execute(_FIND_WHEN, record.frame).fetchone()
            data, committed_s = row
            ours = committed_s == now_s and data == record.data and record.frame not in seen
            seen.add(record.frame)
            commits.append(Commit(record if ours else Record(record.frame, data), not ours))
        return commits

    def _trim(self) -> None:
        """Forget the oldest results; ids grow with the time of the commit."""
        cutoff_s = time.time() - self._age_max_s
        young = "SELECT id FROM results WHERE committed_s >= ? ORDER BY id LIMIT 1"
        try:
            with transaction(self._writer):
                newest = self._writer.execute("SELECT max(id) FROM results").fetchone()[0]
                if newest is None:
                    return
                oldest_kept = newest - self._results_max + 1
                first_young = self._writer.execute(young, (cutoff_s,)).fetchone()
                first_young_id = newest + 1 if first_young is None else first_young[0]
                self._writer.execute(
                    "DELETE FROM results WHERE id < ?", (max(oldest_kept, first_young_id),)
                )
        except sqlite3.Error as error:
            logger.warning("%s: old results could not be forgotten: %s", self._path, error)
