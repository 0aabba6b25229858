"""The database of sets: its tables, and what is read from them."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from ...errors import StoreError
from ...private_files import make_private_folder, open_private
from ...protocol.records import RecordItem
from ...sqlite_files import transaction

FILE_NAME = "sets.sqlite3"
SCHEMA_VERSION = 1
_SCHEMA = (
    """
CREATE TABLE frame_set (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    device TEXT NOT NULL,
    stream TEXT NOT NULL,
    name TEXT NOT NULL,
    begun_s REAL NOT NULL,
    closed_s REAL,
    ended INTEGER NOT NULL DEFAULT 0,
    UNIQUE (device, stream, name)
)""",
    """
CREATE TABLE source (
    set_id INTEGER NOT NULL,
    epoch TEXT NOT NULL,
    last INTEGER NOT NULL,
    PRIMARY KEY (set_id, epoch)
) WITHOUT ROWID""",
    """
CREATE TABLE frame (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    set_id INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    epoch TEXT NOT NULL,
    seq INTEGER NOT NULL,
    stamp_ns INTEGER NOT NULL,
    committed_s REAL NOT NULL,
    size INTEGER NOT NULL,
    digest BLOB NOT NULL,
    data BLOB NOT NULL,
    UNIQUE (set_id, sequence)
)""",
    "CREATE INDEX frame_source ON frame (set_id, epoch, seq)",
)


class SetName(NamedTuple):
    """Names one set of all devices."""

    device: str
    stream: str
    name: str


@dataclass(frozen=True)
class SetBatch:
    """A frame as it came. item: its number, and as body the digest of its bytes."""

    device: str
    stream: str
    epoch: str
    item: RecordItem
    sequence: int
    data: bytes  # the message that a frame is; empty: the end of the set

    @property
    def name(self) -> SetName:
        """Of its set."""
        return SetName(self.device, self.stream, self.item.kind)


@dataclass(frozen=True)
class KeptFrame:
    """A committed frame; `id` is its place in the order of commits of all sets."""

    id: int
    name: SetName
    sequence: int
    stamp_ns: int
    committed_s: float  # since 1970
    data: bytes  # the message that a frame is, as it was sent; empty: the end of the set


@dataclass(frozen=True)
class SetQuery:
    """Which sets are wanted; empty and None: all. from_ns, to_ns: with a frame stamped within."""

    device: str = ""
    stream: str = ""
    name: str = ""
    from_ns: int | None = None
    to_ns: int | None = None  # excluded
    closed: bool | None = None


@dataclass(frozen=True)
class KeptSet:
    """How a set is; `id` grows in the order in which sets were begun."""

    id: int
    name: SetName
    frames: int  # that are kept
    bytes: int
    first_stamp_ns: int | None  # of those
    last_stamp_ns: int | None
    begun_s: float  # since 1970
    ended: bool  # its device has said so
    closed_s: float | None  # when an application has closed it

    @property
    def closed(self) -> bool:
        """Whether an application needs it no more."""
        return self.closed_s is not None


_SETS = """
SELECT frame_set.id, device, stream, name, coalesce(sum(size > 0), 0), coalesce(sum(size), 0),
    min(CASE WHEN size > 0 THEN stamp_ns END), max(CASE WHEN size > 0 THEN stamp_ns END),
    begun_s, ended, closed_s
FROM frame_set LEFT JOIN frame ON frame.set_id = frame_set.id
WHERE frame_set.id > :after AND :device IN ('', device) AND :stream IN ('', stream)
    AND :name IN ('', name) AND coalesce(:closed, closed_s IS NOT NULL) = (closed_s IS NOT NULL)
    AND (coalesce(:from_ns, :to_ns) IS NULL OR EXISTS (
        SELECT 1 FROM frame AS one WHERE one.set_id = frame_set.id AND one.size > 0
        AND one.stamp_ns >= coalesce(:from_ns, one.stamp_ns)
        AND (:to_ns IS NULL OR one.stamp_ns < :to_ns)))
GROUP BY frame_set.id ORDER BY frame_set.id LIMIT :most"""


def list_sets(path: Path, query: SetQuery, after: int, most: int) -> list[KeptSet]:
    """Sets from behind a place on. Raises StoreError.

    By a connection of its own: a long list makes nobody wait who commits or is shown frames.
    """
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as db:
            rows = db.execute(_SETS, {**asdict(query), "after": after, "most": most}).fetchall()
    except sqlite3.Error as error:
        raise StoreError(f"{path}: {error}") from error
    return [
        KeptSet(row[0], SetName(*row[1:4]), *(*row[4:9], bool(row[9]), row[10])) for row in rows
    ]


def open_sets(folder: Path) -> tuple[sqlite3.Connection, sqlite3.Connection]:
    """To write, and to read. Raises StoreError."""
    path = folder / FILE_NAME
    try:
        make_private_folder(folder)
        os.close(open_private(path))
        db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        try:
            db.execute("PRAGMA auto_vacuum = INCREMENTAL")
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA journal_size_limit = 67108864")
            with transaction(db):
                _prepare(db, path)
            return db, sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        except BaseException:
            db.close()
            raise
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"{path}: cannot be used: {error}") from error


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version not in (0, SCHEMA_VERSION):
        raise StoreError(f"{path}: expected schema {SCHEMA_VERSION}, got {version}")
    if version == 0:
        for statement in _SCHEMA:
            db.execute(statement)
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
