"""Runs the file of records in a thread of its own, so that no fsync ever delays a heartbeat.

Records that come while a commit is under way go into the next one together.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace

from ...errors import MastraError
from .sending import Settlement, Stored
from .spool import Keepable, RecordSpool, RecordStats

log = logging.getLogger(__name__)

PENDING_MAX = 4096
"""Records that may wait for a slow disk before more are refused."""
GROUP_MAX = 256
REOPEN_S = 5.0
"""Pause before a file that could not be opened is tried again."""

Put = tuple[Keepable, Callable[[str], None]]
Job = Put | Callable[[], None] | None


class RecordThread:
    """The records of a device behind a queue. Every method returns at once.

    `on_change` is called in this thread after every commit.
    """

    def __init__(
        self,
        open_spool: Callable[[], RecordSpool],
        on_change: Callable[[], object],
        *,
        name: str = "records",
        pending_max: int = PENDING_MAX,
    ) -> None:
        self._name = name
        self._pending_max = pending_max
        self._open_spool = open_spool
        self._on_change = on_change
        self._jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._pending = 0
        self._closing = False
        self._spool: RecordSpool | None = None
        self._tried_s = -REOPEN_S
        self._error = ""
        self._stats = RecordStats()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread, which opens the file."""
        self._thread.start()
        self._jobs.put(lambda: None)

    @property
    def stats(self) -> RecordStats:
        """Counts as of the last commit."""
        return replace(self._stats, error=self._error or self._stats.error)

    def put(self, record: Keepable, done: Callable[[str], None]) -> None:
        """Keep a record; `done` hears in this thread why it is not kept, empty where it is."""
        with self._lock:
            refused = "the bridge stops" if self._closing else ""
            if self._pending >= self._pending_max:
                refused = f"{self._pending} {self._name} wait for the disk"
            if not refused:
                self._pending += 1
                self._jobs.put((record, done))
        if refused:
            done(refused)

    def next_batch(
        self, after_number: int, records_max: int, bytes_max: int
    ) -> Future[list[Stored]]:
        """See RecordSpool; empty when there is nothing or the file is in trouble."""
        future: Future[list[Stored]] = Future()

        def read() -> None:
            batch: list[Stored] = []
            if self._spool is not None and self._tried(
                lambda spool: batch.extend(spool.next_batch(after_number, records_max, bytes_max))
            ):
                self._stats = self._spool.stats()
            if future.set_running_or_notify_cancel():
                future.set_result(batch)

        self._ask(read, lambda: future.set_result([]))
        return future

    def settle(self, done: Settlement) -> Future[None]:
        """See RecordSpool. What cannot be forgotten now is sent again, and counts once."""
        future: Future[None] = Future()

        def write() -> None:
            if self._spool is not None and self._tried(lambda spool: spool.settle(done)):
                self._stats = self._spool.stats()
            if future.set_running_or_notify_cancel():
                future.set_result(None)
            self._on_change()

        self._ask(write, lambda: future.set_result(None))
        return future

    def close(self, timeout_s: float) -> bool:
        """Commit what waits and close the file; whether that was done in time."""
        with self._lock:
            self._closing = True
        self._jobs.put(None)
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _ask(self, job: Callable[[], None], closed: Callable[[], None]) -> None:
        with self._lock:
            if not self._closing:
                self._jobs.put(job)
                return
        closed()

    # -- in the thread ---------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            jobs: list[Job] = []
            try:
                jobs.append(self._jobs.get(timeout=None if self._spool is not None else REOPEN_S))
            except queue.Empty:  # a disk may be well again
                self._ensure_open()
                continue
            while len(jobs) < GROUP_MAX and not self._jobs.empty():
                jobs.append(self._jobs.get())
            self._ensure_open()
            self._work(jobs)
            if None in jobs:
                break
        if self._spool is not None:
            self._spool.close()

    def _work(self, jobs: list[Job]) -> None:
        puts = [job for job in jobs if isinstance(job, tuple)]
        if puts:
            self._put(puts)
        for job in jobs:
            if callable(job):
                job()

    def _put(self, puts: list[Put]) -> None:
        answers: list[str] = []
        kept = self._spool is not None and self._tried(
            lambda spool: answers.extend(spool.put([record for record, _ in puts]))
        )
        if not kept:
            answers = [f"the spool of {self._name} is in trouble: {self._error}"] * len(puts)
        with self._lock:
            self._pending -= len(puts)
        if self._spool is not None:
            self._stats = self._spool.stats()
        for (_, done), answer in zip(puts, answers, strict=True):
            done(answer)
        self._on_change()

    def _tried(self, action: Callable[[RecordSpool], object]) -> bool:
        assert self._spool is not None
        try:
            action(self._spool)
        except Exception as error:  # whatever is wrong with one job must not end the thread
            self._report(error)
            return False
        self._error = ""
        return True

    def _ensure_open(self) -> None:
        now_s = time.monotonic()
        if self._spool is not None or now_s - self._tried_s < REOPEN_S:
            return
        self._tried_s = now_s
        try:
            self._spool = self._open_spool()
            self._stats = self._spool.stats()
            self._error = ""
        except Exception as error:
            self._report(error)
            return
        if self._stats.waiting:
            self._on_change()

    def _report(self, error: Exception) -> None:
        ours = isinstance(error, MastraError)
        text = str(error) if ours else f"{type(error).__name__}: {error}"
        if text != self._error:
            self._error = text
            log.error("records: %s", text, exc_info=None if ours else error)
