"""The file of the records: recognised, made, looked at, and replaced where it is damaged."""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

from ...errors import SpoolError
from ...private_files import make_private_folder, open_private
from ...sqlite_files import confirmed, transaction

APPLICATION_ID = 0x4D535252  # "MSRR"
SCHEMA_VERSION = 1
SCHEMA = """
CREATE TABLE record (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    stream TEXT NOT NULL,
    epoch TEXT NOT NULL,
    kind TEXT NOT NULL,
    seq INTEGER NOT NULL,
    stamp_ns INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    body BLOB NOT NULL,
    UNIQUE (stream, epoch, kind, seq)
);
CREATE TABLE head (
    stream TEXT NOT NULL,
    epoch TEXT NOT NULL,
    kind TEXT NOT NULL,
    seq INTEGER NOT NULL,
    committed INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (stream, epoch, kind)
) WITHOUT ROWID;
CREATE TABLE seen (number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE);
CREATE TABLE state (epoch TEXT NOT NULL)
"""
DAMAGED_KEPT = 2
"""Damaged files that are kept for whoever wants to look at them."""
_DAMAGE = ("malformed", "not a database", "corrupt", "no such table", "no such column")

Row = tuple[str, str, str, int, int, int, bytes]
"""stream, epoch, kind, seq, stamp_ns, checksum, body."""


def connect(path: Path) -> sqlite3.Connection:
    """Open the file, made with mode 0600 where there is none. Raises SpoolError."""
    try:
        make_private_folder(path.parent)
        for name in (path, *(Path(f"{path}{end}") for end in ("-wal", "-shm"))):
            if name == path or name.exists():
                os.close(open_private(name))
    except OSError as error:
        where = "" if str(error.filename) == str(path) else f"{error.filename}: "
        raise SpoolError(f"{path}: {where}{error.strerror}") from None
    return sqlite3.connect(path, timeout=0.5, isolation_level=None, check_same_thread=False)


def prepare(db: sqlite3.Connection, path: Path) -> None:
    """Recognise the file as ours, or make it so if it is empty; SpoolError if it is another's."""
    db.execute("PRAGMA locking_mode = EXCLUSIVE")
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != APPLICATION_ID and (application or tables):
        raise SpoolError(f"{path}: a database of something else, not a spool of records")
    if application == APPLICATION_ID and version != SCHEMA_VERSION:
        raise SpoolError(
            f"{path}: expected a spool of records of version {SCHEMA_VERSION}, got {version}"
        )
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA journal_size_limit = 4194304")
    if not tables:
        with transaction(db) as cursor:
            for statement in SCHEMA.split(";"):
                cursor.execute(statement)
            cursor.execute("INSERT INTO state VALUES (?)", (secrets.token_hex(16),))
            cursor.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            cursor.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    if db.execute("SELECT count(*) FROM state").fetchone() != (1,):
        raise sqlite3.DatabaseError("malformed: it names no epoch")


def checksum(name: tuple[str, str, str, int], stamp_ns: int, body: bytes) -> int:
    """Of a record and what it is called."""
    text = "/".join(str(part) for part in (*name, stamp_ns))
    return zlib.crc32(body, zlib.crc32(text.encode()))


def is_damage(error: BaseException) -> bool:
    """Whether an error gives a reason to look at the file."""
    return any(word in str(error).lower() for word in _DAMAGE)


def fault_of(path: Path) -> str:
    """What is wrong with the file; empty where it is whole. Raises sqlite3.Error or OSError.

    A page that the disk did not give is no damage: see `confirmed`.
    """
    return confirmed(path, _look)


def _look(path: Path) -> str:
    try:
        with contextlib.closing(connect(path)) as db:
            prepare(db, path)
            (said,) = db.execute("PRAGMA integrity_check(1)").fetchone()
            return "" if said == "ok" else " ".join(str(said).split())
    except sqlite3.Error as error:
        if is_damage(error):
            return str(error)
        raise


def move_aside(path: Path) -> Path:
    """Put the file out of the way as NAME.damaged-TIMESTAMP; returns where it is now."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    aside = path.with_name(f"{path.name}.damaged-{stamp}-{secrets.token_hex(2)}")
    path.replace(aside)
    for suffix in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            Path(f"{path}{suffix}").replace(f"{aside}{suffix}")
    older = [file for file in path.parent.glob(f"{path.name}.damaged-*") if not _beside(file)]
    older.sort(key=lambda file: file.stat().st_mtime_ns, reverse=True)
    for file in older[DAMAGED_KEPT:]:
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(OSError):
                Path(f"{file}{suffix}").unlink()
    return aside


def _beside(file: Path) -> bool:
    return file.name.endswith(("-wal", "-shm"))


def good_rows(path: Path) -> Iterator[Row]:
    """The records of a damaged file that can still be read, and whose checksum fits, in order."""
    with contextlib.closing(sqlite3.connect(path)) as db, contextlib.suppress(sqlite3.Error):
        (last,) = db.execute("SELECT max(number) FROM record").fetchone()
        (first,) = db.execute("SELECT min(number) FROM record").fetchone()
        for number in range(first or 0, (last or -1) + 1):
            with contextlib.suppress(sqlite3.Error, TypeError, AttributeError):
                row = db.execute(
                    "SELECT stream, epoch, kind, seq, stamp_ns, checksum, body FROM record"
                    " WHERE number = ?",
                    (number,),
                ).fetchone()
                if row is not None and row[5] == checksum(row[:4], row[4], row[6]):
                    yield row
