"""Snapshots of applications, and the artefacts that they gave, on disk: `applications.sqlite3`.

The data of artefacts are files named by their SHA-256 in the folder `artefacts` beside it, written
whole before anything names them.
"""

from __future__ import annotations

import contextlib
import math
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...artefacts import Artefact
from ...errors import StoreError
from ...private_files import make_private_folder, open_private
from ...sqlite_files import transaction

FILE_NAME = "applications.sqlite3"
SCHEMA_VERSION = 1
_SCHEMA = (
    """
CREATE TABLE application (
    name TEXT PRIMARY KEY,
    place INTEGER NOT NULL,
    snapshot BLOB NOT NULL
)""",
    "CREATE TABLE passed_over (name TEXT NOT NULL, place INTEGER NOT NULL, UNIQUE (name, place))",
    """
CREATE TABLE artefact (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    application TEXT NOT NULL,
    device TEXT NOT NULL,
    stream TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    media_type TEXT NOT NULL,
    keep TEXT NOT NULL,
    made_s REAL NOT NULL,
    expires_s REAL NOT NULL,
    size INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    place INTEGER NOT NULL,
    number INTEGER NOT NULL,
    delivered_s REAL,
    UNIQUE (application, device, stream, kind, name, place, number)
)""",
)
_WHOSE = "application = ? AND device = ? AND stream = ? AND kind = ? AND name = ?"


@dataclass(frozen=True)
class KeptArtefact:
    """What is known of an artefact; its data are in a file."""

    id: int
    application: str
    device: str
    stream: str
    kind: str
    name: str
    version: str
    media_type: str
    keep: str
    made_s: float  # since 1970
    expires_s: float  # after that; 0 never
    size: int
    sha256: str

    def expired(self, now_s: float) -> bool:
        """Whether it is of no use any more."""
        return bool(self.expires_s) and now_s >= self.made_s + self.expires_s


_COLUMNS = ", ".join(KeptArtefact.__dataclass_fields__)


