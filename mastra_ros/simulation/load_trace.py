"""What other programs take of a machine, over time."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import ConfigError

MOST = 0.9
"""Others never take more, so that work always gets done."""


@dataclass(frozen=True)
class LoadTrace:
    """Steps of the share of all cores that others use, and of memory; the last one stays."""

    start_ms: tuple[float, ...] = (0.0,)
    cpu: tuple[float, ...] = (0.0,)
    memory: tuple[float, ...] = (0.3,)

    def __post_init__(self) -> None:
        same = len(self.start_ms) == len(self.cpu) == len(self.memory)
        rising = all(a < b for a, b in zip(self.start_ms, self.start_ms[1:], strict=False))
        if not same or not self.start_ms or self.start_ms[0] != 0 or not rising:
            raise ConfigError("load trace: expected steps from 0 on, each later than the last")
        if not all(0 <= share <= 1 for share in (*self.cpu, *self.memory)):
            raise ConfigError("load trace: expected shares of 0 to 1")

    @classmethod
    def read(cls, path: Path) -> LoadTrace:
        """Read CSV with a header: time_s, cpu and, if there is one, memory."""
        try:
            with path.open(encoding="utf-8", newline="") as file:
                rows = [
                    (float(r["time_s"]) * 1e3, float(r["cpu"]), float(r.get("memory") or 0.3))
                    for r in csv.DictReader(file)
                ]
        except KeyError as error:
            raise ConfigError(f"{path}: expected the columns time_s and cpu: {error}") from None
        except (OSError, ValueError, TypeError) as error:
            raise ConfigError(f"{path}: not a table of numbers: {error}") from error
        if not rows:
            raise ConfigError(f"{path}: expected a row of numbers below the header, got none")
        start, cpu, memory = zip(*rows, strict=True)
        return cls(start, cpu, memory)

    @classmethod
    def bursts(cls, seconds: float, seed: int, *, busy: float = 0.5) -> LoadTrace:
        """Seeded: calm for 5 to 30 s (share 0.05), then busy for 3 to 15 s, and so on."""
        rng = np.random.default_rng([seed, 77])
        starts, cpu, now = [0.0], [0.05], 0.0
        while now < seconds:
            low, high = (5.0, 30.0) if len(cpu) % 2 else (3.0, 15.0)
            now += float(rng.uniform(low, high))
            starts.append(now * 1e3)
            cpu.append(busy if len(cpu) % 2 else 0.05)
        return cls(tuple(starts), tuple(cpu), tuple(0.3 for _ in cpu))

    def _at(self, ms: float) -> int:
        return max(0, int(np.searchsorted(self.start_ms, ms, side="right")) - 1)

    def cpu_at(self, ms: float) -> float:
        """Share of all cores that others use now."""
        return self.cpu[self._at(ms)]

    def memory_at(self, ms: float) -> float:
        """Share of memory in use now."""
        return self.memory[self._at(ms)]

    def least_slowdown(self, from_ms: float, to_ms: float) -> float:
        """The least of `slowdown` between two moments."""
        return _slowdown(min(self.cpu[self._at(from_ms) : self._at(to_ms) + 1]))

    def slowdown(self, ms: float) -> float:
        """How many times longer work takes that needs all cores."""
        return _slowdown(self.cpu_at(ms))


def _slowdown(cpu: float) -> float:
    return 1.0 / (1.0 - min(cpu, MOST))
