"""Frames of sets in SQLite, as they were sent: committed in groups by one thread, then answered.

A database of its own beside that of records, with the same promises: what a future has reported
survives the loss of the process and of power. Bounded in bytes a device; nothing is forgotten until
an application closes the set.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from ...errors import StoreError
from ...protocol.records import Committed, NotTaken
from ...sqlite_files import transaction
from ..records.fair import FairQueue
from ..records.order import Sorted, sort_out
from .rows import (
    FILE_NAME,
    KeptFrame,
    KeptSet,
    SetBatch,
    SetName,
    SetQuery,
    list_sets,
    open_sets,
)

logger = logging.getLogger(__name__)

GROUP_MAX = 32
"""Most frames in one transaction."""
LOOK_S = 60.0
SETS_MAX = 1024
"""Sets of one device that are known at once, closed ones among them: the oldest of those go."""
ALL = SetQuery()
DELETED_AT_ONCE = 200
"""Frames of a closed set that one transaction forgets, so that no commit waits long for it."""
FRAME_BYTES = 400
"""What a frame takes beside its data, about."""
_FRAMES = (
    "SELECT frame.id, device, stream, name, sequence, stamp_ns, committed_s, data"
    " FROM frame JOIN frame_set ON frame_set.id = frame.set_id"
)

Outcome = Committed | NotTaken
_Job = tuple[SetBatch, "Future[Outcome]"]


class SqliteSetStore:
    """The sets in `folder`, which only one process may use at a time.

    device_bytes_max: of the frames of one device. `on_commit(frames)` hears of every transaction,
    in the thread of the store.
    """

    def __init__(
        self,
        folder: Path,
        *,
        device_bytes_max: int = 2**33,
        on_commit: Callable[[int], None] | None = None,
    ) -> None:
        """Raises StoreError when the database cannot be opened."""
        self._path = folder / FILE_NAME
        self._device_bytes_max = device_bytes_max
        self._on_commit = on_commit
        self._closed = False
        self._read_lock = threading.Lock()
        self._writer, self._reader = open_sets(folder)
        self._bytes: dict[str, int] = dict(
            self._reader.execute(
                f"SELECT device, sum(size + {FRAME_BYTES}) FROM frame"  # noqa: S608
                " JOIN frame_set ON frame_set.id = frame.set_id GROUP BY device"
            )
        )
        self._jobs = FairQueue[_Job | SetName]()
        self._thread = threading.Thread(target=self._work, name="sets", daemon=True)
        self._thread.start()

    # -- from any thread -------------------------------------------------------------------

    def commit(self, batch: SetBatch) -> Future[Outcome]:
        """Keep a frame; done when it would survive a crash, StoreError when that failed."""
        done: Future[Outcome] = Future()
        if self._closed:
            done.set_exception(StoreError(f"{self._path}: closed"))
        else:
            self._jobs.put(batch.device, (batch, done))
        return done

    def close_set(self, device: str, stream: str, name: str) -> None:
        """Forget the frames of a set, soon; what still comes of it is refused for good."""
        self._jobs.put(device, SetName(device, stream, name))

    def frames(
        self, device: str, stream: str, name: str, after: int = -1, frames_max: int = 64
    ) -> list[KeptFrame]:
        """Those of a set behind a sequence number, in the order of their numbers."""
        sql = f"{_FRAMES} WHERE device = ? AND stream = ? AND name = ? AND sequence > ?"
        return self._kept(
            f"{sql} ORDER BY sequence LIMIT ?", device, stream, name, after, frames_max
        )

    def committed(self, after_id: int, frames_max: int) -> list[KeptFrame]:
        """Those of all sets behind a place, in the order of their commits."""
        return self._kept(
            f"{_FRAMES} WHERE frame.id > ? ORDER BY frame.id LIMIT ?", after_id, frames_max
        )

    def sets(self, query: SetQuery = ALL, after: int = 0, sets_max: int = 1000) -> list[KeptSet]:
        """How sets are, those behind the id `after`, in the order in which they were begun."""
        return list_sets(self._path, query, after, sets_max)

    def bytes_of(self, device: str) -> int:
        """What the frames of a device take."""
        return self._bytes.get(device, 0)

    def close(self) -> None:
        """Commit what waits, then close; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        self._jobs.close()
        self._thread.join()
        self._reader.close()
        self._writer.close()

    def _kept(self, sql: str, *values: object) -> list[KeptFrame]:
        rows = self._read(sql, *values)
        return [KeptFrame(row[0], SetName(*row[1:4]), *row[4:]) for row in rows]

    def _read(self, sql: str, *values: object) -> list[Any]:
        try:
            with self._read_lock:
                return self._reader.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise StoreError(f"{self._path}: {error}") from error

    # -- in the thread ---------------------------------------------------------------------

    def _work(self) -> None:
        forgetting: list[SetName] = self._closed_before()
        stop = False
        while not stop:
            jobs, stop = self._jobs.take(GROUP_MAX, 0.0 if forgetting else LOOK_S)
            group: list[_Job] = []
            for job in jobs:
                if isinstance(job, SetName):  # what came before it is committed first
                    self._commit_group(group)
                    group = []
                    if self._tried(self._mark_closed, job):
                        forgetting.append(job)
                else:
                    group.append(job)
            self._commit_group(group)
            if forgetting and not stop and not self._tried(self._forget, forgetting[0]):
                forgetting.pop(0)

    def _commit_group(self, group: list[_Job]) -> None:
        group = [job for job in group if job[1].set_running_or_notify_cancel()]
        if not group:
            return
        before = dict(self._bytes)
        try:
            with transaction(self._writer):
                outcomes = [self._insert(batch) for batch, _ in group]
        except Exception as error:  # whatever it is: the thread goes on, and who waits hears of it
            self._bytes = before
            problem = f"{self._path}: cannot be written: {error}"
            logger.error(
                "%s", problem, exc_info=None if isinstance(error, sqlite3.Error) else error
            )
            for _, done in group:
                done.set_exception(StoreError(problem))
            return
        for (_, done), outcome in zip(group, outcomes, strict=True):
            done.set_result(outcome)
        if self._on_commit is not None:
            try:
                self._on_commit(len(group))
            except Exception:
                logger.exception("%s: the listener to commits failed", self._path)

    def _insert(self, batch: SetBatch) -> Outcome:
        """Within a transaction. Refused is what comes out of order, too much, or too late."""
        db, item = self._writer, batch.item
        row = db.execute(
            "SELECT id, closed_s IS NOT NULL FROM frame_set"
            " WHERE device = ? AND stream = ? AND name = ?",
            batch.name,
        ).fetchone()
        set_id, closed = row or (None, False)
        last = None
        if set_id is not None:
            found = db.execute(
                "SELECT last FROM source WHERE set_id = ? AND epoch = ?", (set_id, batch.epoch)
            ).fetchone()
            last = None if found is None else int(found[0])
        out: Sorted = sort_out(
            *(batch.device, batch.stream, batch.epoch, [item]),
            last_of=lambda _: last,
            kept=lambda _, seq: None if set_id is None else self._digest(set_id, batch.epoch, seq),
            closed=(),
            may_begin=lambda *_: "",
        )
        if not out.taken:
            return out.refused[0] if out.refused else Committed(item.kind, item.seq)
        why, code = "", "overloaded"
        needed = len(batch.data) + FRAME_BYTES
        if closed:
            why, code = "the set is closed", "forbidden"
        elif self.bytes_of(batch.device) + needed > self._device_bytes_max:
            why = (
                f"sets of this device hold {self.bytes_of(batch.device)} bytes, and "
                f"{self._device_bytes_max} are allowed"
            )
        elif set_id is None:
            set_id, why = self._begin(batch)
        if why:
            known = -1 if last is None else last
            return NotTaken(item.kind, item.seq, code, why, known)
        db.execute(
            "INSERT INTO source VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET last = excluded.last",
            (set_id, batch.epoch, item.seq),
        )
        done = db.execute(
            "INSERT OR IGNORE INTO frame (set_id, sequence, epoch, seq, stamp_ns, committed_s,"
            " size, digest, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(set_id, batch.sequence, batch.epoch, item.seq, item.stamp_ns, time.time()),
                *(len(batch.data), item.body, batch.data),
            ),
        )
        if done.rowcount:
            self._bytes[batch.device] = self.bytes_of(batch.device) + needed
            if not batch.data:
                db.execute("UPDATE frame_set SET ended = 1 WHERE id = ?", (set_id,))
        return Committed(item.kind, item.seq)

    def _digest(self, set_id: int, epoch: str, seq: int) -> tuple[int, bytes] | None:
        row: tuple[int, bytes] | None = self._writer.execute(
            "SELECT stamp_ns, digest FROM frame WHERE set_id = ? AND epoch = ? AND seq = ?",
            (set_id, epoch, seq),
        ).fetchone()
        return row

    def _begin(self, batch: SetBatch) -> tuple[int, str]:
        """A new set; or why there may be none."""
        db = self._writer
        (known,) = db.execute(
            "SELECT count(*) FROM frame_set WHERE device = ?", (batch.device,)
        ).fetchone()
        if known >= SETS_MAX:
            oldest = db.execute(
                "SELECT id FROM frame_set WHERE device = ? AND closed_s IS NOT NULL AND id NOT IN"
                " (SELECT set_id FROM frame) ORDER BY closed_s LIMIT 1",
                (batch.device,),
            ).fetchone()
            if oldest is None:
                return 0, f"{known} sets of this device are open"
            db.execute("DELETE FROM source WHERE set_id = ?", oldest)
            db.execute("DELETE FROM frame_set WHERE id = ?", oldest)
        cursor = db.execute(
            "INSERT INTO frame_set (device, stream, name, begun_s) VALUES (?, ?, ?, ?)",
            (*batch.name, time.time()),
        )
        return int(cursor.lastrowid or 0), ""

    # -- closed sets -----------------------------------------------------------------------

    def _closed_before(self) -> list[SetName]:
        rows = self._writer.execute(
            "SELECT DISTINCT device, stream, name FROM frame_set JOIN frame"
            " ON frame.set_id = frame_set.id WHERE closed_s IS NOT NULL"
        )
        return [SetName(*row) for row in rows.fetchall()]

    def _mark_closed(self, name: SetName) -> bool:
        with transaction(self._writer):
            self._writer.execute(
                "UPDATE frame_set SET closed_s = ? WHERE device = ? AND stream = ? AND name = ?"
                " AND closed_s IS NULL",
                (time.time(), *name),
            )
        return True

    def _forget(self, name: SetName) -> bool:
        """Let go of some frames of a closed set; whether there were any."""
        with transaction(self._writer):
            gone = self._writer.execute(
                "DELETE FROM frame WHERE id IN (SELECT frame.id FROM frame JOIN frame_set"
                " ON frame_set.id = frame.set_id WHERE device = ? AND stream = ? AND name = ?"
                " ORDER BY frame.id LIMIT ?) RETURNING size",
                (*name, DELETED_AT_ONCE),
            ).fetchall()
        size = sum(row[0] + FRAME_BYTES for row in gone)
        self._bytes[name.device] = max(0, self.bytes_of(name.device) - size)
        if not gone:
            self._writer.execute("PRAGMA incremental_vacuum(4096)").fetchall()
        return bool(gone)

    def _tried(self, action: Callable[[SetName], bool], name: SetName) -> bool:
        try:
            return action(name)
        except sqlite3.Error as error:
            logger.warning("%s: set %s: %s", self._path, "/".join(name), error)
            return False
