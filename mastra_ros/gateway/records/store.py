"""Keeps records of devices: the interface, and its form in memory for tests.

A record is known by (device, stream, kind, epoch, number), counts once however often it was sent,
and within a source they are kept in order. Each gets an id that grows with the order of commits.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from ...protocol.records import Committed, NotTaken, RecordItem
from ...records import RecordName, unpack_body
from .order import Sorted, Source, sort_out

SOURCES_MAX = 256
"""Kinds and epochs of one device that are known at once."""
EPOCHS_KEPT = 8
"""Of one kind: a device that is installed anew more often is counted by its latest ones."""


@dataclass(frozen=True)
class RecordBatch:
    """Records of one epoch of one stream of a device, as they came."""

    device: str
    stream: str
    epoch: str
    items: tuple[RecordItem, ...]


@dataclass(frozen=True)
class BatchCommit:
    """What came of a batch."""

    committed: list[Committed]
    refused: list[NotTaken]
    new: int = 0
    duplicates: int = 0
    missing: int = 0

    @classmethod
    def of(cls, sorted_out: Sorted) -> BatchCommit:
        """Once that is committed."""
        committed, refused = sorted_out.answers()
        return cls(
            *(committed, refused, len(sorted_out.taken)), sorted_out.duplicates, sorted_out.missing
        )


@dataclass(frozen=True)
class KeptRecord:
    """A committed record; `id` is its place in the order of commits."""

    id: int
    name: RecordName
    stamp_ns: int
    committed_s: float  # since 1970
    packed: bytes

    @property
    def body(self) -> dict[str, Any]:
        """What it says."""
        return unpack_body(self.packed)


@dataclass(frozen=True)
class Query:
    """Which records are wanted; empty texts mean all. Times in ns and in s since 1970."""

    device: str = ""
    stream: str = ""
    kind: str = ""
    from_ns: int | None = None  # by their stamp, this one included
    to_ns: int | None = None  # by their stamp, this one excluded


@runtime_checkable
class RecordStore(Protocol):
    """Records, each under its name. Methods may be called from any thread."""

    def commit(self, batch: RecordBatch) -> Future[BatchCommit]:
        """Keep what may be taken; done when it would survive a crash, StoreError when it failed."""
        ...

    def page(self, query: Query, after_id: int, records_max: int) -> list[KeptRecord]:
        """Records in the order of their commits, from behind a place on."""
        ...

    def count(self) -> int:
        """Records that are kept."""
        ...

    def keep_from(self, holder: str, first_id: int | None) -> None:
        """`holder` still needs those from this id on; None: it needs none any more."""
        ...

    def close(self) -> None:
        """Commit what waits, then close; a second call does nothing."""
        ...


def begin_refusal(sources: dict[Source, int], source: Source, begun: int) -> str:
    """Why a new source of a device is refused, beside so many begun; empty where it is not."""
    own = begun + sum(known.device == source.device for known in sources)
    return f"{own} kinds of records of this device are known" if own >= SOURCES_MAX else ""


def epochs_too_many(sources: dict[Source, int], source: Source) -> list[Source]:
    """The oldest epochs of a kind, beyond those that are kept, once `source` is in `sources`."""
    same = [known for known in sources if known[:3] == source[:3]]
    return same[: max(0, len(same) - EPOCHS_KEPT)]


class MemoryRecordStore:
    """The store without a disk."""

    def __init__(self, on_commit: Callable[[int], None] | None = None) -> None:
        self._records: dict[RecordName, KeptRecord] = {}
        self._sources: dict[Source, int] = {}
        self._closed: set[Source] = set()
        self._on_commit = on_commit
        self._lock = threading.Lock()
        self._last_id = 0

    def commit(self, batch: RecordBatch) -> Future[BatchCommit]:
        done: Future[BatchCommit] = Future()
        with self._lock:
            out = sort_out(
                *(batch.device, batch.stream, batch.epoch, batch.items),
                last_of=self._sources.get,
                kept=self._kept,
                closed=self._closed,
                may_begin=lambda source, begun: begin_refusal(self._sources, source, begun),
            )
            self._closed |= out.closed
            for source, item in out.taken:
                self._last_id += 1
                name = RecordName(*source, item.seq)
                self._records[name] = KeptRecord(
                    self._last_id, name, item.stamp_ns, time.time(), item.body
                )
            for source, last in out.last.items():
                self._sources[source] = last
                for old in epochs_too_many(self._sources, source):
                    del self._sources[old]
        done.set_result(BatchCommit.of(out))
        if self._on_commit is not None and out.taken:
            self._on_commit(len(out.taken))
        return done

    def _kept(self, source: Source, seq: int) -> tuple[int, bytes] | None:
        kept = self._records.get(RecordName(*source, seq))
        return None if kept is None else (kept.stamp_ns, kept.packed)

    def page(self, query: Query, after_id: int, records_max: int) -> list[KeptRecord]:
        with self._lock:
            return [
                kept
                for kept in self._records.values()
                if kept.id > after_id
                and query.device in ("", kept.name.device)
                and query.stream in ("", kept.name.stream)
                and query.kind in ("", kept.name.kind)
                and (query.from_ns is None or kept.stamp_ns >= query.from_ns)
                and (query.to_ns is None or kept.stamp_ns < query.to_ns)
            ][:records_max]

    def count(self) -> int:
        with self._lock:
            return len(self._records)

    def keep_from(self, holder: str, first_id: int | None) -> None:
        """Nothing is forgotten."""

    def close(self) -> None:
        """Nothing to close."""
