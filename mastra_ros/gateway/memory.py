"""One budget of memory in bytes for all that devices make the gateway hold, fair a device.

Counted are messages that are not complete or wait, answers that are not sent, packets and pictures
in work; and the pictures that deltas refer to, which are a cache and give way to all the others.
A device may hold as much as its share: the budget divided by those that hold something and one
more, so that there is room for the next. A single picture it may always have when it has no other.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

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


class Memory:
    """The budget; used from the event loop."""

    def __init__(self, bytes_max: int, cache: Cache | None = None) -> None:
        self.bytes_max = bytes_max
        self._cache: Cache = cache or _Nothing()
        self._held: dict[str, int] = {}
        self._total = 0
        self._pictures: dict[str, int] = {}  # in work
        self._waiting: deque[_Waiting] = deque()
        self._squeezed = False

    @property
    def bytes_held(self) -> int:
        """What devices hold now, without the cache."""
        return self._total

    def held_by(self, device: str) -> int:
        """What one device holds."""
        return self._held.get(device, 0)

    def share(self, device: str) -> int:
        """The most that a device may hold now."""
        others = len(self._held) - (device in self._held)
        return self.bytes_max // (others + 2)

    def take(self, device: str, size: int) -> bool:
        """Hold so many more bytes for a device; False when that is more than its share or all."""
        if self.held_by(device) + size > self.share(device):
            return False
        return self._take(device, size)

    def give(self, device: str, size: int) -> None:
        """They are held no longer."""
        if not size:
            return
        left = self._held[device] - size
        assert left >= 0, f"{device} gives more than it has taken"
        self._total -= size
        if left:
            self._held[device] = left
        else:
            del self._held[device]
        self._serve_waiting()

    def account(self, device: str) -> Account:
        """The memory of one device's connection."""
        return Account(self, device)

    @contextlib.asynccontextmanager
    async def held(self, device: str) -> AsyncIterator[Account]:
        """An account that is given back whole at the end."""
        account = Account(self, device)
        try:
            yield account
        finally:
            account.give(account.held_bytes)

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

    def squeeze(self, resident_bytes: int) -> bool:
        """Look at what the process really takes beyond its models; whether that is too much.

        From nine tenths of the budget on half of the cache goes, and beyond the budget no picture
        is begun while another is in work.
        """
        self._squeezed = resident_bytes > self.bytes_max
        if resident_bytes > self.bytes_max * 0.9:
            self._cache.shrink(self._cache.bytes_kept // 2)
            return True
        self._serve_waiting()
        return False

    def _take(self, device: str, size: int) -> bool:
        room = self.bytes_max - self._total - size
        if room < 0:
            return False
        if self._cache.bytes_kept > room:
            self._cache.shrink(room)
        self._held[device] = self.held_by(device) + size
        self._total += size
        return True

    async def _room(self, device: str, size: int, patience_s: float) -> None:
        if size > self.bytes_max:
            raise MemoryError(f"a picture of {size} bytes, with {self.bytes_max} in all")
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
                self.give(device, size)
            else:
                self._forget(waiting)
            raise

    def _ended(self, device: str) -> None:
        """A picture is in work no longer; its memory is given back next."""
        self._pictures[device] -= 1
        if not self._pictures[device]:
            del self._pictures[device]

    def _forget(self, waiting: _Waiting) -> None:
        self._waiting.remove(waiting)
        waiting.done.cancel()

    def _serve_waiting(self) -> None:
        """Give room to those that wait, in order; who is above its share lets others pass."""
        for waiting in list(self._waiting):
            device, size = waiting.device, waiting.size
            alone = device not in self._pictures
            if self._squeezed and self._pictures:
                return
            if not alone and self.held_by(device) + size > self.share(device):
                continue
            if not self._take(device, size):
                return  # nor shall a smaller one pass, or a large one would wait for ever
            self._waiting.remove(waiting)
            self._pictures[device] = self._pictures.get(device, 0) + 1
            waiting.done.set_result(None)


class Account:
    """The memory that one connection holds in the name of its device."""

    def __init__(self, memory: Memory, device: str) -> None:
        self._memory = memory
        self._device = device
        self.held_bytes = 0

    def take(self, size: int) -> bool:
        """See Memory."""
        if not self._memory.take(self._device, size):
            return False
        self.held_bytes += size
        return True

    def hold(self, size: int) -> None:
        """Take it, or raise MemoryError."""
        if not self.take(size):
            raise MemoryError(f"no room for {size} bytes more of {self._device}, try again")

    def give(self, size: int) -> None:
        """See Memory."""
        self._memory.give(self._device, size)
        self.held_bytes -= size


class Picture:
    """The memory of one picture in work."""

    def __init__(self, memory: Memory, device: str, size: int) -> None:
        self._memory = memory
        self._device = device
        self._size = size

    def shrink(self, size: int) -> None:
        """It needs no more than this from here on."""
        if size < self._size:
            self._memory.give(self._device, self._size - size)
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
