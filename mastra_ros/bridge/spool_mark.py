"""Remembers beside a spool how much it held, to notice what vanished while nobody looked.

SQLite takes a write-ahead log up to the first frame that is damaged or missing, and says nothing
of the commits behind it. The mark is written after each commit without waiting for the disk: it
survives the end of the process, and after a loss of power it is at worst older than the spool,
which then shows nothing.
"""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path
from typing import NamedTuple

from ..private_files import open_private

_FORM = struct.Struct(">4sQQI")
_MAGIC = b"MSMK"


class Held(NamedTuple):
    """What a spool held: records ever stored in this file, and records in it."""

    stored: int
    records: int


class Mark:
    """The file NAME.mark beside the spool NAME. Raises OSError only when it is made."""

    def __init__(self, spool: Path) -> None:
        self.path = spool.with_name(f"{spool.name}.mark")
        self._file = open_private(self.path)
        self._last: Held | None = None

    def read(self) -> Held | None:
        """What was written last; None where there is nothing, or nothing whole."""
        raw = os.pread(self._file, _FORM.size, 0)
        if len(raw) != _FORM.size:
            return None
        magic, stored, records, checksum = _FORM.unpack(raw)
        if magic != _MAGIC or checksum != zlib.crc32(raw[:-4]):
            return None
        return Held(stored, records)

    def write(self, held: Held) -> None:
        """Remember what is in the spool; a disk that does not take it is no reason to stop."""
        if held == self._last:
            return
        head = struct.pack(">4sQQ", _MAGIC, *held)
        try:
            os.pwrite(self._file, head + struct.pack(">I", zlib.crc32(head)), 0)
        except OSError:
            return
        self._last = held

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)
