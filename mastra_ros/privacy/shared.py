"""What was found in the newest frames, for the gates of one process that work on the same stream.

A frame that is sent and drawn passes two gates, and is searched once: who asks second is told what
the first has found, and waits for it where that search is still under way. Only a search that went
well is remembered, and who asks again for what it has found itself searches anew. Each gate still
hides, tracks and counts for itself.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import xxhash

from ..errors import MastraError, Withheld
from ..types import FrameKey
from .region import Image, Region

KEPT = 64
"""Frames remembered; more than lie in the rings from which pictures are drawn."""


class Found(NamedTuple):
    """What a search has found: by the finders, and of the task's objects."""

    private: tuple[Region, ...]
    objects: tuple[Region, ...]


class Searched(NamedTuple):
    """Which search is meant: the same frame, pixels and promise give the same answer.

    The digest (XXH3, 128 bits) is of the pixels as the finders see them: a key alone may name
    another picture, and an array may have been written to since.
    """

    stream: str
    stamp_ns: int
    pixels: bytes
    shape: tuple[int, ...]
    clearance: str


def searched(key: FrameKey, image: Image, clearance: str) -> Searched:
    """Names the search of an image (contiguous) under a clearance."""
    digest = xxhash.xxh3_128_digest(image.reshape(-1).data)
    return Searched(key.stream, key.stamp_ns, digest, image.shape, clearance)


@dataclass
class _Entry:
    """One search, under way or done."""

    by: object
    done: threading.Event = field(default_factory=threading.Event)
    found: Found | None = None
    failure: str = ""


class SharedSearches:
    """Remembers searches; from any thread."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._entries: OrderedDict[Searched, _Entry] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def find(
        self, by: object, of: Searched, search: Callable[[], Found], timeout_ms: float
    ) -> Found:
        """What another than `by` has found, or what `search` finds now.

        Raises Withheld where another's search of this frame fails or takes longer than
        `timeout_ms`, and whatever `search` raises.
        """
        with self._lock:
            entry = self._entries.get(of)
            anew = entry is None or entry.by is by
            if anew:
                mine = self._entries[of] = _Entry(by)
                self._forget_oldest()
        if entry is not None and not anew:
            return _awaited(entry, timeout_ms)
        try:
            mine.found = search()
        except BaseException as error:
            mine.failure = _text(error)
            with self._lock:  # the next who asks searches anew
                if self._entries.get(of) is mine:
                    del self._entries[of]
            raise
        finally:
            mine.done.set()
        return mine.found

    def _forget_oldest(self) -> None:
        """Those under way stay: somebody may wait for them, and they are as few as the gates."""
        over = len(self._entries) - self._kept
        if over > 0:
            done = [of for of, entry in self._entries.items() if entry.done.is_set()]
            for of in done[:over]:
                del self._entries[of]


def _awaited(entry: _Entry, timeout_ms: float) -> Found:
    if not entry.done.wait(timeout_ms / 1e3):
        raise Withheld(f"the search took longer than {timeout_ms:g} ms")
    if entry.found is None:
        raise Withheld(entry.failure or "the search gave no answer")
    return entry.found


def _text(error: BaseException) -> str:
    ours = isinstance(error, MastraError)
    return str(error) if ours else f"the search failed: {type(error).__name__}: {error}"
