"""The file of the spool: recognised, migrated, checked, and replaced where it is damaged.

What SQLite says of an error does not tell damage from trouble with the disk: a page that was read
short looks malformed, and a flipped bit in a column's name looks like a mistake of ours. So at
any doubt the file itself is looked at, and only what is found damaged there is moved aside.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import time
from pathlib import Path

from ..errors import SpoolError
from ..private_files import make_private_folder, open_private
from ..sqlite_files import confirmed, transaction

log = logging.getLogger(__name__)

APPLICATION_ID = 0x4D535452  # "MSTR"
SCHEMA_VERSION = 2
"""In `user_version`; 0 in files from before frames had ids, which are migrated when opened."""
_INDEXES = """
CREATE INDEX by_sending ON record (sending, stamp_ns);
CREATE INDEX by_rank ON record (rank, stamp_ns, bytes);
CREATE INDEX by_age ON record (put_s);
"""
SCHEMA = f"""
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
CREATE TABLE state (stored INTEGER NOT NULL);
{_INDEXES}
"""
SCHEMA_0 = f"""
CREATE TABLE record (
    stream TEXT NOT NULL,
    stamp_ns INTEGER NOT NULL,
    sending INTEGER NOT NULL,
    rank INTEGER NOT NULL,
    put_s REAL NOT NULL,
    bytes INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    data BLOB NOT NULL,
    UNIQUE (stream, stamp_ns)
);
{_INDEXES}
"""
# SQLite cannot change the columns that a table's UNIQUE names, so the records are copied; they
# have the empty id, with which they were sent and will be sent again.
_BEFORE_SCHEMA = """
DROP INDEX by_sending;
DROP INDEX by_rank;
DROP INDEX by_age;
ALTER TABLE record RENAME TO record_0;
"""
_AFTER_SCHEMA = """
INSERT INTO record (stream, stamp_ns, sending, rank, put_s, bytes, checksum, data)
    SELECT stream, stamp_ns, sending, rank, put_s, bytes, checksum, data FROM record_0;
