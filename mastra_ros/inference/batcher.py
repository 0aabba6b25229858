"""Gathers single requests into batches for a model. Made for the gateway's event loop.

The rules are those of the dynamic batcher of NVIDIA Triton (sizes up to a bound, a bounded
delay, priorities, several instances), which go back to Clipper (Crankshaw et al., NSDI 2017):
while a batch runs the next one gathers, so batches grow with the load, and a quiet server adds
no delay but `delay_ms`. A request changes threads twice, however many go together: when its batch
begins and when it has ended; and not at all where that would take longer than the run.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from ..errors import LinkError, ModelError
from .quickness import Quickness

T = TypeVar("T")
R = TypeVar("R")

_log = logging.getLogger(__name__)

LIVE = 0
"""Priority of frames that somebody waits for."""

LATE = 1
"""Priority of frames from a spool: they go when no live one waits."""


@dataclass(order=True)
class _Waiting(Generic[T, R]):
    priority: int
    number: int
    at: float = field(compare=False)  # of the loop's clock, s
    item: T = field(compare=False)
    answer: asyncio.Future[R] = field(compare=False)
    quick: bool = field(compare=False)


class DynamicBatcher(Generic[T, R]):
    """One queue before one model. Used from one event loop; each instance has its own thread.

    `run_batch` is called with the items of a batch; of several, one for each instance of the model,
    each runs one batch at a time, and whichever has nothing to do takes the next.

    A batch starts when it is full or its oldest item has waited `delay_ms`, but never before an
    instance has nothing to do. When a batch fails, its items are run one by one, so that only the
    faulty one fails. `size_max` may be changed at any time. `on_batch(size, queue_ms, run_ms)`
    hears of every run that succeeded, where `queue_ms` is the wait of its oldest item.

    Items that are put as `quick` may be run in the event loop itself, a few in a turn, while no
    others wait: they bring nothing to their run but what the model does with each alike.
    """

    def __init__(
        self,
        run_batch: Callable[[list[T]], list[R]] | Sequence[Callable[[list[T]], list[R]]],
        *,
        size_max: int,
        delay_ms: float,
        queue_max: int,
        on_batch: Callable[[int, float, float], None] | None = None,
    ) -> None:
        runs = [run_batch] if callable(run_batch) else list(run_batch)
        self.size_max = size_max
        self._delay_s = delay_ms / 1e3
        self._queue_max = queue_max
        self._on_batch = on_batch
        self._queue: list[_Waiting[T, R]] = []
        self._number = 0
        self._instances = [_Instance[T, R](run, self._ran) for run in runs]
        self._idle = list(reversed(self._instances))  # the first is taken first
        self._loop: asyncio.AbstractEventLoop | None = None
        self._looking = False
        self._timer: asyncio.TimerHandle | None = None
        self._closing = False
        self._all_idle: asyncio.Future[None] | None = None  # who closes waits for it
        self._quickness = Quickness()
        self._running_here = False

    @property
    def queued(self) -> int:
        """Items that wait, without those in work."""
        return len(self._queue)

    async def submit(self, item: T, priority: int = LIVE) -> R:
        """The model's answer for `item`. Lower priorities go first, then older items.

        Raises:
            LinkError: too many wait, or the batcher is closed.
            Exception: whatever `run_batch` raised for this item alone.
        """
        waiting = self._put(item, priority)
        try:
            return await waiting.answer
        except asyncio.CancelledError:
            self._forget(waiting)
            raise

    def put(self, item: T, priority: int = LIVE, *, quick: bool = False) -> asyncio.Future[R]:
        """As `submit`, for who does not wait: LinkError at once, other errors in the future."""
        return self._put(item, priority, quick=quick).answer

    def _put(self, item: T, priority: int, *, quick: bool = False) -> _Waiting[T, R]:
        if self._closing:
            raise LinkError("the model is being closed")
        if len(self._queue) >= self._queue_max:
            raise LinkError(f"overloaded: {len(self._queue)} frames wait for the model")
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        self._number += 1
        answer: asyncio.Future[R] = loop.create_future()
        waiting = _Waiting(priority, self._number, loop.time(), item, answer, quick)
        heapq.heappush(self._queue, waiting)
        self._look_soon()
        return waiting

    async def close(self, timeout_s: float | None = None) -> bool:
        """Refuse those that wait, let the runs in work end, free the threads.

        False when a run has not ended within `timeout_s`: its items are refused too, and the
        thread is left to itself, since nothing can end it.
        """
        self._closing = True
        self._refuse(self._queue, "the model is being closed")
        self._queue.clear()
        if len(self._idle) < len(self._instances):
            if self._all_idle is None:
                self._all_idle = asyncio.get_running_loop().create_future()
            await asyncio.wait({self._all_idle}, timeout=timeout_s)
        for instance in self._instances:
            self._refuse(instance.batch, "the model does not answer")
            self._refuse(instance.singly, "the model does not answer")
            instance.singly.clear()
            instance.end()
        return len(self._idle) == len(self._instances)

    @staticmethod
    def _refuse(those: Sequence[_Waiting[T, R]], text: str) -> None:
        for waiting in those:
            if not waiting.answer.done():
                waiting.answer.set_exception(LinkError(text))

    def _forget(self, waiting: _Waiting[T, R]) -> None:
        """Give the place of one that no longer waits to others."""
        with contextlib.suppress(ValueError):  # it is in work already
            self._queue.remove(waiting)
            heapq.heapify(self._queue)

    # -- beginning -------------------------------------------------------------------------

    def _look_soon(self) -> None:
        """After all that comes in this turn of the event loop."""
        if not self._looking and self._idle and self._loop is not None:
            self._looking = True
            self._loop.call_soon(self._look)

    def _look(self) -> None:
        """Let batches begin that should begin now."""
        assert self._loop is not None
        self._looking = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._idle and self._queue and not self._closing:
            if len(self._queue) < self.size_max and self._delay_s:
                due = min(one.at for one in self._queue) + self._delay_s
                if due > self._loop.time():
                    self._timer = self._loop.call_at(due, self._look_soon)
                    return
            if self._quickness.size and all(one.quick for one in self._queue):
                self._run_here()
                return
            self._begin(self._idle.pop(), self._take(self.size_max))

    def _take(self, size_max: int) -> deque[_Waiting[T, R]]:
        size = min(size_max, len(self._queue))
        return deque(heapq.heappop(self._queue) for _ in range(size))

    def _run_here(self) -> None:
        """Some of what waits, in this thread; the rest in a later turn of the event loop."""
        assert self._loop is not None
        some = self._take(min(self.size_max, self._quickness.size))
        batch = [one for one in some if not one.answer.done()]
        self._running_here = True
        try:
            if batch:
                self._idle.pop().run_here(batch, self._loop)
        finally:
            self._running_here = False
        if self._queue:
            self._look_soon()

    def _begin(self, instance: _Instance[T, R], some: Sequence[_Waiting[T, R]]) -> None:
        """Run those that still wait, or what this instance has to run one by one, or nothing."""
        assert self._loop is not None
        batch = [one for one in some if not one.answer.done()]
        while not batch and instance.singly:
            batch = [one for one in (instance.singly.popleft(),) if not one.answer.done()]
        if batch:
            instance.begin(batch, self._loop)
            return
        self._idle.append(instance)
        if self._all_idle is not None and len(self._idle) == len(self._instances):
            self._all_idle.set_result(None)

    # -- ending ----------------------------------------------------------------------------

    def _ran(
        self,
        instance: _Instance[T, R],
        results: list[R],
        error: Exception | None,
        work_ms: float,
    ) -> None:
        """An instance has run its batch."""
        batch, instance.batch = instance.batch, []
        self._quickness.ran(len(batch), work_ms)
        if error is None and len(results) != len(batch):
            text = f"batch of {len(batch)}: expected as many results, got {len(results)}"
            error = ModelError(text)
        # What waits begins first, so that the model runs while answers are given.
        if error is not None and len(batch) > 1:
            _log.debug("a batch of %d failed, running one by one: %s", len(batch), error)
            instance.singly.extend(batch)
            self._next(instance)
            return
        began_s, waited_s = instance.began_s, instance.began_s - min(one.at for one in batch)
        self._next(instance)
        if error is not None:
            if not batch[0].answer.done():
                batch[0].answer.set_exception(error)
            return
        if self._on_batch is not None and self._loop is not None:
            self._on_batch(len(batch), waited_s * 1e3, (self._loop.time() - began_s) * 1e3)
        for one, result in zip(batch, results, strict=True):
            if not one.answer.done():
                one.answer.set_result(result)

    def _next(self, instance: _Instance[T, R]) -> None:
        """What an instance runs after a batch: the rest of one that failed, or what waits."""
        self._begin(instance, ())
        if instance in self._idle and not self._running_here:
            self._look()


class _Instance(Generic[T, R]):
    """What runs batches in a thread of its own, which begins with the first of them."""

    def __init__(
        self,
        run: Callable[[list[T]], list[R]],
        ran: Callable[[_Instance[T, R], list[R], Exception | None, float], None],
    ) -> None:
        self._run = run
        self._told = ran
        self._items: queue.SimpleQueue[list[T] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self.batch: list[_Waiting[T, R]] = []
        self.singly: deque[_Waiting[T, R]] = deque()  # of a batch that failed
        self.began_s = 0.0

    def begin(self, batch: list[_Waiting[T, R]], loop: asyncio.AbstractEventLoop) -> None:
        """Run it."""
        self.batch, self.began_s = batch, loop.time()
        self._items.put([one.item for one in batch])
        if self._thread is None:
            # A daemon, for one that does not end must not keep the process.
            self._thread = threading.Thread(
                target=self._work, args=(loop,), name="batch", daemon=True
            )
            self._thread.start()

    def run_here(self, batch: list[_Waiting[T, R]], loop: asyncio.AbstractEventLoop) -> None:
        """Run it, and tell of it, in this thread."""
        self.batch, self.began_s = batch, loop.time()
        self._told(self, *self._try([one.item for one in batch], time.perf_counter))

    def end(self) -> None:
        """Let the thread end, and wait for it unless it has a batch that does not end."""
        self._items.put(None)
        if self._thread is not None and not self.batch:
            self._thread.join()

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        while (items := self._items.get()) is not None:
            results, error, work_ms = self._try(items, time.thread_time)
            del items
            try:
                loop.call_soon_threadsafe(self._told, self, results, error, work_ms)
            except RuntimeError:
                return  # the loop has ended, and all who waited
            del results, error

    def _try(
        self, items: list[T], clock_s: Callable[[], float]
    ) -> tuple[list[R], Exception | None, float]:
        """What came of a run, and how long it took, ms."""
        results: list[R] = []
        error: Exception | None = None
        began_s = clock_s()
        try:
            results = self._run(items)
        except Exception as raised:
            error = raised
        except BaseException as raised:  # whatever it is, who waits hears of it
            error = ModelError(f"{type(raised).__name__} in the thread of the model")
        return results, error, (clock_s() - began_s) * 1e3
