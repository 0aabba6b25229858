"""The batcher: who goes together, in which order, and who suffers when something fails."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable

import pytest

from mastra_ros.errors import LinkError, ModelError
from mastra_ros.inference import LATE, LIVE, DynamicBatcher

DEADLINE_S = 20.0
FOREVER_MS = 1e9


class Model:
    """Doubles its items at a gate; keeps the batches that it saw; fails on a batch with a 13."""

    def __init__(self, *, open_gate: bool = True) -> None:
        self.batches: list[list[int]] = []
        self.entered = threading.Semaphore(0)
        self.gate = threading.Event()
        if open_gate:
            self.gate.set()

    def __call__(self, items: list[int]) -> list[int]:
        self.batches.append(list(items))
        self.entered.release()
        assert self.gate.wait(DEADLINE_S)
        if 13 in items:
            raise ValueError("13 is a bad item")
        return [2 * item for item in items]


def batcher(model: Callable[[list[int]], list[int]], **options: object) -> DynamicBatcher[int, int]:
    settings = {"size_max": 4, "delay_ms": 0.0, "queue_max": 100, **options}
    return DynamicBatcher(model, **settings)  # type: ignore[arg-type]


def run(test: Awaitable[None]) -> None:
    asyncio.run(asyncio.wait_for(test, DEADLINE_S))


async def in_work(model: Model) -> None:
    """Wait until the model has been entered once more."""
    assert await asyncio.to_thread(model.entered.acquire, timeout=DEADLINE_S)


async def queued(batcher: DynamicBatcher[int, int], count: int) -> None:
    while batcher.queued != count:
        await asyncio.sleep(0)


def test_a_single_item_is_answered_at_once_where_no_delay_is_set() -> None:
    async def test() -> None:
        model = Model()
        one = batcher(model)
        assert await one.submit(4) == 8
        assert model.batches == [[4]]
        await one.close()

    run(test())


def test_a_full_batch_does_not_wait_for_the_delay() -> None:
    async def test() -> None:
        model = Model()
        one = batcher(model, delay_ms=FOREVER_MS)
        assert await asyncio.gather(*map(one.submit, range(8))) == list(range(0, 16, 2))
        assert model.batches == [[0, 1, 2, 3], [4, 5, 6, 7]]
        await one.close()

    run(test())


def test_a_batch_that_is_not_full_starts_when_its_oldest_item_has_waited_long_enough() -> None:
    async def test() -> None:
        model = Model()
        seen: list[tuple[int, float, float]] = []
        one = batcher(model, delay_ms=30.0, on_batch=lambda *values: seen.append(values))
        assert await asyncio.gather(one.submit(1), one.submit(2)) == [2, 4]
        assert model.batches == [[1, 2]]
        (size, queue_ms, run_ms) = seen[0]
        assert size == 2
        assert queue_ms >= 29.0
        assert run_ms >= 0.0
        await one.close()

    run(test())


def test_what_comes_while_a_batch_runs_gathers_and_live_goes_before_late() -> None:
    async def test() -> None:
        model = Model(open_gate=False)
        one = batcher(model)
        first = asyncio.create_task(one.submit(0))
        await in_work(model)
        late = [asyncio.create_task(one.submit(n, LATE)) for n in (50, 51, 52)]
        await queued(one, 3)
        live = [asyncio.create_task(one.submit(n, LIVE)) for n in (1, 2, 3)]
        await queued(one, 6)
        model.gate.set()
        await asyncio.gather(first, *late, *live)
        assert model.batches == [[0], [1, 2, 3, 50], [51, 52]]
        await one.close()

    run(test())


def test_one_bad_item_fails_alone_and_its_neighbours_are_answered() -> None:
    async def test() -> None:
        model = Model()
        sizes: list[int] = []
        one = batcher(model, delay_ms=FOREVER_MS, on_batch=lambda size, *_: sizes.append(size))
        answers = await asyncio.gather(*map(one.submit, (1, 13, 3, 4)), return_exceptions=True)
        assert [answers[i] for i in (0, 2, 3)] == [2, 6, 8]
        assert isinstance(answers[1], ValueError)
        assert model.batches == [[1, 13, 3, 4], [1], [13], [3], [4]]
        assert sizes == [1, 1, 1]
        await one.close()

    run(test())


def test_a_model_that_loses_an_answer_fails_clearly() -> None:
    async def test() -> None:
        one = batcher(lambda items: [])
        with pytest.raises(ModelError, match="batch of 1: expected as many results, got 0"):
            await one.submit(1)
        await one.close()

    run(test())


def test_too_many_waiting_are_refused_and_those_waiting_are_not_harmed() -> None:
    async def test() -> None:
        model = Model(open_gate=False)
        one = batcher(model, queue_max=2)
        tasks = [asyncio.create_task(one.submit(0))]
        await in_work(model)
        tasks += [asyncio.create_task(one.submit(n)) for n in (1, 2)]
        await queued(one, 2)
        with pytest.raises(LinkError, match="overloaded: 2 frames wait"):
            await one.submit(3)
        model.gate.set()
        assert await asyncio.gather(*tasks) == [0, 2, 4]
        await one.close()

    run(test())


def test_one_that_gives_up_while_waiting_is_not_run_and_frees_its_place() -> None:
    async def test() -> None:
        model = Model(open_gate=False)
        one = batcher(model, queue_max=2)
        tasks = [asyncio.create_task(one.submit(n)) for n in (0,)]
        await in_work(model)
        tasks += [asyncio.create_task(one.submit(n)) for n in (1, 2)]
        await queued(one, 2)
        tasks[1].cancel()
        await queued(one, 1)
        tasks.append(asyncio.create_task(one.submit(3)))
        await queued(one, 2)
        model.gate.set()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(answers[1], asyncio.CancelledError)
        assert [answers[i] for i in (0, 2, 3)] == [0, 4, 6]
        assert model.batches == [[0], [2, 3]]
        await one.close()

    run(test())


def test_one_that_gives_up_while_its_batch_runs_harms_nobody() -> None:
    async def test() -> None:
        model = Model(open_gate=False)
        one = batcher(model, delay_ms=FOREVER_MS)
        tasks = [asyncio.create_task(one.submit(n)) for n in range(4)]
        await in_work(model)
        tasks[2].cancel()
        model.gate.set()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert [answers[i] for i in (0, 1, 3)] == [0, 2, 6]
        assert isinstance(answers[2], asyncio.CancelledError)
        later = await asyncio.gather(*map(one.submit, range(4)))
        assert later == [0, 2, 4, 6]
        await one.close()

    run(test())


def test_when_all_in_a_failing_batch_have_given_up_it_is_not_tried_again() -> None:
    async def test() -> None:
        model = Model(open_gate=False)
        one = batcher(model, size_max=2, delay_ms=FOREVER_MS)
        tasks = [asyncio.create_task(one.submit(n)) for n in (12, 13)]
        await in_work(model)
        for task in tasks:
            task.cancel()
        model.gate.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert await asyncio.gather(one.submit(1), one.submit(2)) == [2, 4]
        assert model.batches == [[12, 13], [1, 2]]
        await one.close()

    run(test())


def test_closing_refuses_those_that_wait_and_finishes_the_run_in_work() -> None:
    async def test() -> None:
        model = Model(open_gate=False)
        one = batcher(model, size_max=1)
        working = asyncio.create_task(one.submit(5))
        await in_work(model)
        waiting = asyncio.create_task(one.submit(6))
        await queued(one, 1)
        closing = asyncio.create_task(one.close())
        with pytest.raises(LinkError, match="being closed"):
            await waiting
        model.gate.set()
        assert await working == 10
        await closing
        await one.close()
        with pytest.raises(LinkError, match="being closed"):
            await one.submit(7)

    run(test())


def test_a_batcher_never_used_can_be_closed() -> None:
    async def test() -> None:
        await batcher(Model()).close()

    run(test())


def test_under_load_every_item_gets_its_own_answer_and_batches_grow() -> None:
    async def test() -> None:
        model = Model()
        one = batcher(model, size_max=16, queue_max=1000)
        items = range(100, 600)
        assert await asyncio.gather(*map(one.submit, items)) == [2 * item for item in items]
        assert max(map(len, model.batches)) == 16
        assert len(model.batches) < 100
        await one.close()

    run(test())


def test_a_run_that_does_not_end_is_not_waited_for_and_its_items_are_refused() -> None:
    gate = threading.Event()

    def hang(items: list[int]) -> list[int]:
        gate.wait()
        return items

    async def main() -> None:
        batcher: DynamicBatcher[int, int] = DynamicBatcher(
            hang, size_max=1, delay_ms=0.0, queue_max=9
        )
        answers = [asyncio.ensure_future(batcher.submit(n)) for n in range(2)]
        while batcher.queued != 1:
            await asyncio.sleep(0.001)
        assert not await batcher.close(timeout_s=0.01)
        for answer in answers:
            with pytest.raises(LinkError):
                await answer
        gate.set()

    asyncio.run(main())
