"""A row of the matrix: one attack with its own mechanism, and what has to hold while it goes on."""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .site import Sites

MEBIBYTE = 2**20


@dataclass
class Record:
    """What was seen while a row ran. Memory in bytes, latencies in ms."""

    attempts: int = 0
    lost: int = 0  # frames of the healthy device that were never answered, or acknowledged in vain
    twice: int = 0  # frames that counted twice
    memory_before: int = 0
    memory_after: int = 0
    memory_most: int = 0
    memory_allowed: int = 0  # above the memory before; 0 is not looked at
    p99_without_ms: float = 0.0
    p99_with_ms: float = 0.0
    faults: list[str] = field(default_factory=list)

    def expect(self, holds: bool, what: str) -> None:
        """Take down as a fault what does not hold."""
        if not holds:
            self.faults.append(what)

    @property
    def complaints(self) -> list[str]:
        """All that does not hold, without the latency, which needs a quiet machine."""
        found = list(self.faults)
        if self.lost or self.twice:
            found.append(f"{self.lost} frames lost, {self.twice} counted twice")
        grown = self.memory_most - self.memory_before
        if self.memory_allowed and grown > self.memory_allowed:
            found.append(
                f"memory grew by {grown / MEBIBYTE:.0f} MiB, "
                f"allowed are {self.memory_allowed / MEBIBYTE:.0f}"
            )
        return found


Attack = Callable[["Sites", Record], None]


@dataclass(frozen=True)
class Row:
    """One attack. `item`: of what it is an instance; rows of an item differ in mechanism.

    alone: there is no device beside it whose latency would want the median of several runs.
    """

    name: str
    item: str
    attack: Attack
    alone: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """Item and name."""
        return self.item, self.name

    @property
    def number(self) -> int:
        """With which its item begins."""
        return int(self.item.split()[0])

    def run(self, sites: Sites) -> Record:
        """Attack, and tell what was seen; an error of the attack itself is a fault too."""
        record = Record()
        try:
            self.attack(sites, record)
        except Exception as error:
            record.faults.append(f"{type(error).__name__}: {error}")
        return record


_rows: dict[str, Row] = {}


def row(item: str, name: str, *, alone: bool = False) -> Callable[[Attack], Attack]:
    """Declare a function as the attack of a row."""

    def declare(attack: Attack) -> Attack:
        assert name not in _rows, name
        _rows[name] = Row(name, item, attack, alone)
        return attack

    return declare


def all_rows() -> list[Row]:
    """Every row of every module of this package, in order of item and name."""
    package = __name__.rpartition(".")[0]
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        importlib.import_module(f"{package}.{module.name}")
    return sorted(_rows.values(), key=lambda one: (one.number, one.item, one.name))


@contextlib.contextmanager
def many_files() -> Iterator[None]:
    """Let this process open as many connections as the system allows it."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65_536), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
