"""Settings that operators gave to devices, and the audit of every change, in SQLite.

A change and its row in the audit are one transaction: there is no setting without one. The audit
only grows at its end; beyond `audit_max` rows the oldest are forgotten.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ...errors import ConfigError, StoreError
from ...private_files import make_private_folder, open_private
from ...sqlite_files import transaction
from .rollout import Rollout, from_plain, steps_between, to_plain

T = TypeVar("T")

FILE_NAME = "steering.sqlite3"
SCHEMA_VERSION = 2
AUDIT_MAX = 100_000

_SCHEMA = (
    """
    CREATE TABLE settings (
        device TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL,
        changed_s REAL NOT NULL, who TEXT NOT NULL,
        PRIMARY KEY (device, name)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE audit (
        id INTEGER PRIMARY KEY AUTOINCREMENT, at_s REAL NOT NULL, who TEXT NOT NULL,
        role TEXT NOT NULL, action TEXT NOT NULL, device TEXT NOT NULL, name TEXT NOT NULL,
        old TEXT NOT NULL, new TEXT NOT NULL, outcome TEXT NOT NULL
    )
    """,
    "CREATE INDEX audit_of_device ON audit (device, id)",
)
_SCHEMA_2 = ("CREATE TABLE rollouts (id INTEGER PRIMARY KEY AUTOINCREMENT, told TEXT NOT NULL)",)
ROLLOUTS_KEPT = 100


@dataclass(frozen=True)
class SettingRow:
    """What an operator wants of a device."""

    device: str
    name: str
    value: Any
    changed_s: float
    who: str


@dataclass(frozen=True)
class AuditRow:
    """Who changed what, when; `old` and `new` are values as JSON knows them, None for none."""

    id: int
    at_s: float
    who: str
    role: str
    action: str
    device: str
    name: str
    old: Any
    new: Any
    outcome: str


class SteeringBook:
    """The database in `folder`, which belongs to one gateway; safe to use from several threads."""

    def __init__(self, folder: Path, *, audit_max: int = AUDIT_MAX) -> None:
        """Raises StoreError for a folder or file that cannot be used."""
        self._path = folder / FILE_NAME
        self._audit_max = audit_max
        self._lock = threading.Lock()
        try:
            make_private_folder(folder)
            os.close(open_private(self._path))
        except OSError as error:
            raise StoreError(f"{self._path}: cannot be used: {error.strerror}") from error
        try:
            self._db = self._open()
        except sqlite3.Error as error:
            raise StoreError(f"{self._path}: cannot be used: {error}") from error

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None)
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version > SCHEMA_VERSION:
                raise StoreError(
                    f"{self._path}: made by a newer version (format {version}, this one reads "
                    f"{SCHEMA_VERSION})"
                )
            if version < SCHEMA_VERSION:
                with transaction(db) as cursor:
                    for statement in (*(_SCHEMA if version == 0 else ()), *_SCHEMA_2):
                        cursor.execute(statement)
                    cursor.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        except BaseException:
            db.close()
            raise
        return db

    def change(
        self, device: str, values: Mapping[str, Any], *, who: str, role: str, now_s: float
    ) -> dict[str, Any]:
        """Keep these wishes; None takes one back. Returns all that is wanted of the device now."""

        def write(cursor: sqlite3.Cursor) -> dict[str, Any]:
            before = _wanted(cursor, device)
            for name, value in values.items():
                if value is None:
                    cursor.execute(
                        "DELETE FROM settings WHERE device = ? AND name = ?", (device, name)
                    )
                else:
                    cursor.execute(
                        "INSERT OR REPLACE INTO settings VALUES (?, ?, ?, ?, ?)",
                        (device, name, json.dumps(value), now_s, who),
                    )
                row = ("set", device, name, before.get(name), value, "wanted")
                self._note(cursor, now_s, who, role, *row)
            return _wanted(cursor, device)

        return self._write(write)

    def note(
        self,
        action: str,
        device: str,
        name: str,
        old: Any,
        new: Any,
        outcome: str,
        *,
        who: str,
        role: str,
        now_s: float,
    ) -> None:
        """Write down what was done, or tried, without a setting."""
        row = (action, device, name, old, new, outcome)
        self._write(lambda cursor: self._note(cursor, now_s, who, role, *row))

    def begin_rollout(self, make: Callable[[int], Rollout], *, role: str) -> Rollout:
        """Keep a new roll-out, which `make` makes of its number."""

        def write(cursor: sqlite3.Cursor) -> Rollout:
            cursor.execute("INSERT INTO rollouts (told) VALUES ('')")
            rollout = make(int(cursor.lastrowid or 0))
            told = json.dumps(to_plain(rollout))
            cursor.execute("UPDATE rollouts SET told = ? WHERE id = ?", (told, rollout.id))
            cursor.execute("DELETE FROM rollouts WHERE id <= ?", (rollout.id - ROLLOUTS_KEPT,))
            row = ("rollout", "", rollout.name, None, rollout.digest, "begun")
            self._note(cursor, rollout.begun_s, rollout.who, role, *row)
            return rollout

        return self._write(write)

    def keep_rollout(
        self, before: Rollout, after: Rollout, *, who: str, role: str, now_s: float
    ) -> None:
        """Keep how far a roll-out is; each stage, device and end is a row of the audit."""

        def write(cursor: sqlite3.Cursor) -> None:
            told = json.dumps(to_plain(after))
            cursor.execute("UPDATE rollouts SET told = ? WHERE id = ?", (told, after.id))
            for row in steps_between(before, after):
                self._note(cursor, now_s, who, role, *row)

        self._write(write)

    def rollouts(self) -> list[Rollout]:
        """All that are kept, the newest first; what cannot be read is left out."""
        found = self._read(
            lambda db: db.execute("SELECT told FROM rollouts ORDER BY id DESC").fetchall()
        )
        kept = []
        for (told,) in found:
            with contextlib.suppress(ConfigError, TypeError, KeyError, ValueError):
                kept.append(from_plain(json.loads(told)))
        return kept

    def _note(self, cursor: sqlite3.Cursor, now_s: float, who: str, role: str, *row: Any) -> None:
        action, device, name, old, new, outcome = row
        cursor.execute(
            "INSERT INTO audit (at_s, who, role, action, device, name, old, new, outcome) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (now_s, who, role, action, device, name, json.dumps(old), json.dumps(new), outcome),
        )
        forgotten = "DELETE FROM audit WHERE id <= (SELECT max(id) FROM audit) - ?"
        cursor.execute(forgotten, (self._audit_max,))

    def all_wanted(self) -> dict[str, dict[str, Any]]:
        """The values wanted of each device, by `stage.parameter`."""
        found = self._read(
            lambda db: db.execute("SELECT device, name, value FROM settings").fetchall()
        )
        wanted: dict[str, dict[str, Any]] = {}
        for device, name, value in found:
            wanted.setdefault(device, {})[name] = json.loads(value)
        return wanted

    def rows(self, device: str) -> list[SettingRow]:
        """The wishes of a device, with who had them."""
        question = (
            "SELECT device, name, value, changed_s, who FROM settings "
            "WHERE device = ? ORDER BY name"
        )
        found = self._read(lambda db: db.execute(question, (device,)).fetchall())
        return [SettingRow(row[0], row[1], json.loads(row[2]), *row[3:]) for row in found]

    def audit(self, device: str, before: int, most: int) -> list[AuditRow]:
        """At most so many rows before the number `before` (0: from the newest), newest first."""
        question = (
            "SELECT * FROM audit WHERE (? = '' OR device = ?) AND (? = 0 OR id < ?) "
            "ORDER BY id DESC LIMIT ?"
        )
        values = (device, device, before, before, most)
        found = self._read(lambda db: db.execute(question, values).fetchall())
        return [_audit_row(*row) for row in found]

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        with self._lock:
            self._db.close()

    def _write(self, work: Callable[[sqlite3.Cursor], T]) -> T:
        with self._lock:
            try:
                with transaction(self._db) as cursor:
                    return work(cursor)
            except sqlite3.Error as error:
                raise StoreError(f"{self._path}: cannot be written: {error}") from error

    def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._lock:
            try:
                return work(self._db)
            except sqlite3.Error as error:
                raise StoreError(f"{self._path}: cannot be read: {error}") from error


def _wanted(db: sqlite3.Connection | sqlite3.Cursor, device: str) -> dict[str, Any]:
    found = db.execute("SELECT name, value FROM settings WHERE device = ?", (device,)).fetchall()
    return {name: json.loads(value) for name, value in found}


def _audit_row(*columns: Any) -> AuditRow:
    *plain, old, new, outcome = columns
    id_, at_s, who, role, action, device, name = plain
    return AuditRow(
        *(id_, at_s, who, role, action, device, name), json.loads(old), json.loads(new), outcome
    )
