"""Runs that are shorter than a hand-off stay in the event loop; all others leave it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable

import pytest

from mastra_ros.errors import LinkError
from mastra_ros.inference import DynamicBatcher
from mastra_ros.inference.quickness import Quickness

DEADLINE_S = 20.0


class Model:
    """Doubles its items; keeps the batches, and whether each ran in the thread of the loop."""

    def __init__(self, busy_s: float = 0.0) -> None:
        self.batches: list[list[int]] = []
        self.here: list[bool] = []
        self._busy_s = busy_s
        self._loop_thread = threading.get_ident()

    def __call__(self, items: list[int]) -> list[int]:
        self.batches.append(items)
        self.here.append(threading.get_ident() == self._loop_thread)
        until_s = time.thread_time() + self._busy_s
        while time.thread_time() < until_s:
            pass
        if 13 in items:
            raise ValueError("13 is a bad item")
        return [2 * item for item in items]


def batcher(model: Callable[[list[int]], list[int]], **options: object) -> DynamicBatcher[int, int]:
    settings = {"size_max": 64, "delay_ms": 0.0, "queue_max": 1000, **options}
    return DynamicBatcher(model, **settings)  # type: ignore[arg-type]


def run(test: Awaitable[None]) -> None:
    asyncio.run(asyncio.wait_for(test, DEADLINE_S))


async def until_known(one: DynamicBatcher[int, int], model: Model) -> None:
    """Until a quick model is known as one; of its runs the shortest counts."""
    while not model.here or not model.here[-1]:
        assert await one.put(1, quick=True) == 2
    model.here.clear()
    model.batches.clear()


def test_a_quick_model_runs_in_the_loop_once_it_is_known_as_one() -> None:
    async def test() -> None:
        model = Model()
        one = batcher(model)
        assert await one.put(4, quick=True) == 8
        assert model.here == [False]
        await until_known(one, model)
        told = await asyncio.gather(*(one.put(n, quick=True) for n in range(20, 30)))
        assert told == [2 * n for n in range(20, 30)]
        assert all(model.here)
        assert [item for batch in model.batches for item in batch] == list(range(20, 30))
        await one.close()
        with pytest.raises(LinkError):
            one.put(1, quick=True)

    run(test())


def test_what_is_not_put_as_quick_never_runs_in_the_loop_nor_beside_what_is_not() -> None:
    async def test() -> None:
        model = Model()
        one = batcher(model)
        await until_known(one, model)
        assert await one.put(5) == 10
        assert await one.submit(6) == 12
        assert await asyncio.gather(one.put(7, quick=True), one.put(8)) == [14, 16]
        assert model.here == [False] * 3
        assert model.batches[-1] == [7, 8]
        await one.close()

    run(test())


def test_a_slow_model_never_runs_in_the_loop() -> None:
    async def test() -> None:
        model = Model(busy_s=0.005)
        one = batcher(model)
        for _ in range(20):
            assert await one.put(3, quick=True) == 6
        assert not any(model.here)
        await one.close()

    run(test())


def test_a_turn_of_the_loop_has_a_bounded_share_of_what_waits() -> None:
    async def test() -> None:
        model = Model(busy_s=0.0002)
        one = batcher(model, size_max=4)
        await until_known(one, model)
        turns = 0
        told = asyncio.gather(*(one.put(n, quick=True) for n in range(100, 140)))
        while not told.done():
            await asyncio.sleep(0)
            turns += 1
        assert told.result() == [2 * n for n in range(100, 140)]
        assert max(map(len, model.batches)) <= 4
        assert turns >= 10
        await one.close()

    run(test())


def test_one_bad_item_fails_alone() -> None:
    async def test() -> None:
        model = Model()
        one = batcher(model)
        await until_known(one, model)
        told = await asyncio.gather(
            *(one.put(n, quick=True) for n in (11, 12, 13, 14)), return_exceptions=True
        )
        assert [told[0], told[1], told[3]] == [22, 24, 28]
        assert isinstance(told[2], ValueError)
        assert await one.put(1, quick=True) == 2
        await one.close()

    run(test())


def test_who_gives_up_before_the_run_costs_none() -> None:
    async def test() -> None:
        model = Model()
        one = batcher(model)
        await until_known(one, model)
        one.put(9, quick=True).cancel()
        assert await one.put(10, quick=True) == 20
        assert [item for batch in model.batches for item in batch] == [10]
        await one.close()

    run(test())


def test_quickness_is_known_from_the_shortest_runs_and_fades() -> None:
    quickness = Quickness()
    assert quickness.size == 0
    quickness.ran(1, 0.2)
    assert quickness.size == 5  # within 1 ms
    quickness.ran(10, 0.5)  # an item of many costs less
    assert quickness.size == 20
    quickness.ran(1, 30.0)  # another thread's doing
    assert quickness.size == 19
    for _ in range(60):
        quickness.ran(1, 30.0)
    assert quickness.size == 0


def test_a_model_whose_shortest_run_is_long_is_not_quick_however_many_it_takes() -> None:
    quickness = Quickness()
    quickness.ran(100, 2.0)
    assert quickness.size == 0
