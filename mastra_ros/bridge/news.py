"""What goes wrong again and again is told now and then: a gateway must not fill a device's disk."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..protocol.checks import printable

MINUTE_NS = 60_000_000_000
KINDS_MAX = 16
"""Different kinds that are told within a minute; whoever invents new ones gets no further."""
TEXT_MAX = 600
_NUMBERS = re.compile(r"[0-9]+(\.[0-9]+)?")


@dataclass
class _Kind:
    until_ns: int
    told: int = 0
    kept: int = 0  # back since it was told last


class News:
    """Lets each kind of line pass so many times a minute. Pure; not thread-safe."""

    def __init__(self, times: int = 1, kinds_max: int = KINDS_MAX) -> None:
        self._times = times
        self._kinds_max = kinds_max
        self._kinds: dict[str, _Kind] = {}

    def line(self, text: str, now_ns: int) -> str:
        """The line to be logged, on one line; empty where it is no news.

        Texts that differ in their numbers alone are of one kind. How many were kept back is told
        with the next one.
        """
        name = _NUMBERS.sub("0", text)[:200]
        if not self.passes(name, now_ns):
            return ""
        kind = self._kinds[name]
        more = f" ({kind.kept} more since it was told last)" if kind.kept else ""
        kind.kept = 0
        return printable(text[:TEXT_MAX]) + more

    def passes(self, name: str, now_ns: int) -> bool:
        """Whether something of the kind `name` may be told now; if so it counts as told."""
        kind = self._kind(name, now_ns)
        if kind is None:
            return False
        if kind.told >= self._times:
            kind.kept += 1
            return False
        kind.told += 1
        return True

    def _kind(self, name: str, now_ns: int) -> _Kind | None:
        known = self._kinds.get(name)
        if known is None or now_ns >= known.until_ns:
            kept = known.kept if known else 0
            for old in [n for n, kind in self._kinds.items() if now_ns >= kind.until_ns]:
                del self._kinds[old]
            if len(self._kinds) >= self._kinds_max:
                return None
            known = self._kinds[name] = _Kind(now_ns + MINUTE_NS, kept=kept)
        return known
