"""Who may log in: a file of people with their roles and password hashes (argon2id, RFC 9106).

    people:
      ada: {role: operator, hash: $argon2id$…}

The file is read again when it changes, so who is taken out of it is out at once.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from ..errors import ConfigError
from ..private_files import open_private

ROLES = ("viewer", "operator", "admin")
"""viewer sees, operator changes settings, admin also rolls out bundles."""
NAME_CHARACTERS_MAX = 64
PASSWORD_CHARACTERS_MIN, PASSWORD_CHARACTERS_MAX = 10, 256
FILE_BYTES_MAX = 2**20


@dataclass(frozen=True)
class Person:
    """Who has logged in, and as what."""

    name: str
    role: str

    def may(self, role: str) -> bool:
        """Whether this person may do what `role` may."""
        return ROLES.index(self.role) >= ROLES.index(role)


class People:
    """The people of a file; it may be empty or missing, then nobody can log in."""

    def __init__(self, path: Path) -> None:
        """Raises ConfigError for a file that cannot be read or says something else."""
        self._path = path
        self._hasher = PasswordHasher()
        # Who is not in the file costs the time of a verification too, so that nobody learns
        # from the time which names there are.
        self._nobody = self._hasher.hash(os.urandom(16))
        self._stamp: tuple[int, int, int] | None = None
        self._people: dict[str, tuple[str, str]] = {}
        self._refresh()

    def __len__(self) -> int:
        return len(self._people)

    def verify(self, name: str, password: str) -> Person | None:
        """The person with this name and password; takes some 50 ms of a core either way."""
        self._refresh()
        role, kept = self._people.get(name, ("", self._nobody))
        if len(password) > PASSWORD_CHARACTERS_MAX:
            return None
        try:
            self._hasher.verify(kept, password)
        except (Argon2Error, InvalidHashError):
            return None
        return Person(name, role) if role else None

    def known(self, name: str) -> Person | None:
        """The person as the file has it now; None for one who was taken out."""
        self._refresh()
        found = self._people.get(name)
        return None if found is None else Person(name, found[0])

    def mark(self, name: str) -> str:
        """Changes with the person's password: a session made before is none after."""
        return self._people.get(name, ("", ""))[1][-22:]

    def add(self, name: str, role: str, password: str) -> None:
        """Add a person or give a new role and password; the file is replaced whole."""
        _check(name, role)
        if not PASSWORD_CHARACTERS_MIN <= len(password) <= PASSWORD_CHARACTERS_MAX:
            raise ConfigError(
                f"password: expected {PASSWORD_CHARACTERS_MIN} to {PASSWORD_CHARACTERS_MAX} "
                f"characters, got {len(password)}"
            )
        self._refresh()
        people = {**self._people, name: (role, self._hasher.hash(password))}
        document = {
            "people": {one: {"role": r, "hash": h} for one, (r, h) in sorted(people.items())}
        }
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = self._path.with_suffix(".part")
        part.unlink(missing_ok=True)
        with os.fdopen(open_private(part), "w", encoding="utf-8") as file:
            yaml.safe_dump(document, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._path)
        self._refresh()

    def _refresh(self) -> None:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            self._people, self._stamp = {}, None
            return
        stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
        if stamp == self._stamp:
            return
        if found.st_mode & 0o077:
            raise ConfigError(f"{self._path}: others may read it; run: chmod 600 {self._path}")
        if found.st_size > FILE_BYTES_MAX:
            raise ConfigError(f"{self._path}: expected at most {FILE_BYTES_MAX} bytes")
        try:
            document = yaml.safe_load(self._path.read_text("utf-8"))
        except (OSError, UnicodeError, yaml.YAMLError) as error:
            raise ConfigError(f"{self._path}: cannot be read: {error}") from None
        self._people = _people_of(document, self._path)
        self._stamp = stamp


def _people_of(document: Any, path: Path) -> dict[str, tuple[str, str]]:
    people = document.get("people") if isinstance(document, dict) else None
    if not isinstance(people, dict):
        raise ConfigError(f"{path}: expected people: with a map of names")
    told: dict[str, tuple[str, str]] = {}
    for name, entry in people.items():
        role = entry.get("role") if isinstance(entry, dict) else None
        kept = entry.get("hash") if isinstance(entry, dict) else None
        _check(name, role)
        if not isinstance(kept, str) or not kept.startswith("$argon2id$"):
            raise ConfigError(f"{path}: {name}: expected hash: $argon2id$…")
        told[name] = (str(role), kept)
    return told


def _check(name: Any, role: Any) -> None:
    good = isinstance(name, str) and 0 < len(name) <= NAME_CHARACTERS_MAX and name.isprintable()
    if not good:
        raise ConfigError(f"name: expected 1 to {NAME_CHARACTERS_MAX} characters, got {name!r:.80}")
    if name.startswith("oidc:"):
        raise ConfigError(f"{name}: such names are those of people from a provider")
    if role not in ROLES:
        raise ConfigError(f"{name}: role: expected {', '.join(ROLES)}, got {role!r:.80}")