class Keeping:
    """The database and the folder of artefacts; methods may be called from any thread.

    bytes_max: of all artefacts together; beyond it the oldest are forgotten. All raise StoreError.
    """

    def __init__(self, folder: Path, bytes_max: int = 2**32) -> None:
        self._on_put: Callable[[str, str], object] | None = None
        self.folder = folder
        self._path = folder / FILE_NAME
        self._artefacts = folder / "artefacts"
        self._bytes_max = bytes_max
        self._lock = threading.Lock()
        try:
            make_private_folder(folder)
            make_private_folder(self._artefacts)
            os.close(open_private(self._path))
            self._db = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None)
            try:
                self._prepare()
            except BaseException:
                self._db.close()
                raise
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"{self._path}: cannot be used: {error}") from error

    def _prepare(self) -> None:
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        with self._changing():
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            if version not in (0, SCHEMA_VERSION):
                raise StoreError(f"{self._path}: expected schema {SCHEMA_VERSION}, got {version}")
            if version == 0:
                for statement in _SCHEMA:
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def listen(self, on_put: Callable[[str, str], object]) -> None:
        """`on_put(device, stream)` hears of each artefact, in the thread that gave it."""
        self._on_put = on_put

    # -- state of applications -------------------------------------------------------------

    def snapshot(self, name: str) -> tuple[int, bytes]:
        """The place of the last record in it, and the snapshot; 0 and empty where there is none."""
        rows = self._ask("SELECT place, snapshot FROM application WHERE name = ?", name)
        return (rows[0][0], rows[0][1]) if rows else (0, b"")

    def save_snapshot(self, name: str, place: int, snapshot: bytes) -> None:
        """Keep a snapshot, in the place of the one before."""
        with self._changing():
            self._db.execute(
                "INSERT INTO application VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET "
                "place = excluded.place, snapshot = excluded.snapshot",
                (name, place, snapshot),
            )
            self._db.execute(
                "DELETE FROM passed_over WHERE name = ? AND place BETWEEN 0 AND ?", (name, place)
            )

    def pass_over(self, name: str, place: int) -> None:
        """This application is not shown this record again: it does not come to an end with it."""
        with self._changing():
            self._db.execute("INSERT OR IGNORE INTO passed_over VALUES (?, ?)", (name, place))

    def passed_over(self, name: str) -> set[int]:
        """The places of records that it is not shown."""
        return {
            place for (place,) in self._ask("SELECT place FROM passed_over WHERE name = ?", name)
        }

    # -- artefacts -------------------------------------------------------------------------

    def put(self, application: str, artefact: Artefact, place: int, number: int) -> bool:
        """Keep an answer to the record at `place`; False where it is there, or a newer one is."""
        whose = (application, artefact.device, artefact.stream, artefact.kind, artefact.name)
        digest = artefact.sha256
        self._write(digest, artefact.data)
        with self._changing():
            (newest,) = self._db.execute(
                f"SELECT coalesce(max(place), -1) FROM artefact WHERE {_WHOSE}",  # noqa: S608
                whose,
            ).fetchone()
            if artefact.keep == "newest":
                if newest >= place:
                    return False
                self._db.execute(f"DELETE FROM artefact WHERE {_WHOSE}", whose)  # noqa: S608
            done = self._db.execute(
                "INSERT OR IGNORE INTO artefact (application, device, stream, kind, name, version,"
                " media_type, keep, made_s, expires_s, size, sha256, place, number)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *whose,
                    *(artefact.version, artefact.media_type, artefact.keep, time.time()),
                    *(float(artefact.expires_s), len(artefact.data), digest, place, number),
                ),
            )
            self._forget_oldest()
        self._sweep()
        if done.rowcount == 1 and self._on_put is not None:
            self._on_put(artefact.device, artefact.stream)
        return done.rowcount == 1

    def artefacts(
        self,
        device: str = "",
        stream: str = "",
        kind: str = "",
        after_id: int = 0,
        most: int = 100,
        *,
        from_s: float = -math.inf,
        to_s: float = math.inf,
    ) -> list[KeptArtefact]:
        """Artefacts in the order in which they were made, from behind a place on.

        from_s, to_s: between which they were made, the last one excluded, in s since 1970.
        """
        wanted = [("device", device), ("stream", stream), ("kind", kind)]
        where = "".join(f" AND {column} = ?" for column, value in wanted if value)
        rows = self._ask(
            f"SELECT {_COLUMNS} FROM artefact WHERE id > ?{where}"  # noqa: S608
            " AND made_s >= ? AND made_s < ? ORDER BY id LIMIT ?",
            *(after_id, *(value for _, value in wanted if value), from_s, to_s, most),
        )
        return [KeptArtefact(*row) for row in rows]

    def artefact(self, id_: int) -> KeptArtefact | None:
        """The artefact of this id."""
        rows = self._ask(f"SELECT {_COLUMNS} FROM artefact WHERE id = ?", id_)  # noqa: S608
        return KeptArtefact(*rows[0]) if rows else None

    def undelivered(self, device: str, stream: str, now_s: float, most: int) -> list[KeptArtefact]:
        """Artefacts that a stream has not got yet and that are still of use, the oldest first."""
        rows = self._ask(
            f"SELECT {_COLUMNS} FROM artefact WHERE device = ? AND stream = ?"  # noqa: S608
            " AND delivered_s IS NULL AND (expires_s = 0 OR made_s + expires_s > ?)"
            " ORDER BY id LIMIT ?",
            *(device, stream, now_s, most),
        )
        return [KeptArtefact(*row) for row in rows]

    def streams_given(self, application: str, kind: str, version: str) -> set[tuple[str, str]]:
        """Devices and streams for which an application has left such an artefact."""
        sql = (
            "SELECT device, stream FROM artefact WHERE application = ? AND kind = ? AND version = ?"
        )
        return {(row[0], row[1]) for row in self._ask(sql, application, kind, version)}

    def delivered(self, id_: int, now_s: float) -> None:
        """A device has acknowledged it."""
        with self._changing():
            self._db.execute("UPDATE artefact SET delivered_s = ? WHERE id = ?", (now_s, id_))

    def data(self, artefact: KeptArtefact) -> Path:
        """The file with its data."""
        return self._artefacts / artefact.sha256

    def close(self) -> None:
        """Closing twice does nothing."""
        with self._lock:
            self._db.close()

    def _forget_oldest(self) -> None:
        rows = self._db.execute("SELECT id, size FROM artefact ORDER BY id").fetchall()
        excess = sum(size for _, size in rows) - self._bytes_max
        for id_, size in rows:
            if excess <= 0:
                return
            excess -= size
            self._db.execute("DELETE FROM artefact WHERE id = ?", (id_,))

    def _write(self, digest: str, data: bytes) -> None:
        path = self._artefacts / digest
        if path.exists() and path.stat().st_size == len(data):
            return
        part = self._artefacts / f".{digest}.part"
        try:
            with os.fdopen(open_private(part), "wb") as file:
                file.truncate(0)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except OSError as error:
            raise StoreError(f"{path}: {error.strerror}") from error

    def _sweep(self) -> None:
        """Forget files that no artefact names."""
        named = {digest for (digest,) in self._ask("SELECT DISTINCT sha256 FROM artefact")}
        for path in self._artefacts.iterdir():
            if path.name not in named:
                with contextlib.suppress(OSError):
                    path.unlink()

    def _ask(self, sql: str, *values: object) -> list[Any]:
        try:
            with self._lock:
                return self._db.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise StoreError(f"{self._path}: {error}") from error

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        """BEGIN and COMMIT, or ROLLBACK after an error."""
        with self._lock:
            try:
                with transaction(self._db):
                    yield
            except sqlite3.Error as error:
                raise StoreError(f"{self._path}: {error}") from error
