"""The tokens that were used, in a file of the state's folder, so that a restart forgets none.

A line a token is appended before its session opens; at every start what has expired is left out.
The system may lose the last lines with its power, not with the gateway's process.
"""

from __future__ import annotations

import json
import logging
import os
import time
from pathlib import Path

from ..protocol.tokens import ReplayGuard

logger = logging.getLogger(__name__)

FILE = "used_tokens.jsonl"
LINE_BYTES_MAX = 1024
LINES_MAX = 50_000
"""After so many more lines what has expired is left out, as at a start."""


class UsedTokens(ReplayGuard):
    """A ReplayGuard that survives the process; without a disk it goes on in memory and says so."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._path = folder / FILE
        self._fd = -1
        self._lines = 0
        self._read(time.time())
        self._rewrite()

    def remember(self, device: str, jti: str, expires_s: float) -> None:
        """See ReplayGuard."""
        super().remember(device, jti, expires_s)
        if self._fd < 0:
            return
        try:
            os.write(self._fd, _line(device, jti, expires_s))
        except OSError as error:
            self._complain(error)
            self.close()
        self._lines += 1
        if self._lines > LINES_MAX:
            self._rewrite()

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _read(self, now_s: float) -> None:
        """Take in what is still good; a line that is none, such as a torn last one, is left out."""
        try:
            with self._path.open("rb") as file:
                for line in file:
                    try:
                        device, jti, expires_s = json.loads(line[:LINE_BYTES_MAX])
                        good = type(device) is str and type(jti) is str and expires_s > now_s
                    except (ValueError, TypeError):
                        continue
                    if good:
                        super().remember(device, jti, float(expires_s))
        except FileNotFoundError:
            pass
        except OSError as error:
            self._complain(error)

    def _rewrite(self) -> None:
        """Make the file anew with what is still good, whole or not at all."""
        self.close()
        self._lines = 0
        part = self._path.with_suffix(".part")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        now_s = time.time()
        try:
            part.unlink(missing_ok=True)
            self._fd = os.open(part, flags, 0o600)
            with os.fdopen(os.dup(self._fd), "wb") as file:
                file.writelines(
                    _line(device, jti, until_s)
                    for device, used in self._used.items()
                    for jti, until_s in used.items()
                    if until_s > now_s
                )
            part.replace(self._path)
        except OSError as error:
            self._complain(error)
            self.close()

    def _complain(self, error: OSError) -> None:
        logger.error(
            "%s: %s: used tokens are remembered until a restart only", self._path, error.strerror
        )


def _line(device: str, jti: str, expires_s: float) -> bytes:
    return json.dumps([device, jti, expires_s]).encode("ascii") + b"\n"
