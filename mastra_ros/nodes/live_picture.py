"""Draws live pictures in a thread of their own: the newest wins, and nobody is waited for."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

AGES_KEPT = 1000


class NewestFirst:
    """Calls `use` with the newest thing given; those that it has no time for are passed over."""

    def __init__(self, name: str, use: Callable[[Any], None]) -> None:
        self._use = use
        self._newest: Any = None
        self._condition = threading.Condition()
        self._stopped = False
        self.passed_over = 0
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def give(self, thing: Any) -> None:
        """From any thread; returns at once."""
        with self._condition:
            self.passed_over += self._newest is not None
            self._newest = thing
            self._condition.notify()

    def stop(self) -> None:
        """End the thread."""
        with self._condition:
            self._stopped = True
            self._condition.notify()
        self._thread.join()

    def _work(self) -> None:
        while True:
            with self._condition:
                while self._newest is None and not self._stopped:
                    self._condition.wait()
                if self._stopped:
                    return
                thing, self._newest = self._newest, None
            self._use(thing)


class Ages:
    """Ages of the latest live pictures, ms."""

    def __init__(self) -> None:
        self._ages: deque[float] = deque(maxlen=AGES_KEPT)
        self.count = 0

    def add(self, age_ms: float) -> None:
        """One more."""
        self._ages.append(age_ms)
        self.count += 1

    @property
    def last_ms(self) -> float:
        """Of the newest; NaN without one."""
        return self._ages[-1] if self._ages else float("nan")

    def percentile_ms(self, share: float) -> float:
        """NaN without any."""
        ages = list(self._ages)
        return float(np.percentile(ages, share * 100)) if ages else float("nan")
