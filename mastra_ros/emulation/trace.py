"""Rates recorded on real links, in the format of Mahimahi.

A file has one whole number a line: the ms, since the start of the trace, at which the link could
deliver one packet of 1500 bytes; the same number twice means two packets. At its end the trace
starts again, after as many ms as its last line says. (R. Netravali et al., "Mahimahi: Accurate
Record-and-Replay for HTTP", USENIX ATC 2015; `mm-link(1)`.)
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import ConfigError
from ..share import home_path

OPPORTUNITY_BYTES = 1500
LINES_MAX = 10_000_000


@dataclass(frozen=True)
class Trace:
    """Opportunities to deliver; `times_ms` never falls, and its last is above 0."""

    name: str
    times_ms: tuple[int, ...] = field(repr=False)

    @property
    def duration_s(self) -> float:
        """After which it starts again."""
        return self.times_ms[-1] / 1e3

    @property
    def mean_bps(self) -> float:
        """Rate over the whole trace."""
        return len(self.times_ms) * OPPORTUNITY_BYTES * 8 / self.duration_s

    def index_at(self, t_s: float) -> int:
        """The first opportunity at or after `t_s`, counted through all repetitions."""
        t_ms = max(t_s, 0.0) * 1e3
        # Hundredths of a microsecond are noise of the arithmetic, not a missed opportunity.
        rounds, rest_ms = divmod(t_ms - 1e-5, self.times_ms[-1])
        if rounds < 0:
            rounds, rest_ms = 0.0, 0.0
        return int(rounds) * len(self.times_ms) + bisect_left(self.times_ms, rest_ms)

    def time_s(self, index: int) -> float:
        """When opportunity `index` comes."""
        rounds, rest = divmod(index, len(self.times_ms))
        return (rounds * self.times_ms[-1] + self.times_ms[rest]) / 1e3


class TraceCursor:
    """Uses up the opportunities of one trace; one that nobody uses is lost."""

    def __init__(self) -> None:
        self._trace: Trace | None = None
        self._next = 0  # first opportunity that is not used up
        self._spare_bytes = 0  # of the opportunity before

    def finish_s(self, trace: Trace, size_bytes: int, now_s: float) -> float:
        """When the last of `size_bytes` that are ready at `now_s` is through; times of the trace.

        Bytes that follow while those before are still waiting share an opportunity with them.
        """
        if trace is not self._trace:
            self._trace, self._next, self._spare_bytes = trace, 0, 0
        first = trace.index_at(now_s)
        if first > self._next:
            self._next, self._spare_bytes = first, 0
        missing = size_bytes - self._spare_bytes
        if missing > 0:
            used = -(-missing // OPPORTUNITY_BYTES)
            self._next += used
            self._spare_bytes = used * OPPORTUNITY_BYTES - missing
        else:
            self._spare_bytes = -missing
        return max(now_s, trace.time_s(self._next - 1)) if self._next else now_s


def load_trace(path: Path | str) -> Trace:
    """Read a trace; ConfigError names file and line of what is wrong."""
    path = home_path(path)
    try:
        lines = path.read_text("ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"trace {path}: cannot be read: {error}") from None
    if len(lines) > LINES_MAX:
        raise ConfigError(f"trace {path}: expected at most {LINES_MAX} lines, got {len(lines)}")
    times: list[int] = []
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text.isdecimal():
            raise ConfigError(f"trace {path}, line {number}: expected ms, got {text[:40]!r}")
        if times and int(text) < times[-1]:
            raise ConfigError(
                f"trace {path}, line {number}: expected at least {times[-1]} ms, got {text[:40]}"
            )
        times.append(int(text))
    if not times or times[-1] == 0:
        raise ConfigError(f"trace {path}: expected opportunities over more than 0 ms, got none")
    return Trace(path.name, tuple(times))
