"""Runs the finders in a thread of their own, so that one which hangs holds up nobody for good."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..errors import Withheld
from .region import Finder, Image, Region


@dataclass
class _Job:
    """One picture to be searched, and what came of it."""

    image: Image
    began_ns: int
    done: threading.Event = field(default_factory=threading.Event)
    found: list[list[Region]] = field(default_factory=list)  # by finder
    error: BaseException | None = None


class Search:
    """All finders on one picture, one after the other; used by one thread at a time.

    A Python thread cannot be ended. So while a search that was given up goes on, every other
    picture is refused at once; when it has ended, its answer is thrown away and all is well.
    """

    def __init__(self, finders: Sequence[Finder]) -> None:
        self._finders = list(finders)
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._given_up: _Job | None = None

    @property
    def hangs(self) -> str:
        """What is still at it long after it was given up; empty if nothing is."""
        job = self._given_up
        if job is None or job.done.is_set():
            return ""
        return f"a search hangs since {(time.monotonic_ns() - job.began_ns) / 1e9:.0f} s"

    def run(self, image: Image, timeout_ms: float) -> list[list[Region]]:
        """What each finder finds. Withheld when there is no answer to be believed."""
        if self.hangs:
            raise Withheld(self.hangs)
        self._given_up = None
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="privacy", daemon=True)
            self._thread.start()
        job = _Job(image, time.monotonic_ns())
        self._jobs.put(job)
        if not job.done.wait(timeout_ms / 1e3):
            self._given_up = job
            raise Withheld(f"the search took longer than {timeout_ms:g} ms")
        if job.error is not None:
            raise Withheld(
                f"the search failed: {type(job.error).__name__}: {job.error}"
            ) from job.error
        return job.found

    def close(self) -> None:
        """End the thread and free the finders; one that hangs is left as it is."""
        if self._thread is None:
            self._free()
        else:
            self._jobs.put(None)
            if not self.hangs:
                self._thread.join()
            self._thread = None

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._do(job)
        self._free()

    def _do(self, job: _Job) -> None:
        try:
            for finder in self._finders:
                found = finder.find(job.image)
                if not isinstance(found, list) or not all(isinstance(r, Region) for r in found):
                    raise TypeError(f"{finder.name}: expected a list of regions")
                job.found.append(found)
        except BaseException as error:  # told to whoever waits
            job.error = error
        finally:
            job.done.set()

    def _free(self) -> None:
        for finder in self._finders:
            finder.close()
