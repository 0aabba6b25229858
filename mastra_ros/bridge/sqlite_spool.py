"""The spool on disk: one SQLite file in WAL mode, synchronous=FULL, a checksum per record.

What `put` has returned for survives SIGKILL and power loss. A damaged record is dropped and
counted. A damaged file is moved aside as NAME.damaged-TIMESTAMP, and a fresh one begun with every
record of it that is good; what is missing is counted and told.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import logging
import sqlite3
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from ..errors import ProtocolError, SpoolError
from ..protocol import FrameMessage, decode
from ..sqlite_files import transaction
from ..types import FrameKey, Packet
from . import spool_file
from .salvage import salvage
from .spool import PLAUSIBLE_S, SpoolStats, rank_of, record_of, sending_class
from .spool_clock import SpoolClock
from .spool_mark import Held, Mark
from .spool_reserve import Reserve
from .spool_rows import OF_KEY, checksum, evict, held, insert, packet_of, take_over

log = logging.getLogger(__name__)
T = TypeVar("T")

TAKEN_OVER_AT_ONCE = 64
DELETED_AT_ONCE = 64
"""Records deleted in one commit: what that writes must fit into the reserve."""


class SqliteSpool:
    """A `Spool` in the file `path`, which no other process may have open.

    bytes_max: of the records together; the file is a little larger. age_max_s: by `clock`, once it
    is steady. Raises SpoolError when the file cannot be used.
    """

    def __init__(
        self,
        path: Path,
        bytes_max: int = 2**29,
        age_max_s: float = 604_800.0,
        clock: SpoolClock | None = None,
    ) -> None:
        self._path = path
        self._bytes_max = bytes_max
        self._age_max_s = age_max_s
        self._clock = clock or SpoolClock()
        self._mark: Mark | None = None
        self._reserve = Reserve(path)
        self._stored_ever = 0
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
        several = [
            list(keys)[at : at + DELETED_AT_ONCE] for at in range(0, len(keys), DELETED_AT_ONCE)
        ]
        return sum(
            self._forgetting(partial(self._guarded, partial(self._delete, some)))
            for some in several
        )

    def drop(self, key: FrameKey, reason: str) -> None:
        """See Spool."""
        self._forgetting(lambda: self._guarded(lambda: self._delete([key], reason)))

    def stats(self) -> SpoolStats:
        """See Spool."""
        total = sum(self._bytes_by_rank)
        return SpoolStats(self._records, total, self._stored, dict(self._dropped), self._error)

    def close(self) -> None:
        """See Spool."""
        self._closed = True
        self._shut()
        if self._mark is not None:
            self._mark.close()
            self._mark = None

    # -- the file --------------------------------------------------------------------------

    def _ensure_open(self) -> sqlite3.Connection:
        if self._closed:
            raise SpoolError(f"{self._path}: closed")
        if self._db is None:
            fresh = not self._path.exists() or not self._path.stat().st_size
            db = spool_file.connect(self._path)
            try:
                spool_file.prepare(db, self._path)
                self._count(db)
                self._look_at_mark(db, fresh)
            except BaseException:
                db.close()
                raise
            self._db = db
            self._reserve.keep()
        return self._db

    def _count(self, db: sqlite3.Connection) -> None:
        records, totals = 0, [0, 0, 0]
        for rank, count, total in db.execute(
            "SELECT rank, count(*), sum(bytes) FROM record NOT INDEXED GROUP BY rank"
        ):
            if rank not in (0, 1, 2) or type(total) is not int:
                raise spool_file.Damaged("records of an unknown kind")
            records += count
            totals[rank] = total
        self._records, self._bytes_by_rank = records, totals

    def _look_at_mark(self, db: sqlite3.Connection, fresh: bool) -> None:
        """Say what was kept and is not here any more: SQLite drops the end of a damaged log."""
        (self._stored_ever,) = db.execute("SELECT stored FROM state").fetchone()
        before = self._marked().read()
        if before is not None and not fresh and before.stored > self._stored_ever:
            self._lose(
                before.stored - self._stored_ever, "the end of its log is damaged or missing"
            )
        self._write_mark()

    def _marked(self) -> Mark:
        if self._mark is None:
            self._mark = Mark(self._path)
        return self._mark

    def _write_mark(self) -> None:
        self._marked().write(Held(self._stored_ever, self._records))

    def _lose(self, count: int, why: str) -> None:
        self._dropped["damaged"] += count
        self._error = f"{self._path}: {count} records that were kept are missing: {why}"
        log.error("spool %s", self._error)

    def _begin_anew(self, fault: str) -> None:
        """Move the damaged file aside and take over what is good of it."""
        self._shut()
        before = self._marked().read()
        expected = max(self._records, before.records if before else 0)
        aside = spool_file.move_aside(self._path, self._bytes_max)
        self._records, self._bytes_by_rank = 0, [0, 0, 0]
        self._marked().write(Held(0, 0))
        db = self._ensure_open()
        try:
            good = salvage(aside, lambda found: packet_of(found) is not None)
            while some := list(itertools.islice(good, TAKEN_OVER_AT_ONCE)):
                with transaction(db) as cursor:
                    for record in some:
                        take_over(cursor, record)
        except (sqlite3.Error, OSError) as error:  # no room for both, perhaps
            fault = f"{fault}; taking over its records ended with: {error}"
        self._count(db)
        with transaction(db) as cursor:
            cursor.execute("UPDATE state SET stored = ?", (self._records,))
        self._stored_ever = self._records
        self._write_mark()
        lost = max(0, expected - self._records)
        self._dropped["damaged"] += lost
        self._error = (
            f"{self._path}: damaged ({fault}); moved to {aside.name}, a fresh one begun with "
            f"{self._records} good records, {lost} are lost"
        )
        log.error("spool %s", self._error)

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
            except (sqlite3.Error, spool_file.Damaged) as error:
                if not spool_file.may_be_damage(error):
                    raise
                # The file is looked at afresh: a page that was read badly once is no damage.
                self._shut()
                fault = spool_file.fault_of(self._path)
                if fault:
                    self._begin_anew(fault)
                return action()
        except (sqlite3.Error, OSError, spool_file.Damaged) as error:
            self._error = f"{self._path}: {error}"
            raise SpoolError(self._error) from error

    def _forgetting(self, action: Callable[[], T]) -> T:
        """Delete something, also on a disk that is full to the last byte."""
        try:
            done = action()
        except SpoolError as error:
            if "full" not in str(error):
                raise
            done = self._with_room(action)
        self._reserve.keep()
        return done

    def _with_room(self, action: Callable[[], T]) -> T:
        """Do it once the log is folded into the file, which takes no room; else by the reserve."""
        self._fold_log()
        try:
            return action()
        except SpoolError as error:
            if "full" not in str(error) or not self._reserve.release():
                raise
            log.warning("spool %s: the disk is full; its reserve is used to forget", self._path)
            self._fold_log()  # first: a deletion that fails would fill the room with its own log
            done = action()
            self._fold_log()
            return done

    def _fold_log(self) -> None:
        with contextlib.suppress(sqlite3.Error, SpoolError):
            self._ensure_open().execute("PRAGMA wal_checkpoint(TRUNCATE)")

    # -- records ---------------------------------------------------------------------------

    def _put(self, rows: Sequence[tuple[Packet, bytes]]) -> list[bool]:
        self._forget_old()
        totals, dropped = list(self._bytes_by_rank), Counter[str]()
        added = removed = 0
        kept = []
        with transaction(self._ensure_open()) as cursor:
            for packet, data in rows:
                rank = rank_of(packet)
                before = held(cursor, packet.key)
                if before is not None:
                    row, sending, old_rank, size, put_s = before
                    grown = sum(totals) - size + len(data)
                    if sending_class(packet) < sending and grown <= self._bytes_max:
                        if old_rank > rank:  # it was a hard example, and stays one
                            packet, rank = dataclasses.replace(packet, hard=True), old_rank
                            data = record_of(packet)
                        cursor.execute("DELETE FROM record WHERE rowid = ?", (row,))
                        insert(cursor, packet, data, put_s)
                        totals[old_rank] -= size
                        totals[rank] += len(data)
                    kept.append(True)
                    continue
                missing = sum(totals) + len(data) - self._bytes_max
                if missing > sum(totals[: rank + 1]):
                    dropped["bytes"] += 1
                    kept.append(False)
                    continue
                evicted = evict(cursor, missing, totals)
                dropped["bytes"] += evicted
                removed += evicted
                insert(cursor, packet, data, self._clock.now_s())
                totals[rank] += len(data)
                added += 1
                kept.append(True)
            cursor.execute("UPDATE state SET stored = stored + ?", (added,))
        self._bytes_by_rank = totals
        self._records += added - removed
        self._stored += added
        self._stored_ever += added
        self._write_mark()
        self._dropped += dropped
        return kept

    def _next_batch(self, limit: int, exclude: Collection[FrameKey]) -> list[Packet]:
        self._forget_old()
        with transaction(self._ensure_open()) as cursor:
            cursor.execute(
                "SELECT rowid, stream, stamp_ns, frame_id FROM record"
                " ORDER BY sending, stamp_ns LIMIT ?",
                (limit + len(exclude),),
            )
            rows = [(row, FrameKey(*key)) for row, *key in cursor]
        if len({row for row, _ in rows}) < len(rows) or len(rows) < min(
            self._records, limit + len(exclude)
        ):
            raise spool_file.Damaged("an index does not fit its table")
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
        with transaction(self._ensure_open()) as cursor:
            cursor.execute("SELECT checksum, data FROM record WHERE rowid = ?", (row,))
            found = cursor.fetchone()
        if found is None:
            raise spool_file.Damaged("an index names a record that is not there")
        said, data = found
        if type(data) is bytes and said == checksum(key, data):
            with contextlib.suppress(ProtocolError):  # of another version, perhaps
                message = decode(data, bytes_max=len(data))
                if isinstance(message, FrameMessage):
                    return message.to_packet()
        self._error = f"{self._path}: record {key.stamp_ns} ns was damaged and is dropped"
        log.error("spool %s", self._error)
        if not self._delete_where([("rowid = ?", (row,))], "damaged"):
            raise spool_file.Damaged("a record cannot be deleted")
        return None

    def _delete(self, keys: Collection[FrameKey], reason: str = "") -> int:
        """Delete records in one commit; with a reason they count as dropped."""
        return self._delete_where([(OF_KEY, key) for key in keys], reason)

    def _delete_where(
        self, conditions: Sequence[tuple[str, tuple[object, ...]]], reason: str
    ) -> int:
        totals, count = list(self._bytes_by_rank), 0
        with transaction(self._ensure_open()) as cursor:
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
        self._write_mark()
        if reason and count:
            self._dropped[reason] += count
        return count

    def _forget_old(self) -> None:
        jump_s = self._clock.jump_s()
        if jump_s:
            log.warning("spool %s: the clock was set by %.0f s", self._path, jump_s)
            with transaction(self._ensure_open()) as cursor:
                cursor.execute("UPDATE record SET put_s = put_s + ?", (jump_s,))
        if not self._clock.steady:
            return
        oldest_s = self._clock.now_s() - self._age_max_s
        with transaction(self._ensure_open()) as cursor:
            cursor.execute(
                "SELECT stream, stamp_ns, frame_id FROM record WHERE put_s >= ? AND put_s < ?",
                (PLAUSIBLE_S, oldest_s),
            )
            keys = [FrameKey(*row) for row in cursor]
        if keys:
            self._delete(keys, "age")
