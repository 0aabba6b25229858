"""Files and folders of this user alone: spool, results, keys and locks.

A link in the place of such a file could make us write into another's, and a folder that others
may write could change what we read: both are refused. Errors are OSErrors whose `strerror`
says what was expected and found.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from pathlib import Path


def open_private(path: Path) -> int:
    """A descriptor of the regular file `path`, made with mode 0600 where there is none.

    Nothing in it is changed, no link is followed, and what group or others may do with an older
    file is taken away. Whatever SQLite makes beside it has the same mode from birth.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "expected a file, found a symbolic link", path) from None
        raise
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "expected a regular file", str(path))
        _check_owner(found, path)
        if stat.S_IMODE(found.st_mode) & 0o077:
            os.fchmod(descriptor, 0o600)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def open_named(path: Path, bytes_max: int) -> int:
    """A descriptor for reading the regular file that somebody else has named.

    No link is followed, and no pipe or device waited for; OSError for these and for larger files.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError as error:  # a name with a zero in it
        raise OSError(errno.EINVAL, str(error)) from None
    found = os.fstat(descriptor)
    if stat.S_ISREG(found.st_mode) and found.st_size <= bytes_max:
        return descriptor
    os.close(descriptor)
    text = f"expected a regular file of at most {bytes_max} bytes"
    raise OSError(errno.EINVAL, text, str(path))


def make_private_folder(folder: Path) -> None:
    """Make a folder (0700) where there is none; check the one that is there."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    check_folder(folder)


def check_folder(folder: Path) -> None:
    """Raise unless the folder is this user's or root's, and no stranger may change what is in it.

    A folder that everybody may write is taken where it is sticky, as /tmp is: nobody can replace
    our files there, and links are not followed.
    """
    found = folder.stat()
    _check_owner(found, folder)
    mode = stat.S_IMODE(found.st_mode)
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        text = f"expected a folder that others cannot write, got mode {mode:04o}; run: chmod o-w"
        raise PermissionError(errno.EACCES, text, str(folder))


def lock(path: Path) -> int | None:
    """An exclusive lock on a file beside the data: a descriptor that holds it until it is closed.

    None where another process has it. The lock belongs to the process and ends with it, also when
    it is killed.
    """
    descriptor = open_private(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _check_owner(found: os.stat_result, path: Path) -> None:
    """Root may be trusted, and so may we; whoever else owns a file may change it at any time."""
    if found.st_uid not in (0, os.geteuid()):
        text = f"expected it to be of user {os.geteuid()} or root, it is of user {found.st_uid}"
        raise PermissionError(errno.EPERM, text, str(path))
