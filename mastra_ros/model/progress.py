"""Says how far long work has come, where somebody watches."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TextIO, TypeVar

from .quiet import terminal

T = TypeVar("T")

WIDTH = 30  # characters of the bar
EVERY_S = 0.1


class Progress(Protocol):
    """Hands on the items of a sequence and tells where it is."""

    def __call__(self, items: Sequence[T], what: str) -> Iterator[T]: ...


def silent(items: Sequence[T], what: str) -> Iterator[T]:
    """Tell nobody."""
    del what
    yield from items


class Bar:
    """A bar on a terminal; elsewhere one line when each piece of work is done.

    A terminal shows nothing of work that takes less than a second.
    """

    def __init__(
        self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._given = stream
        self._clock = clock

    def __call__(self, items: Sequence[T], what: str) -> Iterator[T]:
        started = self._clock()
        drawn, total = started + 1.0 - EVERY_S, len(items)
        shown = False
        for done, item in enumerate(items):
            now = self._clock()
            if self._stream.isatty() and now - drawn >= EVERY_S:
                self._draw(what, done, total, now - started)
                drawn, shown = now, True
            yield item
        spent = self._clock() - started
        if shown or spent >= 1.0:
            begin, end = ("\r", "\033[K\n") if shown else ("", "\n")
            self._stream.write(f"{begin}{what}: {total} in {spent:.1f} s{end}")
            self._stream.flush()

    @property
    def _stream(self) -> TextIO:
        return self._given or terminal()

    def _draw(self, what: str, done: int, total: int, spent_s: float) -> None:
        filled = WIDTH * done // max(total, 1)
        left = f", {spent_s / done * (total - done):.0f} s left" if done else ""
        bar = "#" * filled + "." * (WIDTH - filled)
        self._stream.write(f"\r{what}: [{bar}] {done}/{total}{left}\033[K")
        self._stream.flush()
