"""A queue between threads that takes turns: one of each device, however much one of them brings.

Within a device the order is kept. A device that sends all it can gets what the others leave, and
each of them waits for at most one of its messages before one of their own.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """Items by device; any thread may put, one takes."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, deque[T]] = OrderedDict()  # whose turn it is, first
        self._filled = threading.Condition()
        self._closed = False

    def put(self, device: str, item: T) -> None:
        """Add an item behind those of the same device."""
        with self._filled:
            self._waiting.setdefault(device, deque()).append(item)
            self._filled.notify()

    def close(self) -> None:
        """There will be no more; `take` goes on until all are taken."""
        with self._filled:
            self._closed = True
            self._filled.notify()

    def take(self, most: int, timeout_s: float) -> tuple[list[T], bool]:
        """Up to so many, waiting for the first; and whether that was all there will ever be."""
        until_s = time.monotonic() + timeout_s
        taken: list[T] = []
        with self._filled:
            while not self._waiting and not self._closed:
                left_s = until_s - time.monotonic()
                if left_s <= 0 or not self._filled.wait(left_s):
                    break
            while self._waiting and len(taken) < most:
                device, items = self._waiting.popitem(last=False)
                taken.append(items.popleft())
                if items:
                    self._waiting[device] = items  # behind all others
            return taken, self._closed and not self._waiting