DROP TABLE record_0;
"""
_TROUBLE = ("disk i/o error", "disk is full", "locked", "busy", "unable to open", "out of memory")
"""Errors that are of the disk or of another process, and say nothing of the file."""


ASIDE_MAX = 2
"""Damaged files that are kept for whoever wants to look at them."""


LOG_PAGES = 128
"""The log is folded into the file when it has so many pages: on a full disk that takes as much room
again, which the reserve has to hold beside what deleting writes."""


class Damaged(Exception):  # noqa: N818 - what the file is
    """The file is damaged, in the way that the text says."""


def connect(path: Path) -> sqlite3.Connection:
    """Open the file, made with mode 0600 where there is none. Raises SpoolError."""
    try:
        make_private_folder(path.parent)
        for name in (path, *(Path(f"{path}{end}") for end in ("-wal", "-shm", ".reserve"))):
            if name == path or name.exists():  # an older version let others read them
                os.close(open_private(name))
    except OSError as error:
        where = "" if str(error.filename) == str(path) else f"{error.filename}: "
        raise SpoolError(f"{path}: {where}{error.strerror}") from None
    # No statement needs the lock for long, as no other process may have it at all.
    return sqlite3.connect(path, timeout=0.5, isolation_level=None, check_same_thread=False)


def prepare(db: sqlite3.Connection, path: Path) -> None:
    """Recognise the file as a spool of this or an older version, and bring it up to this one.

    Raises Damaged where it is ours and not whole, SpoolError where it is of something else.
    """
    db.execute("PRAGMA locking_mode = EXCLUSIVE")
    # Looked at before anything is changed: it may be somebody else's.
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    schema = schema_of(db)
    if not schema and application in (0, APPLICATION_ID):
        steps = SCHEMA
    elif schema == _statements(SCHEMA):
        steps = ""
    elif schema == _statements(SCHEMA_0):
        steps = _BEFORE_SCHEMA + SCHEMA + _AFTER_SCHEMA
    elif application != APPLICATION_ID:
        raise SpoolError(f"{path}: a database of something else, not a spool")
    elif version not in (0, SCHEMA_VERSION):
        raise SpoolError(
            f"{path}: expected a spool of version {SCHEMA_VERSION} or 0, got {version}"
        )
    else:
        raise Damaged("its schema is not ours")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA journal_size_limit = 16777216")
    db.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
    # A flip in one of these alone is mended: the schema has told whose file it is.
    if steps or application != APPLICATION_ID or version != SCHEMA_VERSION:
        with transaction(db) as cursor:
            for statement in steps.split(";"):
                cursor.execute(statement)
            cursor.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            cursor.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    with transaction(db) as cursor:
        if cursor.execute("SELECT count(*) FROM state").fetchone() != (1,):
            cursor.execute("DELETE FROM state")
            cursor.execute("INSERT INTO state SELECT count(*) FROM record")


def schema_of(db: sqlite3.Connection) -> frozenset[str]:
    """The statements that made what is in the file, without differences of white space."""
    rows = db.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return frozenset(" ".join(str(sql).split()) for (sql,) in rows)


def _statements(text: str) -> frozenset[str]:
    return frozenset(" ".join(s.split()) for s in text.split(";") if s.strip())


def may_be_damage(error: BaseException) -> bool:
    """Whether an error gives a reason to look at the file."""
    if isinstance(error, Damaged):
        return True
    said = str(error).lower()
    return isinstance(error, sqlite3.Error) and not any(word in said for word in _TROUBLE)


def fault_of(path: Path) -> str:
    """What is wrong with the file; empty where it is whole. Raises sqlite3.Error or OSError.

    Everything is read, indexes included: seconds for hundreds of megabytes. What SQLite calls
    damage may be a page that the disk did not give; so a fault counts only if the whole file can
    be read, and still has it then.
    """
    return confirmed(path, _look)


def _look(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(100)
    if head and not _header_is_ours(head):
        return "its header is damaged"
    try:
        with contextlib.closing(connect(path)) as db:
            prepare(db, path)
            (said,) = db.execute("PRAGMA integrity_check(1)").fetchone()
            return "" if said == "ok" else " ".join(str(said).split())
    except Damaged as damage:
        return str(damage)
    except sqlite3.Error as error:
        if may_be_damage(error):
            return str(error)
        raise


def _header_is_ours(head: bytes) -> bool:
    """Whether the fields that are the same in every spool are so (file format, section 1.3)."""
    return (
        len(head) == 100
        and head[:16] == b"SQLite format 3\0"
        and head[18] in (1, 2)
        and head[19] in (1, 2)
        and head[21:24] == bytes((64, 32, 32))
    )


def move_aside(path: Path, bytes_max: int) -> Path:
    """Put the file out of the way as NAME.damaged-TIMESTAMP; returns where it is now.

    Of older ones, the last ones are kept, as long as all together are no larger than a spool.
    """
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    aside = path.with_name(f"{path.name}.damaged-{stamp}")
    count = 0
    while aside.exists():
        count += 1
        aside = path.with_name(f"{path.name}.damaged-{stamp}-{count}")
    path.replace(aside)
    for suffix in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            Path(f"{path}{suffix}").replace(f"{aside}{suffix}")
    _forget_older(path, bytes_max)
    return aside


def _forget_older(path: Path, bytes_max: int) -> None:
    names = path.parent.glob(f"{path.name}.damaged-*")
    files = [file for file in names if not file.name.endswith(("-wal", "-shm"))]
    files.sort(key=lambda file: (file.stat().st_mtime_ns, file.name), reverse=True)
    total = 0
    for place, file in enumerate(files):
        total += file.stat().st_size
        if place and (place >= ASIDE_MAX or total > bytes_max):
            for suffix in ("", "-wal", "-shm"):
                with contextlib.suppress(OSError):
                    Path(f"{file}{suffix}").unlink()
