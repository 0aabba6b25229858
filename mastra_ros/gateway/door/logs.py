"""Logs what others bring about: one line a kind and minute, however often it happens.

Who can make us write can fill a disk, and hide what matters among what does not.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from ...protocol.checks import printable

MINUTE_S = 60.0
KINDS_MAX = 256
OTHER = "other"
"""The kind of all that is beyond `KINDS_MAX` in one minute."""


@dataclass
class _Kind:
    until_s: float
    more: int = 0


class Sparing:
    """A logger that says the first of each kind, and with the next minute's first how many more.

    A kind is a word of ours and never of the other side; what the other side has said is given as
    an argument, and is written with its control characters escaped.
    """

    def __init__(self, logger: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self._logger = logger
        self._clock = clock
        self._kinds: dict[str, _Kind] = {}

    def info(self, kind: str, text: str, *args: object) -> None:
        """Say it as news."""
        self._say(logging.INFO, kind, text, args)

    def warning(self, kind: str, text: str, *args: object) -> None:
        """Say it as a warning."""
        self._say(logging.WARNING, kind, text, args)

    def error(self, kind: str, text: str, *args: object) -> None:
        """Say it as an error."""
        self._say(logging.ERROR, kind, text, args)

    def flush(self) -> None:
        """Say how many there were of the kinds whose minute is over; call it now and then."""
        now_s = self._clock()
        for name, kind in list(self._kinds.items()):
            if now_s >= kind.until_s:
                del self._kinds[name]
                if kind.more:
                    self._logger.warning("%s: %d more in a minute", name, kind.more)

    def _say(self, level: int, kind: str, text: str, args: tuple[object, ...]) -> None:
        now_s = self._clock()
        if kind not in self._kinds and len(self._kinds) >= KINDS_MAX:
            self.flush()
            if len(self._kinds) >= KINDS_MAX:
                kind = OTHER
        known = self._kinds.get(kind)
        if known is not None and now_s < known.until_s:
            known.more += 1
            return
        more = f" ({known.more} more in the minute before)" if known and known.more else ""
        self._kinds[kind] = _Kind(now_s + MINUTE_S)
        safe = tuple(printable(one) if isinstance(one, str) else one for one in args)
        self._logger.log(level, "%s%s", text % safe, more)
