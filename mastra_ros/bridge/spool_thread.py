"""Runs a spool in a thread of its own, so that no fsync ever delays a heartbeat.

What was asked while a commit was under way goes into the next commit together.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import queue
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from ..errors import MastraError, SpoolError
from ..types import FrameKey, Packet
from .spool import Spool, SpoolStats

log = logging.getLogger(__name__)

PENDING_BYTES_MAX = 64 * 2**20
"""Payload that may wait for a slow disk before packets are given up."""

GROUP_BYTES_MAX = 2**18
"""Payload of one commit; a packet that is larger has one of its own."""

REOPEN_S = 5.0
"""Pause before a spool that could not be opened is tried again."""


@dataclass
class _Work:
    """What one commit will do."""

    puts: list[Packet] = field(default_factory=list)
    acknowledged: list[FrameKey] = field(default_factory=list)
    drops: list[tuple[FrameKey, str]] = field(default_factory=list)
    reads: list[tuple[int, frozenset[FrameKey], Future[list[Packet]]]] = field(default_factory=list)
    close: bool = False


def groups_of(packets: Sequence[Packet]) -> Iterator[list[Packet]]:
    """Packets that are kept in one commit each.

    On a full disk the log of the last commit has to be folded into the file, with no more room than
    the spool's reserve.
    """
    group: list[Packet] = []
    size = 0
    for packet in packets:
        if group and size + len(packet.payload) > GROUP_BYTES_MAX:
            yield group
            group, size = [], 0
        group.append(packet)
        size += len(packet.payload)
    if group:
        yield group


class SpoolThread:
    """A spool behind a queue. Every method returns at once; trouble is counted and in `stats`.

    `on_change` is called in the spool's thread after every commit that changed something.
    """

    def __init__(self, open_spool: Callable[[], Spool], on_change: Callable[[], None]) -> None:
        self._open_spool = open_spool
        self._on_change = on_change
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._work = _Work()
        self._pending_bytes = 0
        self._lost = 0  # packets that never reached the disk
        self._undeleted: set[FrameKey] = set()  # acknowledged, but the disk refused to forget
        self._spool: Spool | None = None
        self._tried_s = -REOPEN_S
        self._error = ""
        self._stats = SpoolStats()
        self._thread = threading.Thread(target=self._run, name="spool", daemon=True)

    def start(self) -> None:
        """Start the thread, which opens the spool."""
        self._thread.start()
        self._wake.put(None)

    @property
    def stats(self) -> SpoolStats:
        """Counts as of the last commit, with what never reached the disk."""
        stats = self._stats
        dropped = {**stats.dropped, "disk": self._lost} if self._lost else stats.dropped
        return dataclasses.replace(stats, dropped=dropped, error=self._error or stats.error)

    def put(self, packet: Packet) -> None:
        """Keep a packet."""
        with self._lock:
            if self._pending_bytes + len(packet.payload) > PENDING_BYTES_MAX or self._work.close:
                self._lost += 1
                return
            self._pending_bytes += len(packet.payload)
            self._work.puts.append(packet)
        self._wake.put(None)

    def acknowledge(self, key: FrameKey) -> None:
        """Forget a packet that arrived."""
        with self._lock:
            self._work.acknowledged.append(key)
        self._wake.put(None)

    def drop(self, key: FrameKey, reason: str) -> None:
        """Give up a packet."""
        with self._lock:
            self._work.drops.append((key, reason))
        self._wake.put(None)

    def next_batch(self, limit: int, exclude: Collection[FrameKey]) -> Future[list[Packet]]:
        """Packets to send next; an empty list when there are none or the spool is in trouble."""
        future: Future[list[Packet]] = Future()
        with self._lock:
            if self._work.close:
                future.set_result([])
            else:
                self._work.reads.append((limit, frozenset(exclude), future))
        self._wake.put(None)
        return future

    def close(self, timeout_s: float) -> bool:
        """Commit what waits and close the file; whether that was done in time."""
        with self._lock:
            self._work.close = True
        self._wake.put(None)
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    # -- in the thread ---------------------------------------------------------------------

    def _run(self) -> None:
        closing = False
        while not closing:
            with contextlib.suppress(queue.Empty):  # a disk may be well again, and nothing come
                self._wake.get(timeout=None if self._spool is not None else REOPEN_S)
            unopened = self._spool is None
            with self._lock:
                closing = self._work.close
                work, self._work = self._work, _Work(close=closing)
                self._pending_bytes = 0
            self._commit(work)
            if self._spool is not None:
                self._stats = self._spool.stats()
            for limit, exclude, future in work.reads:
                self._read(limit, exclude, future)
            opened = unopened and self._spool is not None and self._stats.records > 0
            # Not for reads: they change nothing.
            if opened or work.puts or work.acknowledged or work.drops:
                self._on_change()
        if self._spool is not None:
            self._spool.close()

    # Whatever is wrong with one packet or job must not end the thread: hence `Exception`.

    def _commit(self, work: _Work) -> None:
        try:
            self._ensure_open()
        except Exception as error:
            self._report(error)
        for packets in groups_of(work.puts):
            self._put(packets)
        self._undeleted.update(work.acknowledged)
        if self._spool is None:
            return
        try:
            for key, reason in work.drops:
                self._spool.drop(key, reason)
            if self._undeleted:
                self._spool.acknowledge(self._undeleted)
                self._undeleted.clear()
        except Exception as error:
            self._report(error)  # what is not deleted now is not sent again, and tried later

    def _put(self, packets: list[Packet]) -> None:
        if not packets:
            return
        try:
            if self._spool is not None:
                self._spool.put(packets)
                self._error = ""
                return
        except SpoolError as error:
            self._report(error)
        except Exception as error:
            if len(packets) == 1:
                self._report(error)
            else:  # only the faulty one is lost; those that were kept already stay as they are
                for packet in packets:
                    self._put([packet])
                return
        with self._lock:
            self._lost += len(packets)

    def _read(self, limit: int, exclude: frozenset[FrameKey], future: Future[list[Packet]]) -> None:
        packets: list[Packet] = []
        try:
            if self._spool is not None:
                packets = self._spool.next_batch(limit, exclude | self._undeleted)
                self._stats = self._spool.stats()
        except Exception as error:
            self._report(error)
        if future.set_running_or_notify_cancel():
            future.set_result(packets)

    def _ensure_open(self) -> Spool:
        if self._spool is None:
            now_s = time.monotonic()
            if now_s - self._tried_s < REOPEN_S:
                raise SpoolError(self._error)
            self._tried_s = now_s
            self._spool = self._open_spool()
            self._error = ""
        return self._spool

    def _report(self, error: Exception) -> None:
        ours = isinstance(error, MastraError)
        text = str(error) if ours else f"{type(error).__name__}: {error}"
        if text != self._error:
            self._error = text
            log.error("spool: %s", text, exc_info=None if ours else error)
