"""What every program of this package does first, so that the surroundings cannot break it later.

A closed standard file, an output that lacks a character and a low limit of open files are
nothing that a program can know of while it works.
"""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import sys
import time
from typing import TextIO

from .errors import ConfigError, MastraError
from .redaction import RedactingFormatter, redact_tracebacks

FILES_WANTED = 4096
"""Open files at once, where the system lets us have so many."""
FILES_NEEDED = 96
"""What a pipeline in one process opens, with some to spare."""

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def prepare() -> None:
    """Open what is closed of the standard files, and let every text be written to them."""
    _fill_standard_files()
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)  # a test's stream may lack it
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    _raise_file_limit()
    redact_tracebacks()


def log_to_stderr(level: str) -> None:
    """Log to standard error, without what is secret in addresses."""
    handler = logging.StreamHandler()
    handler.setFormatter(RedactingFormatter(FORMAT))
    logging.basicConfig(level=level.upper(), handlers=[handler])


def check_open_files(needed: int = FILES_NEEDED) -> None:
    """ConfigError where this process may not open as many files as it will need."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit != resource.RLIM_INFINITY and limit < needed:
        raise ConfigError(
            f"open files: expected a limit of at least {needed}, got {limit}; "
            f"ulimit -n {FILES_WANTED} raises it"
        )


def check_clock() -> None:
    """ConfigError where the clock is before 1970: neither ROS nor a certificate can be used."""
    now_s = time.time()
    if now_s < 0:
        days = round(-now_s / 86400)
        raise ConfigError(f"clock: expected a time after 1970, it is {days} days before; set it")


def command_line() -> list[str]:
    """The arguments of this process, read as UTF-8 even where the locale is said to be ASCII."""
    return [os.fsencode(text).decode("utf-8", "surrogateescape") for text in sys.argv[1:]]


def flush_output() -> None:
    """Write what waits for standard output; MastraError where that fails.

    Said here, since the interpreter would say it when it ends, in its own way. BrokenPipeError
    where who read it has gone.
    """
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise MastraError(f"standard output: {error.strerror}") from None


def drop_output() -> None:
    """Write no more to standard output, where that fails."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fill_standard_files() -> None:
    """A file opened later must not get the number of a closed standard file, and their output."""
    number = -1
    while number < 2:  # a file takes the lowest number that is free, if need be all three
        number = os.open(os.devnull, os.O_RDWR)
    os.close(number)
    if sys.stdout is None:
        sys.stdout = _null()
    if sys.stderr is None:
        sys.stderr = _null()


def _null() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123 - for as long as we live


def _raise_file_limit() -> None:
    """The soft limit of open files is often 1024 or less, where the hard one is far above."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_WANTED if hard == resource.RLIM_INFINITY else min(FILES_WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
