"""Plates leave the device as keyed hashes: who has them cannot tell the plates, nor try them out.

The key is random, lies in a file that only its owner reads, and never leaves the device. With
`rotate_days` it is made anew at midnight UTC by the stamps' clock, and the one before is gone: the
same plate has another hash tomorrow, and nobody can follow a car from day to day.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from pathlib import Path

from mastra_ros.errors import ConfigError
from mastra_ros.private_files import open_private
from mastra_ros.share import home_path

DAY_NS = 86_400 * 10**9
KEY_BYTES = 32
DIGITS = 32


class PlateHasher:
    """Hashes of one device. rotate_days 0: the key stays. ConfigError: the file cannot be used."""

    def __init__(self, path: str | Path, rotate_days: int = 1) -> None:
        self._path = home_path(path)
        self._rotate_days = rotate_days
        self._period = -1
        self._key = b""

    def hash(self, text: str, stamp_ns: int) -> str:
        """32 hex digits for a plate's text, read at this time."""
        period = stamp_ns // (DAY_NS * self._rotate_days) if self._rotate_days else 0
        if period != self._period or not self._key:
            self._key = self._load(period)
            self._period = period
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()[:DIGITS]

    def _load(self, period: int) -> bytes:
        """The key of this period: that of the file, or a new one that takes its place."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = open_private(self._path)
            with os.fdopen(descriptor, "r+b") as file:
                key = _key_in(file.read(4096), period)
                if key is None:  # none, that of another day, or what a crash has left
                    key = secrets.token_bytes(KEY_BYTES)
                    file.seek(0)
                    file.truncate()
                    file.write(json.dumps({"period": period, "key": key.hex()}).encode())
            return key
        except OSError as error:
            raise ConfigError(
                f"plate_key_path: expected a file that can be written, got {self._path}: "
                f"{error.strerror}"
            ) from None


def _key_in(data: bytes, period: int) -> bytes | None:
    try:
        told = json.loads(data)
        key = bytes.fromhex(told["key"])
        good = len(key) == KEY_BYTES and told["period"] == period
    except (ValueError, KeyError, TypeError):
        return None
    return key if good else None


def default_key_path() -> Path:
    """Where the key lies unless a parameter says otherwise."""
    base = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return home_path(base) / "mastra" / "plate_key.json"
