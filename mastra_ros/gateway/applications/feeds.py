"""What applications see besides records: frames of sets, results, live frames; each in its order.

A feed has a place, as records have one, and both are saved with a snapshot (`pack`, `unpack`): a
snapshot of an application that sees records alone stays as it is. Pure but for `page`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgpack

MAGIC = b"mastra-feeds\x001\x00\x00"
"""Before a snapshot that has places of feeds."""
FRAMES, RESULTS, LIVE = "frames", "results", "live"
AT_ONCE = {FRAMES: 4, RESULTS: 256, LIVE: 1}
"""So many are shown in one message."""


class Item(Protocol):
    """What a feed gives: it has a place, and when it was committed, in s since 1970."""

    @property
    def id(self) -> int:
        """Its place."""

    @property
    def committed_s(self) -> float:
        """When."""


@dataclass
class Feed:
    """One kind of what is shown. page(after, most) reads; as_seen(item) is what the process gets.

    epoch: of records that answer it, whose numbers follow from its places. lasting: it gives again
    what was shown since the last snapshot. on_told(wanted, said) hears what the process says.
    """

    name: str
    page: Callable[[int, int], Sequence[Item]]
    as_seen: Callable[[Any], list[Any]]
    epoch: str
    lasting: bool = True
    on_told: Callable[[bool, Mapping[str, Any]], None] = lambda *_: None
    place: int = 0
    wanted: bool | None = None  # None: the process has not said
    suspected: int = -1  # up to this place they are shown one by one
    skipped: set[int] = field(default_factory=set)

    def next_items(self) -> list[Item]:
        """What comes next, if it is wanted."""
        if self.wanted is False:
            return []
        one_by_one = self.place < self.suspected
        return list(self.page(self.place, 1 if one_by_one else AT_ONCE[self.name]))

    def told(self, said: Mapping[str, Any]) -> None:
        """The process has begun, and said what it sees."""
        self.wanted = self.name in said.get("sees", ())
        self.on_told(self.wanted, said)

    def suspect(self, shown: Sequence[Item]) -> int | None:
        """It failed at one of these: the place of the one, where it was alone."""
        if len(shown) > 1:
            self.suspected = shown[-1].id
            return None
        self.skipped.add(shown[0].id)
        return shown[0].id


def pack(snapshot: bytes, feeds: Sequence[Feed], closing: Sequence[Sequence[str]]) -> bytes:
    """A snapshot with the places of feeds, and the sets that are to be closed once it is kept."""
    places = {feed.name: feed.place for feed in feeds if feed.wanted}
    if not places:
        return snapshot
    told = {"places": places, "closing": [list(name) for name in closing]}
    head: bytes = msgpack.packb(told)
    return MAGIC + len(head).to_bytes(4, "big") + head + snapshot


def unpack(packed: bytes) -> tuple[dict[str, int], list[list[str]], bytes]:
    """Places, sets that were to be closed, and the snapshot itself."""
    if not packed.startswith(MAGIC):
        return {}, [], packed
    start = len(MAGIC) + 4
    size = int.from_bytes(packed[len(MAGIC) : start], "big")
    told = msgpack.unpackb(packed[start : start + size])
    return told["places"], told["closing"], packed[start + size :]
