"""Keeps what converters write about themselves from the terminal."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

_kept: list[TextIO] = []


def terminal() -> TextIO:
    """Standard error as the user sees it, also while converters are silenced."""
    return _kept[-1] if _kept else sys.stderr


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Swallow what Python and native code write to standard output and error.

    Converters log through several libraries, some in C++, so the descriptors themselves are
    turned away. Not for use while other threads write.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    with tempfile.TemporaryFile() as sink:
        saved = os.dup(1), os.dup(2)
        try:
            os.dup2(sink.fileno(), 1)
            os.dup2(sink.fileno(), 2)
            with (
                os.fdopen(os.dup(saved[1]), "w") as kept,
                Path(os.devnull).open("w", encoding="utf-8") as nowhere,
                contextlib.redirect_stdout(nowhere),
                contextlib.redirect_stderr(nowhere),
                warnings.catch_warnings(),
            ):
                warnings.simplefilter("ignore")
                before = logging.root.manager.disable
                logging.disable(logging.WARNING)
                _kept.append(kept)
                try:
                    yield
                finally:
                    _kept.remove(kept)
                    logging.disable(before)
        finally:
            os.dup2(saved[0], 1)
            os.dup2(saved[1], 2)
            for handle in saved:
                os.close(handle)
