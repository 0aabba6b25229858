"""Room on the disk that the spool keeps for the day when there is none.

To delete a record SQLite must write first. A spool that has filled its disk could not forget what
was delivered, and would stay full for good; giving this file back lets it begin.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from ..private_files import open_private

RESERVE_BYTES = 2**20
AGAIN_S = 30.0
"""Pause before room is looked for again."""


class Reserve:
    """The file NAME.reserve beside the spool NAME."""

    def __init__(self, spool: Path) -> None:
        self.path = spool.with_name(f"{spool.name}.reserve")
        self._tried_s = -AGAIN_S

    def keep(self) -> None:
        """Take the room if it is not taken and there is any."""
        now_s = time.monotonic()
        if now_s - self._tried_s < AGAIN_S or self.kept:
            return
        self._tried_s = now_s
        try:
            descriptor = open_private(self.path)
        except OSError:
            return
        try:
            os.posix_fallocate(descriptor, 0, RESERVE_BYTES)
        except OSError:
            with contextlib.suppress(OSError):
                self.path.unlink()
        finally:
            os.close(descriptor)

    @property
    def kept(self) -> bool:
        """Whether the room is taken."""
        with contextlib.suppress(OSError):
            return self.path.stat().st_size >= RESERVE_BYTES
        return False

    def release(self) -> bool:
        """Give the room back; whether there was any."""
        self._tried_s = time.monotonic()
        with contextlib.suppress(OSError):
            self.path.unlink()
            return True
        return False
