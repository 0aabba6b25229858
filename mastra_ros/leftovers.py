"""What processes that were killed have left behind, cleared away by the next one.

SIGKILL leaves a temporary folder, and a segment of Fast DDS of 68 MB in shared memory, for as long
as the machine runs. Both have a lock file that the kernel lets go of when its process ends, however
that happens: what nobody holds any more, and is this user's, goes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from .private_files import lock

PREFIX = "mastra-"
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where Fast DDS keeps its segments on Linux
YOUNG_S = 60.0
"""Younger ones are left alone: their process may not have got to locking them yet."""

_LOCK = ".lock"
_SEGMENT = re.compile(r"fastrtps_[0-9a-z]{16}_el")


@contextlib.contextmanager
def temporary_folder(kind: str = "") -> Iterator[Path]:
    """A folder (0700) that ends with the block, or is cleared by the next one of us."""
    clear_folders()
    with tempfile.TemporaryDirectory(prefix=f"{PREFIX}{kind}", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        held = lock(folder / _LOCK)
        try:
            yield folder
        finally:
            if held is not None:
                os.close(held)


def clear_folders(parent: Path | None = None, now_s: float | None = None) -> int:
    """Remove the temporary folders of processes that have ended; how many there were."""
    count = 0
    for folder in _ours((parent or Path(tempfile.gettempdir())).glob(f"{PREFIX}*"), now_s):
        path = folder / _LOCK
        if folder.is_symlink() or not path.exists() or not _abandoned(path):
            continue
        shutil.rmtree(folder, ignore_errors=True)
        count += 1
    return count


def clear_shared_memory(folder: Path = SHARED_MEMORY, now_s: float | None = None) -> int:
    """Remove the segments of processes that have ended, as `fastdds shm clean` does; their bytes.

    A segment NAME belongs to who holds the lock on NAME_el.
    """
    freed = 0
    for path in _ours(folder.glob("fastrtps_*_el"), now_s):
        if not _SEGMENT.fullmatch(path.name) or not _abandoned(path):
            continue
        segment = path.with_name(path.name.removesuffix("_el"))
        with contextlib.suppress(OSError):
            freed += segment.stat().st_size
            segment.unlink()
        with contextlib.suppress(OSError):
            path.unlink()
    return freed


def _ours(paths: Iterator[Path], now_s: float | None) -> Iterator[Path]:
    """Those of this user that are not young any more."""
    now_s = time.time() if now_s is None else now_s
    for path in paths:
        with contextlib.suppress(OSError):
            found = path.lstat()
            if found.st_uid == os.geteuid() and now_s - found.st_mtime >= YOUNG_S:
                yield path


def _abandoned(path: Path) -> bool:
    """Whether nobody holds the lock of a file."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
