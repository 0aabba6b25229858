"""Statements of SQLite for many results at once, of few lengths, so that few are kept ready.

One statement for many rows runs without the interpreter's lock once, and a row at a time would
wait for it at each. But a statement that is kept ready holds the last values that it was given,
and its program: one for each number of rows up to 256 held 54 MiB, and all that large results had
ever filled them with. So the lengths are few, what is missing to the next is made up of rows that
nothing comes of, and rows with much data share a statement with few.
"""

from __future__ import annotations

import bisect
import functools
from collections.abc import Iterator, Sequence
from typing import Any

from .store import FrameId, Record

LENGTHS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
"""Of statements, in rows; at most a third of the rows is made up."""
ROWS_MAX = LENGTHS[-1]
DATA_BYTES_MAX = 262_144
"""Of the rows of one statement; a row with more goes alone."""
_KEY = "device, stream, stamp_ns, frame_id"
_NO_KEY = (None, None, None, None)
"""Is equal to none, itself included."""

Statement = tuple[str, list[Any]]


def insertions(records: Sequence[Record], now_s: float) -> Iterator[Statement]:
    """What inserts these, where the frame has no result yet, with the values for it."""
    for some in _parts(records):
        values = [value for one in some for value in (*one.frame, now_s, one.data)]
        length = _length(len(some))
        # As its frame is there by then, nothing comes of such a row, nor is it counted.
        values += (*some[0].frame, now_s, b"") * (length - len(some))
        yield _insert(length), values


def searches(frames: Sequence[FrameId]) -> Iterator[Statement]:
    """What finds frame and data of those of these frames that have a result."""
    for start in range(0, len(frames), ROWS_MAX):
        some = frames[start : start + ROWS_MAX]
        values: list[Any] = [value for frame in some for value in frame]
        length = _length(len(some))
        values += _NO_KEY * (length - len(some))
        yield _find(length), values


def _parts(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    if len(records) <= ROWS_MAX and sum(len(one.data) for one in records) <= DATA_BYTES_MAX:
        yield records  # nearly always
        return
    begin = size = 0
    for at, one in enumerate(records):
        size += len(one.data)
        if at > begin and (size > DATA_BYTES_MAX or at - begin == ROWS_MAX):
            yield records[begin:at]
            begin, size = at, len(one.data)
    yield records[begin:]


def _length(rows: int) -> int:
    return LENGTHS[bisect.bisect_left(LENGTHS, rows)]


@functools.cache
def _insert(rows: int) -> str:
    marks = ", ".join(["(?, ?, ?, ?, ?, ?)"] * rows)
    return (
        f"INSERT INTO results ({_KEY}, committed_s, data) VALUES {marks} "  # noqa: S608 - marks alone
        f"ON CONFLICT ({_KEY}) DO NOTHING"
    )


@functools.cache
def _find(rows: int) -> str:
    marks = ", ".join(["(?, ?, ?, ?)"] * rows)
    # A cross join keeps the order of the tables, so that each key is looked up in the index.
    return (
        f"WITH wanted ({_KEY}) AS (VALUES {marks}) "  # noqa: S608 - marks alone
        f"SELECT {_KEY}, data FROM wanted CROSS JOIN results USING ({_KEY})"
    )
