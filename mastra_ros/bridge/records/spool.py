"""The records that wait on this device: one SQLite file of their own, synchronous=FULL.

What `put` has returned for survives SIGKILL and power loss, and is never given up to make room: a
full file is told to whoever brings the next record. Packets have another file, so that no number of
them takes the room of records. A record is known by epoch, kind and number; the epoch is random,
and made with the file.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from ...errors import SpoolError
from ...sqlite_files import transaction
from . import spool_file
from .sending import Settlement, Stored
from .spool_file import checksum

log = logging.getLogger(__name__)
T = TypeVar("T")

ROW_BYTES = 64
"""What a record takes beside its body, about."""
SEEN_MAX = 1024
"""So many ids of records are remembered, to tell one that comes again."""


class Keepable(Protocol):
    """What is kept: a record, or a frame of a set."""

    @property
    def kind(self) -> str:
        """What it is counted with."""

    @property
    def stamp_ns(self) -> int:
        """When it was so."""

    @property
    def id(self) -> str:
        """Told twice under it, it is kept once; empty: it has none."""

    def packed(self) -> bytes:
        """What is kept of it."""


class Room(Protocol):
    """Room on the disk that is kept for the day when there is none."""

    def keep(self) -> None:
        """Take the room if it is not taken and there is any."""

    def release(self) -> bool:
        """Give the room back; whether there was any."""


@dataclass(frozen=True)
class RecordStats:
    """What waits, and what became of the rest since the file was opened."""

    waiting: int = 0
    bytes: int = 0
    committed_total: int = 0
    refused_by_gateway: int = 0
    error: str = ""


class RecordSpool:
    """The records of one stream in the file `path`, which no other process may have open.

    bytes_max: of all of them together. One thread at a time; SpoolError when the file cannot be
    used.
    """

    def __init__(
        self,
        path: Path,
        stream: str,
        bytes_max: int = 2**26,
        room: Room | None = None,
        what: str = "records",
    ) -> None:
        self._what = what
        self._path = path
        self._stream = stream
        self._bytes_max = bytes_max
        self._room = room
        self._db: sqlite3.Connection | None = None
        self._closed = False
        self._epoch = ""
        self._waiting = self._bytes = 0
        self._committed = self._refused = 0
        self._error = ""
        self._guarded(self._open)

    def put(self, records: Sequence[Keepable]) -> list[str]:
        """Keep records, in one commit; for each why it is not kept, empty where it is."""
        bodies = [record.packed() for record in records]
        answers = self._guarded(lambda: self._with_room(lambda: self._put(records, bodies)))
        if self._room is not None:
            self._room.keep()
        return answers

    def next_batch(self, after_number: int, records_max: int, bytes_max: int) -> list[Stored]:
        """What comes after a place, in order, of one epoch; at least one record if there is any."""
        return self._guarded(lambda: self._next_batch(after_number, records_max, bytes_max))

    def settle(self, done: Settlement) -> None:
        """Take in what the gateway has answered, in one commit."""
        self._guarded(lambda: self._with_room(lambda: self._settle(done)))

    def stats(self) -> RecordStats:
        """Counts; cheap."""
        return RecordStats(self._waiting, self._bytes, self._committed, self._refused, self._error)

    def close(self) -> None:
        """Let go of the file. Closing twice does nothing."""
        self._closed = True
        self._shut()

    # -- the file --------------------------------------------------------------------------

    def _open(self) -> sqlite3.Connection:
        if self._closed:
            raise SpoolError(f"{self._path}: closed")
        if self._db is None:
            db = spool_file.connect(self._path)
            try:
                spool_file.prepare(db, self._path)
                self._count(db)
            except BaseException:
                db.close()
                raise
            self._db = db
            if self._room is not None and self._waiting:
                self._room.keep()
        return self._db

    def _count(self, db: sqlite3.Connection) -> None:
        (self._epoch,) = db.execute("SELECT epoch FROM state").fetchone()
        self._waiting, size = db.execute(
            "SELECT count(*), coalesce(sum(length(body)), 0) FROM record"
        ).fetchone()
        self._bytes = size + ROW_BYTES * self._waiting

    def _shut(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            with contextlib.suppress(sqlite3.Error):
                db.close()

    def _guarded(self, action: Callable[[], T]) -> T:
        """Do it, on a fresh file where this one is damaged; SpoolError for all other trouble."""
        try:
            try:
                return action()
            except sqlite3.DatabaseError as error:
                if not spool_file.is_damage(error):
                    raise
                self._shut()
                if not spool_file.fault_of(self._path):
                    raise
                self._begin_anew(error)
                return action()
        except (sqlite3.Error, OSError) as error:
            self._error = f"{self._path}: {error}"
            raise SpoolError(self._error) from error

    def _begin_anew(self, fault: BaseException) -> None:
        before = self._waiting
        aside = spool_file.move_aside(self._path)
        db = self._open()
        taken = 0
        with transaction(db) as cursor:
            for row in spool_file.good_rows(aside):
                cursor.execute(
                    "INSERT OR IGNORE INTO record (stream, epoch, kind, seq, stamp_ns, checksum,"
                    " body) VALUES (?, ?, ?, ?, ?, ?, ?)",
                    row,
                )
                taken += 1
        self._count(db)
        lost = f", {before - taken} are lost" if before > taken else ""
        self._error = (
            f"{self._path}: damaged ({fault}); moved to {aside.name}, a fresh one begun with "
            f"{taken} good records{lost}"
        )
        log.error("records %s", self._error)

    def _with_room(self, action: Callable[[], T]) -> T:
        """Do it; on a disk that is full, in the room that was kept for that."""
        try:
            return action()
        except sqlite3.OperationalError as error:
            if "full" not in str(error) or self._room is None or not self._room.release():
                raise
            log.warning(
                "records %s: the disk is full; the room kept for records is used", self._path
            )
            return action()

    # -- records ---------------------------------------------------------------------------

    def _put(self, records: Sequence[Keepable], bodies: Sequence[bytes]) -> list[str]:
        answers, count, size = [], 0, 0
        with transaction(self._open()) as cursor:
            for record, body in zip(records, bodies, strict=True):
                if (
                    record.id
                    and cursor.execute("SELECT 1 FROM seen WHERE id = ?", (record.id,)).fetchone()
                ):
                    answers.append("")
                    continue
                needed = len(body) + ROW_BYTES
                if self._bytes + size + needed > self._bytes_max:
                    answers.append(
                        f"the spool of {self._what} is full: {self._waiting + count} wait, of "
                        f"{self._bytes + size} bytes, and {self._bytes_max} are allowed"
                    )
                    continue
                cursor.execute(
                    "INSERT INTO head (stream, epoch, kind, seq) VALUES (?, ?, ?, 1) "
                    "ON CONFLICT DO UPDATE SET seq = seq + 1 RETURNING seq",
                    (self._stream, self._epoch, record.kind),
                )
                (seq,) = cursor.fetchone()
                name = (self._stream, self._epoch, record.kind, seq)
                cursor.execute(
                    "INSERT INTO record (stream, epoch, kind, seq, stamp_ns, checksum, body)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (*name, record.stamp_ns, checksum(name, record.stamp_ns, body), body),
                )
                if record.id:
                    cursor.execute("INSERT INTO seen (id) VALUES (?)", (record.id,))
                    cursor.execute(
                        "DELETE FROM seen WHERE number <= (SELECT max(number) FROM seen) - ?",
                        (SEEN_MAX,),
                    )
                answers.append("")
                count += 1
                size += needed
        self._waiting += count
        self._bytes += size
        return answers

    def _next_batch(self, after_number: int, records_max: int, bytes_max: int) -> list[Stored]:
        db = self._open()
        rows = db.execute(
            "SELECT number, epoch, kind, seq, stamp_ns, checksum, body FROM record"
            " WHERE number > ? AND stream = ? ORDER BY number LIMIT ?",
            (after_number, self._stream, records_max),
        ).fetchall()
        batch: list[Stored] = []
        after: dict[str, int] = {}
        size = 0
        for number, epoch, kind, seq, stamp_ns, said, body in rows:
            if said != checksum((self._stream, epoch, kind, seq), stamp_ns, body):
                self._error = f"{self._path}: record {kind} {seq} was damaged and is dropped"
                log.error("records %s", self._error)
                self._settle(Settlement(epoch, dropped=((kind, seq),)))
                continue
            size += len(body) + ROW_BYTES
            if batch and (epoch != batch[0].epoch or size > bytes_max):
                break
            if kind not in after:
                after[kind] = self._before(db, epoch, kind, seq)
            batch.append(Stored(number, epoch, kind, seq, after[kind], stamp_ns, body))
            after[kind] = seq
        return batch

    def _before(self, db: sqlite3.Connection, epoch: str, kind: str, seq: int) -> int:
        """The number of the record before: one that waits here, or the last one committed."""
        name = (self._stream, epoch, kind)
        (held,) = db.execute(
            "SELECT max(seq) FROM record WHERE stream = ? AND epoch = ? AND kind = ? AND seq < ?",
            (*name, seq),
        ).fetchone()
        if held is not None:
            return int(held)
        row = db.execute(
            "SELECT committed FROM head WHERE stream = ? AND epoch = ? AND kind = ?", name
        ).fetchone()
        return min(int(row[0]), seq - 1) if row else 0

    def _settle(self, done: Settlement) -> None:
        where = "stream = ? AND epoch = ? AND kind = ?"
        committed = refused = size = 0
        with transaction(self._open()) as cursor:
            for kind, seq in done.committed:
                name = (self._stream, done.epoch, kind)
                count, some = _delete(cursor, f"{where} AND seq <= ?", (*name, seq))
                committed += count
                size += some
                cursor.execute(
                    f"UPDATE head SET committed = max(committed, ?) WHERE {where}",  # noqa: S608
                    (seq, *name),
                )
            for kind, seq in done.dropped:
                name = (self._stream, done.epoch, kind)
                count, some = _delete(cursor, f"{where} AND seq = ?", (*name, seq))
                refused += count
                size += some
            for kind, last in done.rebased:
                cursor.execute(
                    f"UPDATE head SET committed = min(committed, ?) WHERE {where}",  # noqa: S608
                    (last, self._stream, done.epoch, kind),
                )
            epoch = self._epoch
            if done.renumber and done.epoch == epoch:
                epoch = _renumber(cursor, self._stream, epoch, done.renumber)
        self._epoch = epoch
        self._waiting -= committed + refused
        self._bytes -= size + ROW_BYTES * (committed + refused)
        self._committed += committed
        self._refused += refused


def _delete(cursor: sqlite3.Cursor, where: str, values: tuple[object, ...]) -> tuple[int, int]:
    """How many records went, and the bytes of their bodies."""
    cursor.execute(f"DELETE FROM record WHERE {where} RETURNING length(body)", values)  # noqa: S608
    sizes = [size for (size,) in cursor.fetchall()]
    return len(sizes), sum(sizes)


def _renumber(cursor: sqlite3.Cursor, stream: str, before: str, kinds: Sequence[str]) -> str:
    """Begin a new epoch, with what waits of these kinds; returns it."""
    epoch = secrets.token_hex(16)
    cursor.execute(
        "SELECT number, kind, stamp_ns, body FROM record WHERE stream = ? AND epoch = ?",
        (stream, before),
    )
    last: dict[str, int] = {}
    for number, kind, stamp_ns, body in sorted(cursor.fetchall()):
        if kind not in kinds:
            continue
        seq = last[kind] = last.get(kind, 0) + 1
        cursor.execute(
            "UPDATE record SET epoch = ?, seq = ?, checksum = ? WHERE number = ?",
            (epoch, seq, checksum((stream, epoch, kind, seq), stamp_ns, body), number),
        )
    cursor.executemany(
        "INSERT INTO head (stream, epoch, kind, seq) VALUES (?, ?, ?, ?)",
        [(stream, epoch, kind, seq) for kind, seq in last.items()],
    )
    cursor.execute("UPDATE state SET epoch = ?", (epoch,))
    return epoch
