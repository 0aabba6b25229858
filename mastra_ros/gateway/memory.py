"""One budget of memory in bytes for all that devices make the gateway hold, fair a device.

A quarter of it is for messages: those that are not complete or wait, packets in work, answers that
are not sent. Five eighths are for pictures in work and for those that deltas refer to, which are a
cache and give way. The last eighth is for what nobody counts, such as buffers of decoders. A
device may hold as much of a pool as is left free then, so that there is always room for the next
(the dynamic threshold of Choudhury and Hahne, 1998, with a factor of one); a single message or
picture it may have if it holds no other.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import math
import os
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

SMALL_SHARE = 64
"""A picture of at most this share of the pool passes those that wait for more."""
KEPT_SHARE = 16
"""This share of the pool is kept for small ones."""
GROWN_BYTES = 67_108_864
"""What was freed is given back to the system once the process has grown by this much."""
EBB_S = 60.0
"""And not more often than this: meanwhile threads that allocate wait, for some ms."""
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Cache(Protocol):
    """What can be forgotten when memory is short."""

    @property
    def bytes_kept(self) -> int:
        """How much that is."""
        ...

    def shrink(self, bytes_max: int) -> None:
        """Keep no more than this."""
        ...


class _Nothing:
    bytes_kept = 0

    def shrink(self, bytes_max: int) -> None:
        """Nothing is kept."""


@dataclass(eq=False)
class _Waiting:
    device: str
    size: int
    done: asyncio.Future[None]


class Pool:
    """So many bytes, by device."""

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        self.bytes_held = 0
        self._held: dict[str, int] = {}

    def held_by(self, device: str) -> int:
        """What one device holds."""
        return self._held.get(device, 0)

    def fair(self, device: str, size: int) -> bool:
        """Whether a device may have so many more, as far as the others are concerned."""
        held = self.held_by(device)
        return not held or held + size <= self.bytes_max - self.bytes_held - size

    def take(self, device: str, size: int) -> bool:
        """Hold so many more bytes for a device; False when that is more than its share or all."""
        if self.bytes_held + size > self.bytes_max or not self.fair(device, size):
            return False
        self._held[device] = self.held_by(device) + size
        self.bytes_held += size
        return True

    def give(self, device: str, size: int) -> None:
        """They are held no longer."""
        if not size:
            return
        left = self._held[device] - size
        assert left >= 0, f"{device} gives more than it has taken"
        self.bytes_held -= size
        if left:
            self._held[device] = left
        else:
            del self._held[device]

    @contextlib.asynccontextmanager
    async def held(self, device: str) -> AsyncIterator[Account]:
        """An account that is given back whole at the end."""
        account = Account(self, device)
        try:
            yield account
        finally:
            account.give(account.held_bytes)


class Ebb:
    """When to give back to the system what was freed: the allocator of glibc keeps it, in pieces.

    After many devices have gone, or large pictures are done with, and not for less.
    """

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._low_bytes = sys.maxsize
        self._not_before_s = -math.inf

    def due(self, resident_bytes: int) -> bool:
        """Whether it is time, by what the process has in memory now."""
        self._low_bytes = min(self._low_bytes, resident_bytes)
        now_s = self._clock_s()
        if resident_bytes - self._low_bytes < GROWN_BYTES or now_s < self._not_before_s:
            return False
        self._low_bytes = resident_bytes  # unless some of it is given back: what is left is in use
        self._not_before_s = now_s + EBB_S
        return True


class Memory:
    """The budget; used from the event loop."""

    def __init__(self, bytes_max: int, cache: Cache | None = None) -> None:
        self._ebb = Ebb()
        self.bytes_max = bytes_max
        self.messages = Pool(bytes_max // 4)
        self.pictures = Pool(bytes_max * 5 // 8)
        self._cache: Cache = cache or _Nothing()
        self._in_work: dict[str, int] = {}  # pictures of each device
        self._waiting: deque[_Waiting] = deque()
        self._squeezed = False

    @property
    def picture_max(self) -> int:
        """The largest picture that ever finds room."""
        return self.pictures.bytes_max - self.pictures.bytes_max // KEPT_SHARE

    def account(self, device: str) -> Account:
        """The messages of one device's connection."""
        return Account(self.messages, device)

    @contextlib.asynccontextmanager
    async def picture(self, device: str, size: int, patience_s: float) -> AsyncIterator[Picture]:
        """Hold the memory of a picture in work, waiting for it so long; MemoryError without it."""
        await self._room(device, size, patience_s)
        picture = Picture(self, device, size)
        try:
            yield picture
        finally:
            self._ended(device)
            picture.shrink(0)

    def small_picture(self, device: str, size: int) -> Picture | None:
        """As `picture`, at once; None where that is not small, or there is no room now.

        Whoever has it calls `ended` on it.
        """
        pool = self.pictures
        if size > pool.bytes_max // SMALL_SHARE or not pool.fair(device, size):
            return None
        if self._cache.bytes_kept > pool.bytes_max - pool.bytes_held - size:
            return None
        if not pool.take(device, size):
            return None
        self._in_work[device] = self._in_work.get(device, 0) + 1
        return Picture(self, device, size)

    def end_picture(self, device: str) -> None:
        """A picture is in work no longer; its memory is given back next."""
        self._ended(device)

    def squeeze(self, resident_bytes: int) -> bool:
        """Look at what the process really takes beyond its models.

        Whether what was freed should go back to the system. From nine tenths of the budget on half
        of the cache goes, and beyond the budget no picture is begun while another is in work.
        """
        self._squeezed = resident_bytes > self.bytes_max
        if resident_bytes > self.bytes_max * 0.9:
            self._cache.shrink(self._cache.bytes_kept // 2)
            return True
        self._serve_waiting()
        return self._ebb.due(resident_bytes)

    async def _room(self, device: str, size: int, patience_s: float) -> None:
        largest = self.picture_max
        if size > largest:
            raise MemoryError(f"a picture of {size} bytes, with {largest} in all")
        waiting = _Waiting(device, size, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._serve_waiting()
        try:
            await asyncio.wait_for(asyncio.shield(waiting.done), patience_s)
        except asyncio.TimeoutError:
            if not waiting.done.done():
                self._forget(waiting)
                raise MemoryError(f"no room for {size} bytes in {patience_s:g} s") from None
        except asyncio.CancelledError:
            if waiting.done.done():
                self._ended(device)
                self.give_picture(device, size)
            else:
                self._forget(waiting)
            raise

    def _ended(self, device: str) -> None:
        """A picture is in work no longer; its memory is given back next."""
        self._in_work[device] -= 1
        if not self._in_work[device]:
            del self._in_work[device]

    def _forget(self, waiting: _Waiting) -> None:
        self._waiting.remove(waiting)
        waiting.done.cancel()

    def give_picture(self, device: str, size: int) -> None:
        """So much of a picture's memory is held no longer."""
        self.pictures.give(device, size)
        self._serve_waiting()

    def _serve_waiting(self) -> None:
        """Give room to those that wait, in order; who is above its share lets others pass."""
        blocked = False
        for waiting in list(self._waiting):
            device, size = waiting.device, waiting.size
            small = size <= self.pictures.bytes_max // SMALL_SHARE
            if blocked and not small:
                continue
            if self._squeezed and self._in_work and not small:
                continue
            if not self.pictures.fair(device, size):
                continue
            room = self.pictures.bytes_max - self.pictures.bytes_held - size
            if not small:
                room -= self.pictures.bytes_max // KEPT_SHARE
            if self._cache.bytes_kept > room >= 0:
                self._cache.shrink(room)
            if self._cache.bytes_kept > room or not self.pictures.take(device, size):
                blocked = True  # what takes about as much would keep a large one waiting for ever
                continue
            self._waiting.remove(waiting)
            self._in_work[device] = self._in_work.get(device, 0) + 1
            waiting.done.set_result(None)


class Account:
    """What one connection or request holds of a pool in the name of its device."""

    def __init__(self, pool: Pool, device: str) -> None:
        self._pool = pool
        self._device = device
        self.held_bytes = 0

    def take(self, size: int) -> bool:
        """See Pool."""
        if not self._pool.take(self._device, size):
            return False
        self.held_bytes += size
        return True

    def hold(self, size: int) -> None:
        """Take it, or raise MemoryError."""
        if not self.take(size):
            raise MemoryError(f"no room for {size} bytes more of {self._device}, try again")

    def give(self, size: int) -> None:
        """See Pool."""
        self._pool.give(self._device, size)
        self.held_bytes -= size


class Picture:
    """The memory of one picture in work."""

    def __init__(self, memory: Memory, device: str, size: int) -> None:
        self._memory = memory
        self._device = device
        self._size = size

    def ended(self) -> None:
        """It is in work no longer, and needs no memory."""
        self._memory.end_picture(self._device)
        self.shrink(0)

    def shrink(self, size: int) -> None:
        """It needs no more than this from here on."""
        if size < self._size:
            self._memory.give_picture(self._device, self._size - size)
            self._size = size


def resident_bytes() -> int:
    """What this process has in memory; 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES
    except (OSError, ValueError, IndexError):
        return 0


def return_to_system() -> None:
    """Give what was freed back to the system, which the allocator of glibc does not by itself."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
