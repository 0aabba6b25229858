"""Keeps one result a frame: the interface, and its form in memory for tests.

A frame is known by (device, stream, stamp, id). Whatever was committed once is never replaced, so
a frame counts once however often it was sent. A device of an older version sends no id: its frames
have the empty one, and are known by device, stream and stamp.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

from ..errors import StoreError


class FrameId(NamedTuple):
    """Names one frame of all devices."""

    device: str
    stream: str
    stamp_ns: int
    id: str = ""


@dataclass(frozen=True)
class Record:
    """A committed result; `data` is its message as bytes."""

    frame: FrameId
    data: bytes


@dataclass(frozen=True)
class Commit:
    """What came of a commit: `record` is the one that is kept, which for a duplicate is older."""

    record: Record
    duplicate: bool


Committed = Callable[[Sequence[Commit], "Exception | None"], None]
"""Hears of a group, from whatever thread: what came of each, or the error that all of it had."""


@runtime_checkable
class ResultStore(Protocol):
    """Results, each under its frame. Methods may be called from any thread."""

    def find(self, frame: FrameId) -> Record | None:
        """The committed result of a frame, or None."""
        ...

    def find_all(self, frames: Sequence[FrameId]) -> dict[FrameId, Record]:
        """The committed results of those of the frames that have one."""
        ...

    def commit_all(
        self, records: Sequence[Record], done: Committed, *, at_once: bool = False
    ) -> None:
        """Keep a group, each as `commit` does; `done` hears of it once, when it would survive.

        at_once: the thread that asks has nothing better to do meanwhile.
        """
        ...

    def commit(self, record: Record) -> Future[Commit]:
        """Keep a result unless its frame has one; done when it would survive a crash.

        The future raises StoreError when the result could not be kept.
        """
        ...

    def count(self) -> int:
        """Results that are kept."""
        ...

    def check(self) -> None:
        """Raise StoreError when nothing can be kept any more."""
        ...

    def close(self) -> None:
        """Commit what waits, then close; a second call does nothing."""
        ...


class MemoryStore:
    """The store without a disk; the oldest results beyond `results_max` are forgotten."""

    def __init__(
        self, results_max: int = 1_000_000, on_commit: Callable[[int, float], None] | None = None
    ) -> None:
        self._results: dict[FrameId, Record] = {}
        self._results_max = results_max
        self._on_commit = on_commit
        self._lock = threading.Lock()

    def find(self, frame: FrameId) -> Record | None:
        with self._lock:
            return self._results.get(frame)

    def find_all(self, frames: Sequence[FrameId]) -> dict[FrameId, Record]:
        found = ((frame, self.find(frame)) for frame in frames)
        return {frame: record for frame, record in found if record is not None}

    def commit_all(
        self,
        records: Sequence[Record],
        done: Committed,
        *,
        at_once: bool = False,  # noqa: ARG002 - it is always at once
    ) -> None:
        try:
            commits = [self.commit(record).result() for record in records]
        except StoreError as error:
            done((), error)
        else:
            done(commits, None)

    def commit(self, record: Record) -> Future[Commit]:
        done: Future[Commit] = Future()
        with self._lock:
            kept = self._results.setdefault(record.frame, record)
            while len(self._results) > self._results_max:
                del self._results[next(iter(self._results))]
        if self._on_commit is not None:
            self._on_commit(1, 0.0)
        done.set_result(Commit(kept, kept is not record))
        return done

    def count(self) -> int:
        with self._lock:
            return len(self._results)

    def check(self) -> None:
        """Memory can always be written."""

    def close(self) -> None:
        """Nothing to close."""
