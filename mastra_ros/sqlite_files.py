"""What every SQLite file of ours needs: transactions, and whether damage is damage."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

READ_BYTES = 2**20


@contextlib.contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[sqlite3.Cursor]:
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


def confirmed(path: Path, look: Callable[[Path], str]) -> str:
    """What `look` finds wrong with a database, if it does so again when all of it can be read.

    Raises OSError where the disk does not give all of it.
    """
    fault = look(path)
    if fault:
        for file in (path, Path(f"{path}-wal")):
            _read_whole(file)
        fault = look(path)
    return fault


def _read_whole(path: Path) -> None:
    """Raises OSError where the disk does not give all of a file, if there is one."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        place = 0
        while piece := os.pread(descriptor, READ_BYTES, place):
            place += len(piece)
    finally:
        os.close(descriptor)
