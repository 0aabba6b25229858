"""One budget in bytes, fair a device."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from mastra_ros.gateway.memory import EBB_S, GROWN_BYTES, Ebb, Memory, Pool, resident_bytes

DEADLINE_S = 20.0


class Kept:
    """A cache of so many bytes; while `locked` it cannot give way."""

    def __init__(self, size: int) -> None:
        self.bytes_kept = size
        self.locked = False

    def shrink(self, bytes_max: int) -> None:
        if not self.locked:
            self.bytes_kept = min(self.bytes_kept, bytes_max)


def test_no_device_takes_what_another_needs() -> None:
    pool = Pool(1000)
    taken = dict.fromkeys(("a", "b", "c"), 0)
    for name in taken:
        while pool.take(name, 10):
            taken[name] += 10
    assert taken["a"] == 500
    assert min(taken.values()) >= 120
    assert pool.bytes_held == sum(taken.values()) <= 1000
    assert pool.take("d", 10), "there is room for the next"


def test_what_is_given_back_can_be_taken_again() -> None:
    pool = Pool(100)
    assert pool.take("a", 100), "a single one may be as large as all"
    assert not pool.take("b", 1)
    pool.give("a", 100)
    assert pool.take("b", 1)
    assert pool.held_by("a") == 0


def test_an_account_is_given_back_whole() -> None:
    async def main() -> None:
        pool = Pool(100)
        async with pool.held("a") as account:
            account.hold(40)
            with pytest.raises(MemoryError, match="no room for 90 bytes more of a"):
                account.hold(90)
        assert pool.bytes_held == 0

    asyncio.run(main())


def test_a_picture_waits_for_room_and_the_cache_gives_way() -> None:
    async def main() -> None:
        cache = Kept(600)
        memory = Memory(1000, cache)
        async with memory.picture("a", 580, DEADLINE_S) as first:
            assert cache.bytes_kept == 625 - 580 - 39
            second = asyncio.ensure_future(_hold(memory, "b", 300))
            await asyncio.sleep(0)
            assert not second.done()
            first.shrink(100)
            await asyncio.wait_for(second, DEADLINE_S)
        assert memory.pictures.bytes_held == 0

    asyncio.run(main())


def test_a_cache_that_is_in_use_is_waited_for() -> None:
    async def main() -> None:
        cache = Kept(600)
        cache.locked = True
        memory = Memory(1000, cache)
        with pytest.raises(MemoryError, match=r"no room for 300 bytes in 0\.01 s"):
            await _hold(memory, "a", 300, 0.01)
        cache.locked = False
        await _hold(memory, "a", 300)

    asyncio.run(main())


def test_one_device_with_many_pictures_does_not_stop_another() -> None:
    async def main() -> None:
        memory = Memory(1600)  # 1000 for pictures
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(2):
                await stack.enter_async_context(memory.picture("a", 250, DEADLINE_S))
            more = asyncio.ensure_future(_hold(memory, "a", 250, DEADLINE_S))
            await asyncio.sleep(0)
            await _hold(memory, "b", 250)
            assert not more.done(), "beyond its share"
        await asyncio.wait_for(more, DEADLINE_S)

    asyncio.run(main())


def test_a_small_picture_passes_those_that_wait_for_more() -> None:
    async def main() -> None:
        memory = Memory(16_000)
        async with memory.picture("a", 9000, DEADLINE_S):
            large = asyncio.ensure_future(_hold(memory, "b", 5000, DEADLINE_S))
            await asyncio.sleep(0)
            await _hold(memory, "c", 100)
            assert not large.done()
        await asyncio.wait_for(large, DEADLINE_S)

    asyncio.run(main())


def test_too_large_a_picture_and_one_nobody_waits_for_any_more_leave_nothing() -> None:
    async def main() -> None:
        memory = Memory(1000)
        with pytest.raises(MemoryError, match="a picture of 587 bytes, with 586 in all"):
            await _hold(memory, "a", 587)
        async with memory.picture("a", 580, DEADLINE_S):
            waiting = asyncio.ensure_future(_hold(memory, "b", 100, DEADLINE_S))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        assert memory.pictures.bytes_held == 0
        await _hold(memory, "b", 580)

    asyncio.run(main())


def test_beyond_the_budget_pictures_go_one_by_one_and_the_cache_shrinks() -> None:
    async def main() -> None:
        cache = Kept(400)
        memory = Memory(1000, cache)
        assert memory.squeeze(1200)
        assert cache.bytes_kept == 200
        async with memory.picture("a", 50, DEADLINE_S):
            other = asyncio.ensure_future(_hold(memory, "b", 50, DEADLINE_S))
            await asyncio.sleep(0)
            assert not other.done()
            assert not memory.squeeze(100)
            await asyncio.wait_for(other, DEADLINE_S)

    asyncio.run(main())


def test_the_process_knows_what_it_takes() -> None:
    assert resident_bytes() > 10_000_000


async def _hold(memory: Memory, device: str, size: int, patience_s: float = DEADLINE_S) -> None:
    async with memory.picture(device, size, patience_s):
        pass


def test_what_was_freed_is_given_back_after_much_growth_and_not_all_the_time() -> None:
    now_s = 0.0
    ebb = Ebb(lambda: now_s)
    low = 150_000_000
    assert not ebb.due(low)
    assert not ebb.due(low + GROWN_BYTES - 1)
    assert ebb.due(low + GROWN_BYTES)
    assert not ebb.due(low)  # that has helped
    assert not ebb.due(low + 2 * GROWN_BYTES), "not so soon again"
    now_s += EBB_S
    assert ebb.due(low + 2 * GROWN_BYTES)
    for _ in range(10):  # that has not helped: it is in use
        now_s += EBB_S
        assert not ebb.due(low + 2 * GROWN_BYTES)
    assert ebb.due(low + 3 * GROWN_BYTES)
