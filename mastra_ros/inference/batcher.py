"""Gathers single requests into batches for a model. Made for the gateway's event loop.

The rules are those of the dynamic batcher of NVIDIA Triton (sizes up to a bound, a bounded
delay, priorities), which go back to Clipper (Crankshaw et al., NSDI 2017): while a batch runs
the next one gathers, so batches grow with the load, and a quiet server adds no delay but
`delay_ms`.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from ..errors import LinkError, ModelError

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


class DynamicBatcher(Generic[T, R]):
    """One queue before one model. Used from one event loop; `run_batch` has its own thread.

    A batch starts when it is full or its oldest item has waited `delay_ms`, but never before
    the last one has ended. When a batch fails, its items are run one by one, so that only the
    faulty one fails. `size_max` may be changed at any time. `on_batch(size, queue_ms, run_ms)`
    hears of every run that succeeded, where `queue_ms` is the wait of its oldest item.
    """

    def __init__(
        self,
        run_batch: Callable[[list[T]], list[R]],
        *,
        size_max: int,
        delay_ms: float,
        queue_max: int,
        on_batch: Callable[[int, float, float], None] | None = None,
    ) -> None:
        self._run_batch = run_batch
        self.size_max = size_max
        self._delay_s = delay_ms / 1e3
        self._queue_max = queue_max
        self._on_batch = on_batch
        self._queue: list[_Waiting[T, R]] = []
        self._in_work: list[_Waiting[T, R]] = []
        self._number = 0
        self._changed = asyncio.Event()
        self._closing = False
        self._runner: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="batch")

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

    def put(self, item: T, priority: int = LIVE) -> asyncio.Future[R]:
        """As `submit`, for who does not wait: LinkError at once, other errors in the future."""
        return self._put(item, priority).answer

    def _put(self, item: T, priority: int) -> _Waiting[T, R]:
        if self._closing:
            raise LinkError("the model is being closed")
        if len(self._queue) >= self._queue_max:
            raise LinkError(f"overloaded: {len(self._queue)} frames wait for the model")
        loop = asyncio.get_running_loop()
        if self._runner is None:
            self._runner = loop.create_task(self._work(), name="batcher")
        self._number += 1
        answer: asyncio.Future[R] = loop.create_future()
        waiting = _Waiting(priority, self._number, loop.time(), item, answer)
        heapq.heappush(self._queue, waiting)
        self._changed.set()
        return waiting

    async def close(self, timeout_s: float | None = None) -> bool:
        """Refuse those that wait, let the run in work end, free the thread.

        False when the run has not ended within `timeout_s`: its items are refused too, and the
        thread is left to itself, since nothing can end it.
        """
        self._closing = True
        for waiting in self._queue:
            if not waiting.answer.done():
                waiting.answer.set_exception(LinkError("the model is being closed"))
        self._queue.clear()
        self._changed.set()
        if self._runner is not None:
            done, _ = await asyncio.wait({self._runner}, timeout=timeout_s)
            if not done:
                self._abandon(self._runner)
                return False
            await self._runner
        self._thread.shutdown()
        return True

    def _abandon(self, runner: asyncio.Task[None]) -> None:
        for waiting in self._in_work:
            if not waiting.answer.done():
                waiting.answer.set_exception(LinkError("the model does not answer"))
        runner.cancel()
        self._thread.shutdown(wait=False)

    def _forget(self, waiting: _Waiting[T, R]) -> None:
        """Give the place of one that no longer waits to others."""
        with contextlib.suppress(ValueError):  # it is in work already
            self._queue.remove(waiting)
            heapq.heapify(self._queue)
            self._changed.set()

    async def _work(self) -> None:
        while not self._closing:
            await self._gathered()
            batch = self._take()
            if batch:
                await self._answer(batch)

    async def _gathered(self) -> None:
        """Wait until a batch should start, or something has to be looked at again."""
        loop = asyncio.get_running_loop()
        while not self._closing and len(self._queue) < self.size_max:
            self._changed.clear()
            rest: float | None = None
            if self._queue:
                rest = min(one.at for one in self._queue) + self._delay_s - loop.time()
                if rest <= 0:
                    return
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._changed.wait(), rest)

    def _take(self) -> list[_Waiting[T, R]]:
        size = min(self.size_max, len(self._queue))
        batch = [heapq.heappop(self._queue) for _ in range(size)]
        return [one for one in batch if not one.answer.done()]

    async def _answer(self, batch: list[_Waiting[T, R]]) -> None:
        try:
            results = await self._run(batch)
        except Exception as error:
            if len(batch) > 1:
                _log.debug("a batch of %d failed, running one by one: %s", len(batch), error)
                for one in batch:
                    if not one.answer.done():
                        await self._answer([one])
            elif not batch[0].answer.done():
                batch[0].answer.set_exception(error)
            return
        for one, result in zip(batch, results, strict=True):
            if not one.answer.done():
                one.answer.set_result(result)

    async def _run(self, batch: list[_Waiting[T, R]]) -> list[R]:
        loop = asyncio.get_running_loop()
        started = loop.time()
        items = [one.item for one in batch]
        self._in_work = batch
        results: list[R] = await loop.run_in_executor(self._thread, self._run_batch, items)
        if len(results) != len(batch):
            raise ModelError(f"batch of {len(batch)}: expected as many results, got {len(results)}")
        if self._on_batch is not None:
            waited = started - min(one.at for one in batch)
            self._on_batch(len(batch), waited * 1e3, (loop.time() - started) * 1e3)
        return results
