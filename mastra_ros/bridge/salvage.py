"""Reads the good records out of a damaged spool, page by page.

A flipped bit in the header, the schema or an index makes SQLite refuse a file whose records are all
still there. So the pages are read as the file format says (https://www.sqlite.org/fileformat2.html,
sections 1.6 and 2), without asking any of these: every cell of a table's leaf page that holds a
record whose own checksum fits is good, wherever it lies. Pages of the write-ahead log count too.
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

PAGE_BYTES = 4096
"""What SQLite uses unless the header names another size."""
BYTES_MAX = 2**31
"""Larger files are not read; no spool of ours gets there."""
COLUMNS = (8, 9)
"""Columns of a record: before and since frames have ids."""
_LEAF = 0x0D
_WAL_HEADER, _FRAME_HEADER = 32, 24

Value = int | float | str | bytes | None
Place = tuple[int, int]


@dataclass(frozen=True)
class SavedRecord:
    """The columns that matter of one record, unchecked; see `sqlite_spool.SCHEMA`."""

    put_s: float
    checksum: int
    data: bytes


def salvage(path: Path, good: Callable[[SavedRecord], bool]) -> Iterator[SavedRecord]:
    """Every record of the file that is `good`, each once. Raises OSError if it cannot be opened."""
    seen: set[tuple[int, int]] = set()
    with contextlib.ExitStack() as stack:
        # The size in the header may itself be damaged: then ours is tried.
        for page_bytes in (0, PAGE_BYTES):
            pages = _Pages(path, stack, page_bytes)
            for record in pages.records():
                name = (record.checksum, len(record.data))
                if name not in seen and good(record):
                    seen.add(name)
                    yield record
            if seen:
                return


class _Pages:
    """The pages of a database and of its write-ahead log, read one by one.

    A place is a descriptor and an offset; a page that cannot be read is empty.
    """

    def __init__(self, path: Path, stack: contextlib.ExitStack, page_bytes: int = 0) -> None:
        """page_bytes: 0 takes what the header says."""
        self._database = _open(path, stack)
        head = self.read((self._database, 0), 100)
        self._size = page_bytes or _page_bytes(head)
        reserved = head[20] if len(head) == 100 else 0
        self._usable = self._size - (reserved if reserved <= 32 else 0)
        count = min(os.fstat(self._database).st_size, BYTES_MAX) // self._size
        self._newest = {n + 1: (self._database, n * self._size) for n in range(count)}
        self._versions = list(self._newest.items())
        with contextlib.suppress(FileNotFoundError):
            for number, place in self._of_wal(_open(Path(f"{path}-wal"), stack)):
                self._newest[number] = place
                self._versions.append((number, place))

    def read(self, place: Place, size: int = 0) -> bytes:
        """The page at a place, empty where the disk does not give it."""
        try:
            return os.pread(place[0], size or self._size, place[1])
        except OSError:
            return b""

    def _of_wal(self, wal: int) -> Iterator[tuple[int, Place]]:
        """Frames of the log's own generation, whether or not their checksums fit."""
        salt = self.read((wal, 16), 8)
        step = _FRAME_HEADER + self._size
        for at in range(_WAL_HEADER, os.fstat(wal).st_size - step + 1, step):
            header = self.read((wal, at), _FRAME_HEADER)
            if len(header) == _FRAME_HEADER and header[8:16] == salt:
                (number,) = struct.unpack_from(">I", header)
                yield number, (wal, at + _FRAME_HEADER)

    def records(self) -> Iterator[SavedRecord]:
        """Whatever looks like a record, on all pages."""
        for number, place in self.versions():
            for columns in self.rows(number, self.read(place)):
                record = _record(columns)
                if record is not None:
                    yield record

    def versions(self) -> Iterator[tuple[int, Place]]:
        """All pages that are in use, in every version that is there."""
        free = self._free()
        return (numbered for numbered in self._versions if numbered[0] not in free)

    def _free(self) -> set[int]:
        """Pages that hold nothing any more (section 1.5), as far as the list can be followed."""
        free: set[int] = set()
        first = self.read(self._newest[1]) if self._newest else b""
        (trunk,) = struct.unpack_from(">I", first, 32) if len(first) >= 36 else (0,)
        while trunk in self._newest and trunk not in free:
            free.add(trunk)
            page = self.read(self._newest[trunk])
            if len(page) < 8:
                break
            trunk, count = struct.unpack_from(">II", page)
            if count > len(page) // 4 - 2:
                break
            free.update(struct.unpack_from(f">{count}I", page, 8))
        return free

    def rows(self, number: int, page: bytes) -> Iterator[list[Value]]:
        """The rows of a page that can be read, if it is a leaf page of a table (section 1.6)."""
        start = 100 if number == 1 else 0
        if len(page) < self._size or page[start] != _LEAF:
            return
        (count,) = struct.unpack_from(">H", page, start + 3)
        for index in range(min(count, (self._size - start - 8) // 2)):
            row = self._row(page, start + 8 + 2 * index)
            if row is not None:
                yield row

    def _row(self, page: bytes, pointer: int) -> list[Value] | None:
        """The row of one cell; None where it is damaged: the next may be good."""
        try:
            (at,) = struct.unpack_from(">H", page, pointer)
            return _columns(self._payload(page, at))
        except (struct.error, IndexError, ValueError):
            return None

    def _payload(self, page: bytes, at: int) -> bytes:
        """The payload of a cell, with what lies on overflow pages (section 1.6)."""
        size, at = _varint(page, at)
        _, at = _varint(page, at)  # the rowid
        if not 0 < size <= BYTES_MAX // 4:
            raise ValueError("no size of a payload")
        usable = self._usable
        if size <= usable - 35:
            return page[at : at + size]
        least = (usable - 12) * 32 // 255 - 23
        local = least + (size - least) % (usable - 4)
        local = local if local <= usable - 35 else least
        parts, left = [page[at : at + local]], size - local
        (following,) = struct.unpack_from(">I", page, at + local)
        while left > 0:
            place = self._newest.get(following)
            overflow = b"" if place is None else self.read(place)
            (following,) = struct.unpack_from(">I", overflow)
            parts.append(overflow[4 : 4 + min(left, usable - 4)])
            left -= usable - 4
        return b"".join(parts)


def _open(path: Path, stack: contextlib.ExitStack) -> int:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    stack.callback(os.close, descriptor)
    return descriptor


def _page_bytes(head: bytes) -> int:
    (size,) = struct.unpack_from(">H", head, 16) if len(head) >= 18 else (0,)
    return int(size) if size >= 512 and size & (size - 1) == 0 else PAGE_BYTES


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A variable-length integer and where it ends (section 1.6)."""
    value = 0
    for used in range(8):
        byte = data[at + used]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + used + 1
    return value << 8 | data[at + 8], at + 9


def _columns(payload: bytes) -> list[Value]:
    """The values of a record (section 2.1). Raises ValueError where it makes no sense."""
    header, at = _varint(payload, 0)
    if not 1 < header <= min(len(payload), 64):
        raise ValueError("no header of a record")
    kinds = []
    while at < header:
        kind, at = _varint(payload, at)
        kinds.append(kind)
    if len(kinds) not in COLUMNS:
        raise ValueError("another table's")
    values: list[Value] = []
    at = header
    for kind in kinds:
        value, at = _value(kind, payload, at)
        values.append(value)
    return values


def _value(kind: int, payload: bytes, at: int) -> tuple[Value, int]:
    if kind >= 12:
        size = (kind - 12) // 2
        raw = payload[at : at + size]
        if len(raw) != size:
            raise ValueError("cut short")
        return (raw if kind % 2 == 0 else raw.decode("utf-8")), at + size
    if kind in (0, 8, 9):
        return (None if kind == 0 else kind - 8), at
    if kind in (10, 11):
        raise ValueError("no type of a value")
    size = (0, 1, 2, 3, 4, 6, 8, 8)[kind]
    raw = payload[at : at + size]
    if len(raw) != size:
        raise ValueError("cut short")
    if kind == 7:
        return struct.unpack(">d", raw)[0], at + size
    return int.from_bytes(raw, "big", signed=True), at + size


def _record(columns: list[Value]) -> SavedRecord | None:
    put_s, _, checksum, data = columns[-4:]
    if isinstance(put_s, (int, float)) and isinstance(checksum, int) and isinstance(data, bytes):
        return SavedRecord(float(put_s), checksum, data)
    return None
