"""Links as recorded: Mahimahi traces and tables of time, round trip, loss and rate.

A direction carries messages one after the other. What it needs of TCP is only this order, and
that a lost segment delays what comes after it: congestion control is left out, so a flow
gets all that the trace has.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError

MTU_BYTES = 1500
"""Bytes of one delivery opportunity."""
SLOT_MS = 100.0
"""Losses are drawn for slots of this length, so that they hang on time and not on the policy."""


class Capacity(Protocol):
    """What one direction can carry, and when. Times are ms from the start of the trace."""

    def done_ms(self, size_bytes: float, from_ms: float) -> float:
        """When a message that starts at `from_ms` has left, if it has the link for itself."""
        ...

    # For the offline optimum: without losses, and as if messages could share an opportunity's
    # millisecond. A *place* counts what was carried; a smaller one is never worse.

    def place(self, ms: float) -> float:
        """The first place at or after this moment."""
        ...

    def after(self, place: float, size_bytes: float) -> tuple[float, float]:
        """A message that starts at this place: the place behind it, and when it has left."""
        ...

    def latest_ms(self, size_bytes: float, by_ms: float) -> float:
        """The latest start for a message that has to have left by then."""
        ...


class Opportunities:
    """A Mahimahi trace: at each of its times, one packet of 1,500 bytes can leave.

    As in Mahimahi it is repeated from the start at its end, a time that has passed unused is lost,
    and small messages share a packet only if they wait together: here, each has its own.
    Source: Netravali et al., Mahimahi, USENIX ATC 2015.
    """

    def __init__(self, times_ms: NDArray[np.float64]) -> None:
        if not len(times_ms) or times_ms[-1] <= 0 or (np.diff(times_ms) < 0).any():
            raise ConfigError("trace: expected increasing times in ms, the last above 0")
        self._times = times_ms
        self.period_ms = float(times_ms[-1])

    @classmethod
    def read(cls, path: Path) -> Opportunities:
        """Read a file of one time in ms a line."""
        try:
            times = np.loadtxt(path, dtype=np.float64, ndmin=1)
        except (OSError, ValueError) as error:
            raise ConfigError(f"{path}: not a Mahimahi trace: {error}") from error
        return cls(times)

    def done_ms(self, size_bytes: float, from_ms: float) -> float:
        """See Capacity."""
        return self.after(self.place(from_ms), size_bytes)[1]

    def place(self, ms: float) -> float:
        """See Capacity: counts opportunities."""
        lap, within = divmod(max(0.0, ms), self.period_ms)
        return int(lap) * len(self._times) + int(np.searchsorted(self._times, within, side="left"))

    def after(self, place: float, size_bytes: float) -> tuple[float, float]:
        """See Capacity."""
        behind = place + max(1, math.ceil(size_bytes / MTU_BYTES))
        return behind, self._at(int(behind) - 1)

    def latest_ms(self, size_bytes: float, by_ms: float) -> float:
        """See Capacity."""
        lap, within = divmod(by_ms, self.period_ms)
        usable = int(lap) * len(self._times)
        usable += int(np.searchsorted(self._times, within, side="right"))
        first = usable - max(1, math.ceil(size_bytes / MTU_BYTES))
        return self._at(first) if first >= 0 else -math.inf

    def _at(self, place: int) -> float:
        lap, index = divmod(place, len(self._times))
        return lap * self.period_ms + float(self._times[index])

    @property
    def mean_bps(self) -> float:
        """Mean rate over the whole trace."""
        return len(self._times) * MTU_BYTES * 8e3 / self.period_ms


@dataclass(frozen=True)
class Table:
    """A link as steps: from `start_ms` on, so much rate, round trip and loss."""

    start_ms: NDArray[np.float64]
    rate_bps: NDArray[np.float64]
    rtt_ms: NDArray[np.float64]
    loss: NDArray[np.float64]
    seed: int = 0

    def __post_init__(self) -> None:
        steps = np.diff(self.start_ms)
        if not len(self.start_ms) or self.start_ms[0] != 0 or (steps <= 0).any():
            raise ConfigError("trace: expected times from 0 on, each later than the one before")
        if not (self.rate_bps >= 0).all() or not self.rate_bps[-1] > 0:
            raise ConfigError("trace: expected rates >= 0 bit/s, the last above 0")
        if not ((self.loss >= 0) & (self.loss < 1)).all() or not (self.rtt_ms >= 0).all():
            raise ConfigError("trace: expected losses of 0 to below 1 and round trips >= 0 ms")

    @classmethod
    def read(cls, path: Path, seed: int = 0) -> Table:
        """Read CSV with a header: time_s, rtt_ms, loss, rate_bps."""
        names = ("time_s", "rtt_ms", "loss", "rate_bps")
        try:
            with path.open(encoding="utf-8", newline="") as file:
                rows = [[float(row[name]) for name in names] for row in csv.DictReader(file)]
        except KeyError as error:
            raise ConfigError(
                f"{path}: expected the columns {', '.join(names)}, {error} is missing"
            ) from None
        except (OSError, ValueError, TypeError) as error:
            raise ConfigError(f"{path}: not a table of numbers: {error}") from error
        if not rows:
            raise ConfigError(f"{path}: expected a row of numbers below the header, got none")
        columns = np.asarray(rows, np.float64).T
        return cls(columns[0] * 1e3, columns[3], columns[1], columns[2], seed)

    def _at(self, ms: float) -> int:
        return max(0, int(np.searchsorted(self.start_ms, ms, side="right")) - 1)

    def rtt_at(self, ms: float) -> float:
        """Round trip at this moment."""
        return float(self.rtt_ms[self._at(ms)])

    def least_rtt_ms(self, from_ms: float, to_ms: float) -> float:
        """Least round trip between two moments."""
        return float(self.rtt_ms[self._at(from_ms) : self._at(to_ms) + 1].min())

    def place(self, ms: float) -> float:
        """See Capacity: a time in ms."""
        return max(0.0, ms)

    def after(self, place: float, size_bytes: float) -> tuple[float, float]:
        """See Capacity."""
        left, now, step = size_bytes * 8e3, place, self._at(place)
        while step + 1 < len(self.start_ms):
            room = self.rate_bps[step] * (self.start_ms[step + 1] - now)
            if room >= left:
                break
            left, now, step = left - room, float(self.start_ms[step + 1]), step + 1
        done = now + left / float(self.rate_bps[step])
        return done, done

    def latest_ms(self, size_bytes: float, by_ms: float) -> float:
        """See Capacity."""
        left, now, step = size_bytes * 8e3, by_ms, self._at(by_ms)
        while (room := self.rate_bps[step] * (now - self.start_ms[step])) < left:
            left, now, step = left - room, float(self.start_ms[step]), step - 1
            if step < 0:
                return -math.inf
        return now - left / float(self.rate_bps[step])

    def done_ms(self, size_bytes: float, from_ms: float) -> float:
        """See Capacity. A loss costs one round trip more (fast retransmission, RFC 5681)."""
        done, _ = self.after(self.place(from_ms), size_bytes)
        loss = float(self.loss[self._at(from_ms)])
        if loss > 0:
            lost = 1 - (1 - loss) ** math.ceil(size_bytes / MTU_BYTES)
            slot = np.random.default_rng([self.seed, int(from_ms // SLOT_MS)])
            if slot.random() < lost:
                done += self.rtt_at(from_ms)
        return done


@dataclass(frozen=True)
class LinkTrace:
    """Both directions and what light and routers add to each way."""

    name: str
    up: Capacity
    down: Capacity
    rtt_ms: float  # the round trip without any queue, halved for each way

    def way_ms(self, ms: float) -> float:
        """From one end to the other at this moment, besides the time on the link."""
        rtt_ms = self.up.rtt_at(ms) if isinstance(self.up, Table) else self.rtt_ms
        return rtt_ms / 2

    def least_way_ms(self, from_ms: float, to_ms: float) -> float:
        """The least of `way_ms` between two moments."""
        return (
            self.up.least_rtt_ms(from_ms, to_ms) / 2
            if isinstance(self.up, Table)
            else (self.rtt_ms / 2)
        )


class Direction:
    """One direction with its queue."""

    def __init__(self, capacity: Capacity) -> None:
        self._capacity = capacity
        self.free_ms = 0.0

    def send(self, size_bytes: float, now_ms: float) -> float:
        """Queue a message; when it has left."""
        # A packet leaves at an opportunity; the next message takes the next one.
        self.free_ms = self._capacity.done_ms(size_bytes, max(now_ms, self.free_ms))
        done, self.free_ms = self.free_ms, self.free_ms + 1e-6
        return done

    def clear(self, now_ms: float) -> None:
        """Forget what is queued: the connection was given up."""
        self.free_ms = min(self.free_ms, now_ms)


def open_trace(path: str | Path, rtt_ms: float, seed: int = 0) -> LinkTrace:
    """A link from NAME.csv, or from NAME.up and NAME.down (either, or the name without suffix)."""
    path = Path(path)
    if path.suffix == ".csv":
        table = Table.read(path, seed)
        return LinkTrace(path.stem, table, table, rtt_ms)
    base = path.with_suffix("") if path.suffix in (".up", ".down") else path
    name = base.name
    up, down = (base.with_name(name + suffix) for suffix in (".up", ".down"))
    for file in (up, down):
        if not file.exists():
            raise ConfigError(f"{file}: not found; expected NAME.up and NAME.down, or NAME.csv")
    return LinkTrace(name, Opportunities.read(up), Opportunities.read(down), rtt_ms)
