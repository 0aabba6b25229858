"""What the gateway asks this device to change: checked, bounded and slowed down. Pure.

Whatever comes over the link, at most one change of each stage a second reaches a node, each of the
type and range that its parameter declares; the rest is refused, and told in one line a parameter
and minute.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..config import check_remote
from ..errors import ConfigError
from .news import MINUTE_NS, News

APPLY_NS = 1_000_000_000
"""A stage is changed no more often than this; of several wishes for a parameter the last counts."""
TELL_NS = MINUTE_NS
"""The same complaint is told no more often than this."""
TOLD_MAX = 64
"""Different complaints that are remembered, and so told, within that time."""


class RemoteSettings:
    """The wishes of the gateway that wait to be passed on. Not thread-safe."""

    def __init__(self, on_refused: Callable[[str, str], None] = lambda *_: None) -> None:
        """on_refused(name, reason): each that may not be set."""
        self.refused = 0  # since start
        self._on_refused = on_refused
        self._waiting: dict[str, dict[str, Any]] = {}
        self._applied_ns: dict[str, int] = {}
        self._news = News(kinds_max=TOLD_MAX)

    def take(self, values: Mapping[str, Any], now_ns: int) -> list[str]:
        """Keep the values that may be set; returns why others may not, as far as it is news."""
        news = []
        for name, value in values.items():
            try:
                accepted = check_remote(name, value)
            except ConfigError as error:
                self.refused += 1
                self._on_refused(name, str(error))
                if self.is_news(name, now_ns):
                    news.append(f"a setting of the gateway is refused: {error}"[:300])
                continue
            stage, _, parameter = name.partition(".")
            self._waiting.setdefault(stage, {})[parameter] = accepted
        return news

    def waiting(self, now_ns: int) -> list[str]:
        """Stages with wishes that may be passed on now."""
        return [
            stage
            for stage in self._waiting
            if now_ns - self._applied_ns.get(stage, -APPLY_NS) >= APPLY_NS
        ]

    def pop(self, stage: str, now_ns: int) -> dict[str, Any]:
        """The values for a stage, to be set now."""
        self._applied_ns[stage] = now_ns
        return self._waiting.pop(stage)

    def is_news(self, kind: str, now_ns: int) -> bool:
        """Whether something of this kind may be told now; if so it counts as told."""
        return self._news.passes(kind, now_ns)


class Trickle:
    """Lets so many messages a second pass, and says when there are absurdly many. Pure."""

    def __init__(self, per_s: float, burst: int, flood: int) -> None:
        """flood: so many more than may pass, within a second, are no accident any more."""
        self._per_ns = per_s / 1e9
        self._burst = float(burst)
        self._room = float(burst)
        self._flood = flood
        self._excess = 0.0
        self._at_ns = 0

    def passes(self, now_ns: int) -> bool:
        """Whether one more may pass now."""
        passed_ns, self._at_ns = max(0, now_ns - self._at_ns), now_ns
        self._room = min(self._burst, self._room + passed_ns * self._per_ns)
        self._excess = max(0.0, self._excess - self._flood * passed_ns / 1e9)
        if self._room >= 1.0:
            self._room -= 1.0
            return True
        self._excess += 1.0
        return False

    @property
    def flooded(self) -> bool:
        """Whether far too many came within the last second."""
        return self._excess >= self._flood
