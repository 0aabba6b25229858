"""Whether a database is damaged, or its disk did not give a page of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

READ_BYTES = 2**20


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
